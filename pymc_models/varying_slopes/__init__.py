"""The models in PyMC, one module each, with the same names as the Stan programs in `stan/`."""
