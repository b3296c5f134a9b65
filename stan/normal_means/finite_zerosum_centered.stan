// Finite population: mu is the mean of these G groups, and the effects e sum to zero.
data {
  int<lower=1> N;                              // observations
  int<lower=2> G;                              // groups
  array[N] int<lower=1, upper=G> group;        // group of each observation
  vector[N] y;
}
parameters {
  real mu;                                     // mean of these G groups
  real<lower=0> sigma;                         // within groups
  real<lower=0> omega;                         // between groups
  sum_to_zero_vector[G] e;
}
transformed parameters {
  vector[G] mu_g = mu + e;
}
model {
  mu ~ std_normal();
  sigma ~ std_normal();
  omega ~ normal(0, 10);
  e ~ normal(0, omega);
  target += log(omega);                        // e has G - 1 dimensions, normal() counted G
  y ~ normal(mu_g[group], sigma);
}
