// Independent intercepts and slopes, non-centered: alpha_g = alpha + tau_alpha z_alpha, and so the slopes.
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
  vector[G] z_alpha;                           // standardised effects
  vector[G] z_beta;
}
transformed parameters {
  vector[G] alpha_g = alpha + tau_alpha * z_alpha;
  vector[G] beta_g = beta + tau_beta * z_beta;
}
model {
  alpha ~ normal(0, 2);
  beta ~ normal(0, 2);
  sigma ~ normal(0, 2);
  tau_alpha ~ normal(0, 2);
  tau_beta ~ normal(0, 2);
  z_alpha ~ std_normal();
  z_beta ~ std_normal();
  y ~ normal(alpha_g[group] + beta_g[group] .* x, sigma);
}
