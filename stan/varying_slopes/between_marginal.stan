// Intercepts around a line in the group mean of x; they and the slopes are integrated out.
// The sizes, the means and the least-squares slopes of the groups and the residuals are all that the data say.
data {
  int<lower=1> N;                              // observations
  int<lower=2> G;                              // groups
  array[N] int<lower=1, upper=G> group;        // group of each observation
  vector[N] x;
  vector[N] y;
}
transformed data {
  vector[G] n = zeros_vector(G);
  vector[G] xbar = zeros_vector(G);
  vector[G] ybar = zeros_vector(G);
  vector[G] x_ss = zeros_vector(G);
  vector[G] u = zeros_vector(G);               // normal(sqrt(x_ss) times the slope, sigma)
  for (i in 1:N) {
    n[group[i]] += 1;
    xbar[group[i]] += x[i];
    ybar[group[i]] += y[i];
  }
  xbar ./= n;
  ybar ./= n;
  vector[N] x_within = x - xbar[group];
  for (i in 1:N) {
    x_ss[group[i]] += square(x_within[i]);
    u[group[i]] += x_within[i] * (y[i] - ybar[group[i]]);
  }
  vector[G] slope = zeros_vector(G);           // by least squares; 0 where x does not vary
  for (g in 1:G) {
    if (x_ss[g] > 0) {
      slope[g] = u[g] / x_ss[g];
    }
  }
  vector[G] root_ss = sqrt(x_ss);
  u = root_ss .* slope;
  real residual_ss = dot_self(y - ybar[group] - slope[group] .* x_within);
}
parameters {
  real alpha;                                  // mean intercept of the population of groups
  real beta;                                   // mean slope of it
  real gamma;                                  // of the group mean of x
  real<lower=0> sigma;                         // within groups
  real<lower=0> tau_alpha;                     // of intercepts between groups
  real<lower=0> tau_beta;                      // of slopes between groups
}
model {
  // Given u, which has the variance d, the standardised effects of the slopes have the means z_beta and the
  // variances sigma^2 / d. They add h times themselves to ybar, and variance is that of ybar given u.
  vector[G] d = square(sigma) + square(tau_beta * root_ss);
  vector[G] z_beta = tau_beta * root_ss .* (u - root_ss * beta) ./ d;
  vector[G] h = tau_beta * xbar;
  vector[G] variance = square(tau_alpha) + square(sigma) * (inv(n) + square(h) ./ d);
  alpha ~ normal(0, 2);
  beta ~ normal(0, 2);
  gamma ~ normal(0, 2);
  sigma ~ normal(0, 2);
  tau_alpha ~ normal(0, 2);
  tau_beta ~ normal(0, 2);
  u ~ normal(root_ss * beta, sqrt(d));
  ybar ~ normal(alpha + gamma * xbar + beta * xbar + h .* z_beta, sqrt(variance));
  target += -(N - 2 * G) * log(sigma) - residual_ss / (2 * square(sigma));
}
