// Superpopulation, the group means integrated out and drawn after sampling.
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
  real mu;                                     // mean of the population of groups
  real<lower=0> sigma;                         // within groups
  real<lower=0> omega;                         // between groups
}
model {
  mu ~ std_normal();
  sigma ~ std_normal();
  omega ~ normal(0, 10);
  ybar ~ normal(mu, sqrt(square(omega) + square(sigma) ./ n));
  target += -(N - G) * log(sigma) - within_ss / (2 * square(sigma));
}
