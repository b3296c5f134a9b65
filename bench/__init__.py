"""hierbench: the same hierarchical models in Stan and PyMC, measured on identical data."""
