// Eight schools, centered: the true effects are drawn from normal(mu, tau).
data {
  int<lower=1> J;                              // schools
  vector[J] y;                                 // estimated effect of coaching in each school
  vector<lower=0>[J] sigma;                    // its standard error
}
parameters {
  real mu;                                     // mean effect
  real<lower=0> tau;                           // between schools
  vector[J] theta;                             // true effect in each school
}
model {
  mu ~ normal(0, 5);
  tau ~ cauchy(0, 5);
  theta ~ normal(mu, tau);
  y ~ normal(theta, sigma);
}
