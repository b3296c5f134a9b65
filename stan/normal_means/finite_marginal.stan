// Finite population, the effects that sum to zero integrated out; the group means are drawn after sampling.
// All that the data say is the sum of squares within groups and, of the groups of each size, how many there are, the
// mean of their means, and the sum of squares about it: the density costs as much as there are sizes.
data {
  int<lower=1> N;                              // observations
  int<lower=2> G;                              // groups
  array[N] int<lower=1, upper=G> group;        // group of each observation
  vector[N] y;
}
transformed data {
  array[G] int size = zeros_int_array(G);
  vector[G] ybar = zeros_vector(G);
  for (i in 1:N) {
    size[group[i]] += 1;
    ybar[group[i]] += y[i];
  }
  ybar ./= to_vector(size);
  real within_ss = dot_self(y - ybar[group]);
  int K = 0;                                   // sizes
  array[N] int place = zeros_int_array(N);     // of each size among them
  for (g in 1:G) {
    if (place[size[g]] == 0) {
      K += 1;
      place[size[g]] = K;
    }
  }
  vector[K] n = zeros_vector(K);
  vector[K] count = zeros_vector(K);           // of groups of a size
  vector[K] center = zeros_vector(K);          // mean of their means
  vector[K] between_ss = zeros_vector(K);      // sum of squares about it
  for (g in 1:G) {
    int k = place[size[g]];
    real off = ybar[g] - center[k];
    n[k] = size[g];
    count[k] += 1;
    center[k] += off / count[k];
    between_ss[k] += off * (ybar[g] - center[k]);
  }
}
parameters {
  real mu;                                     // mean of these G groups
  real<lower=0> sigma;                         // within groups
  real<lower=0> omega;                         // between groups
}
model {
  // The covariance of ybar is diag(d) less omega^2 / G everywhere, since the effects sum to zero:
  // its determinant is r prod(d), and the variance of the weighted mean c of ybar is r / w.
  vector[K] d = square(omega) + square(sigma) ./ n;
  real w = sum(count ./ d);
  real r = sum(count .* square(sigma) ./ (n .* d)) / G;
  real c = sum(count .* center ./ d) / w;
  mu ~ std_normal();
  sigma ~ std_normal();
  omega ~ normal(0, 10);
  center ~ normal(c, sqrt(d ./ count));
  target += -0.5 * sum((count - 1) .* log(d) + between_ss ./ d);
  target += -0.5 * (log(r) + square(c - mu) * w / r);
  target += -(N - G) * log(sigma) - within_ss / (2 * square(sigma));
}
