// Superpopulation through the mean m of these G groups and effects omega z that sum to zero.
// The population mean mu is integrated out of m's prior and recovered after sampling.
data {
  int<lower=1> N;                              // observations
  int<lower=2> G;                              // groups
  array[N] int<lower=1, upper=G> group;        // group of each observation
  vector[N] y;
}
parameters {
  real m;                                      // mean of these G groups
  real<lower=0> sigma;                         // within groups
  real<lower=0> omega;                         // between groups
  sum_to_zero_vector[G] z;                     // standardised effects
}
transformed parameters {
  vector[G] mu_g = m + omega * z;
}
model {
  m ~ normal(0, sqrt(1 + square(omega) / G));
  sigma ~ std_normal();
  omega ~ normal(0, 10);
  z ~ std_normal();
  y ~ normal(mu_g[group], sigma);
}
