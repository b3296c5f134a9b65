// Independent intercepts and slopes, centered: drawn from normal(alpha, tau_alpha) and normal(beta, tau_beta).
data {
  int<lower=1> N;                              // observations
  int<lower=2> G;                              // groups
  array[N] int<lower=1, upper=G> group;        // group of each observation
  vector[N] x;
  vector[N] y;
}
parameters {
  real alpha;                                  // mean intercept of the population of groups
  real beta;                                   // mean slope of it
  real<lower=0> sigma;                         // within groups
  real<lower=0> tau_alpha;                     // of intercepts between groups
  real<lower=0> tau_beta;                      // of slopes between groups
  vector[G] alpha_g;
  vector[G] beta_g;
}
model {
  alpha ~ normal(0, 2);
  beta ~ normal(0, 2);
  sigma ~ normal(0, 2);
  tau_alpha ~ normal(0, 2);
  tau_beta ~ normal(0, 2);
  alpha_g ~ normal(alpha, tau_alpha);
  beta_g ~ normal(beta, tau_beta);
  y ~ normal(alpha_g[group] + beta_g[group] .* x, sigma);
}
