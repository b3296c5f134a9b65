"""The registry of backends: adding one is one module and one line here."""

from bench.backends.base import Backend
from bench.backends.nutpie import Nutpie
from bench.backends.pymc import PyMC
from bench.backends.stanli import Stanli

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (Stanli(), PyMC(), Nutpie())}
