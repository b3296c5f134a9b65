// Correlated intercepts and slopes, centered: the intercepts given the slopes.
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
  vector[G] alpha_g;
  vector[G] beta_g;
}
model {
  alpha ~ normal(0, 2);
  beta ~ normal(0, 2);
  sigma ~ normal(0, 2);
  tau_alpha ~ normal(0, 2);
  tau_beta ~ normal(0, 2);
  target += log1m(square(rho));                // LKJ(2) of two effects
  beta_g ~ normal(beta, tau_beta);
  alpha_g ~ normal(alpha + rho * tau_alpha / tau_beta * (beta_g - beta), tau_alpha * sqrt(1 - square(rho)));
  y ~ normal(alpha_g[group] + beta_g[group] .* x, sigma);
}
