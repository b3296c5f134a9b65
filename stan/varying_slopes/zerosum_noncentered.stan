// Independent standardised effects that sum to zero, about the means m_alpha and m_beta of these groups.
// The population means alpha and beta are integrated out of their priors and recovered after sampling.
data {
  int<lower=1> N;                              // observations
  int<lower=2> G;                              // groups
  array[N] int<lower=1, upper=G> group;        // group of each observation
  vector[N] x;
  vector[N] y;
}
parameters {
  real m_alpha;                                // mean intercept of these G groups
  real m_beta;                                 // mean slope of them
  real<lower=0> sigma;                         // within groups
  real<lower=0> tau_alpha;                     // of intercepts between groups
  real<lower=0> tau_beta;                      // of slopes between groups
  sum_to_zero_vector[G] z_alpha;               // standardised effects
  sum_to_zero_vector[G] z_beta;
}
transformed parameters {
  vector[G] alpha_g = m_alpha + tau_alpha * z_alpha;
  vector[G] beta_g = m_beta + tau_beta * z_beta;
}
model {
  m_alpha ~ normal(0, sqrt(4 + square(tau_alpha) / G));
  m_beta ~ normal(0, sqrt(4 + square(tau_beta) / G));
  sigma ~ normal(0, 2);
  tau_alpha ~ normal(0, 2);
  tau_beta ~ normal(0, 2);
  z_alpha ~ std_normal();
  z_beta ~ std_normal();
  y ~ normal(alpha_g[group] + beta_g[group] .* x, sigma);
}
