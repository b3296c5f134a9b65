// Correlated intercepts and slopes, non-centered.
// The Cholesky factor of the correlation of (beta_g, alpha_g) is ((1, 0), (rho, sqrt(1 - rho^2))).
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
  real<lower=-1, upper=1> rho;                 // of intercepts and slopes
  vector[G] z_alpha;                           // standardised effects
  vector[G] z_beta;
}
transformed parameters {
  vector[G] alpha_g = alpha + tau_alpha * (rho * z_beta + sqrt(1 - square(rho)) * z_alpha);
  vector[G] beta_g = beta + tau_beta * z_beta;
}
model {
  alpha ~ normal(0, 2);
  beta ~ normal(0, 2);
  sigma ~ normal(0, 2);
  tau_alpha ~ normal(0, 2);
  tau_beta ~ normal(0, 2);
  target += log1m(square(rho));                // LKJ(2) of two effects
  z_alpha ~ std_normal();
  z_beta ~ std_normal();
  y ~ normal(alpha_g[group] + beta_g[group] .* x, sigma);
}
