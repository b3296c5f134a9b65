"""The registry of backends: adding one is one module and one line here."""

from bench.backends.base import Backend
from bench.backends.blackjax import BlackJAX
from bench.backends.cmdstan import CmdStan
from bench.backends.numpyro import NumPyro
from bench.backends.nutpie import Nutpie
from bench.backends.nutpie_stan import NutpieStan
from bench.backends.pymc import PyMC
from bench.backends.pystan import PyStan
from bench.backends.stanli import Stanli

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (CmdStan(), Stanli(), PyStan(), NutpieStan(), PyMC(), Nutpie(), NumPyro(), BlackJAX())
}
