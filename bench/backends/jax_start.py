"""Starts JAX in a worker: its engines name this module among their imports, before PyMC's own.

One thread a chain as on the other engines: each chain runs in the thread that calls it, and XLA starts none to help it.
PyMC's module would ask for a hundred devices if JAX had none yet.
"""

import os

import jax

os.environ["NPROC"] = "1"
jax.config.update("jax_cpu_enable_async_dispatch", False)
jax.devices()
