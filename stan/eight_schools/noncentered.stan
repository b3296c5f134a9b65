// Eight schools, non-centered: theta = mu + tau z with z standard normal.
data {
  int<lower=1> J;                              // schools
  vector[J] y;                                 // estimated effect of coaching in each school
  vector<lower=0>[J] sigma;                    // its standard error
}
parameters {
  real mu;                                     // mean effect
  real<lower=0> tau;                           // between schools
  vector[J] z;                                 // standardised effects
}
transformed parameters {
  vector[J] theta = mu + tau * z;              // true effect in each school
}
model {
  mu ~ normal(0, 5);
  tau ~ cauchy(0, 5);
  z ~ std_normal();
  y ~ normal(theta, sigma);
}
