// Finite population, the effects that sum to zero integrated out; the group means are drawn after sampling.
// The sizes and means of the groups and the sum of squares within them are all that the data say.
data {
  int<lower=1> N;                              // observations
  int<lower=2> G;                              // groups
  array[N] int<lower=1, upper=G> group;        // group of each observation
  vector[N] y;
}
transformed data {
  vector[G] n = zeros_vector(G);
  vector[G] ybar = zeros_vector(G);
  for (i in 1:N) {
    n[group[i]] += 1;
    ybar[group[i]] += y[i];
  }
  ybar ./= n;
  real within_ss = dot_self(y - ybar[group]);
}
parameters {
  real mu;                                     // mean of these G groups
  real<lower=0> sigma;                         // within groups
  real<lower=0> omega;                         // between groups
}
model {
  // The covariance of ybar is diag(d) less omega^2 / G everywhere, since the effects sum to zero:
  // its determinant is r prod(d), and the variance of the weighted mean c of ybar is r / w.
  vector[G] d = square(omega) + square(sigma) ./ n;
  real w = sum(inv(d));
  real r = mean(square(sigma) ./ (n .* d));
  real c = sum(ybar ./ d) / w;
  mu ~ std_normal();
  sigma ~ std_normal();
  omega ~ normal(0, 10);
  ybar ~ normal(c, sqrt(d));
  target += -0.5 * (log(r) + square(c - mu) * w / r);
  target += -(N - G) * log(sigma) - within_ss / (2 * square(sigma));
}
