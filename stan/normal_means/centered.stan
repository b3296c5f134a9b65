// Superpopulation, centered: the group means are drawn from normal(mu, omega).
data {
  int<lower=1> N;                              // observations
  int<lower=2> G;                              // groups
  array[N] int<lower=1, upper=G> group;        // group of each observation
  vector[N] y;
}
parameters {
  real mu;                                     // mean of the population of groups
  real<lower=0> sigma;                         // within groups
  real<lower=0> omega;                         // between groups
  vector[G] mu_g;
}
model {
  mu ~ std_normal();
  sigma ~ std_normal();
  omega ~ normal(0, 10);
  mu_g ~ normal(mu, omega);
  y ~ normal(mu_g[group], sigma);
}
