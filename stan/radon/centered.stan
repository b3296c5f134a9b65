// Radon, centered: county intercepts are drawn around a line in log uranium.
data {
  int<lower=1> N;                              // houses
  int<lower=1> J;                              // counties
  array[N] int<lower=1, upper=J> county;       // county of each house
  vector[N] floor_measure;                     // 0: measured in the basement, 1: on the first floor
  vector[J] log_uranium;                       // of the soil of each county
  vector[N] log_radon;
}
parameters {
  real gamma0;                                 // intercept of the line
  real gamma1;                                 // its slope
  real beta;                                   // first floor against basement
  real<lower=0> sigma_alpha;                   // between counties, about the line
  real<lower=0> sigma_y;                       // within counties
  vector[J] alpha;                             // log radon in a basement of each county
}
model {
  gamma0 ~ normal(0, 5);
  gamma1 ~ normal(0, 5);
  beta ~ normal(0, 5);
  sigma_alpha ~ normal(0, 2);
  sigma_y ~ normal(0, 2);
  alpha ~ normal(gamma0 + gamma1 * log_uranium, sigma_alpha);
  log_radon ~ normal(alpha[county] + beta * floor_measure, sigma_y);
}
