"""The interface of a backend: an engine implements `Backend` and `Posterior`, and returns `Fit`."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from bench.arrays import Bools, Floats, Ints
from bench.families.base import Data, DataError, Model, Program, Values
from bench.settings import Settings

Cache = Literal["none", "built", "disk", "memory"]
Default = Literal["always", "where installed", "never"]
LANGUAGES = {"stan": "Stan", "pymc": "PyMC"}


@dataclass(frozen=True)
class Description:
    """What a program declares.

    Attributes
    ----------
    parameters, transformed : dict of str to tuple of int
        Shapes of its parameters and of what it computes from them, by the names that the Stan program gives them.
        What has no elements, such as a `vector[0]`, is left out.
    """

    parameters: dict[str, tuple[int, ...]]
    transformed: dict[str, tuple[int, ...]]

    @property
    def names(self) -> dict[str, tuple[int, ...]]:
        """Shapes of both."""
        return {**self.parameters, **self.transformed}


@dataclass(frozen=True)
class Fit:
    """One sampling run, as arrays in memory.

    Attributes
    ----------
    draws : dict of str to array
        Each quantity that was asked for, of shape (chain, draw, *its own shape).
    divergent, saturated : array of shape (chain, draw), bool
        Whether the transition diverged, and whether it stopped at the maximum tree depth.
    gradients : array of shape (chain, draw), int
        Gradient evaluations of the transition.
    depth : array of shape (chain, draw), int
        Tree depth of the transition.
    energy : array of shape (chain, draw)
        Hamiltonian at the draw, up to a constant of the chain.
    log_density : array of shape (chain, draw)
        Log density at the draw by the sampler, Jacobian included, up to a constant.
    acceptance : array of shape (chain, draw)
        Mean acceptance statistic of the transition.
    step_size : array of shape (chain,)
        Step size after warm-up.
    warmup_gradients : array of shape (chain, warm-up iteration), int
        Gradient evaluations in warm-up.
    extraction_seconds : float
        Part of the call's wall time between the sampler's end and all arrays in memory.
    warmup_seconds, sampling_seconds : array of shape (chain,), optional
        By the sampler's own clock; None where it has none.
    device : str
        Where densities were evaluated: `CPU`, or the name of a GPU.
    """

    draws: dict[str, Floats]
    divergent: Bools
    saturated: Bools
    gradients: Ints
    depth: Ints
    energy: Floats
    log_density: Floats
    acceptance: Floats
    step_size: Floats
    warmup_gradients: Ints
    extraction_seconds: float
    warmup_seconds: Floats | None = None
    sampling_seconds: Floats | None = None
    device: str = "CPU"


class Posterior(ABC):
    """A model bound to data and ready to sample.

    Its maps between vectors and values are those of its language (`StanMaps`, `PyMCMaps`): the gate compares these
    once, and the densities of all engines.

    Attributes
    ----------
    cache : str
        What served the build: `none` (there is nothing to compile), `built` (compiled now),
        `disk` or `memory` (compiled before).
    """

    cache: Cache

    @property
    @abstractmethod
    def description(self) -> Description:
        """Names and shapes."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Length of an unconstrained vector."""

    @abstractmethod
    def constrain(self, position: Floats) -> dict[str, Floats]:
        """Map an unconstrained vector to values of the parameters, by the library's own transforms."""

    @abstractmethod
    def unconstrain(self, values: Values) -> Floats:
        """Map values to the backend's own unconstrained vector, by the library's own transforms.

        Values outside of the support give NaN or infinity, or raise.
        """

    @abstractmethod
    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the very function that the sampler uses at an unconstrained vector, Jacobian included."""

    @abstractmethod
    def log_jacobian_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the log Jacobian determinant of `constrain` and its gradient, up to a constant."""

    def compile_for(self, settings: Settings) -> None:  # noqa: B027, optional
        """Compile what can't be compiled without knowing the settings; mostly nothing. It counts as part of the build.

        Parameters
        ----------
        settings : Settings
            Of the fits that follow.
        """

    def get_ready(self, settings: Settings, seed: int, start: Sequence[Values]) -> None:  # noqa: B027, optional
        """Do, before the clock starts, what a fit from these starts needs beside its own call; mostly nothing.

        Parameters
        ----------
        settings : Settings
            Of the fit that follows.
        seed : int
            Of that fit.
        start : sequence of Values
            Its starts: values of all parameters, one mapping a chain.
        """

    @abstractmethod
    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample.

        Parameters
        ----------
        settings : Settings
            What is asked.
        seed : int
            Seed of all chains.
        start : sequence of Values, optional
            Values of all parameters, one mapping a chain; None for the backend's own starts.
        keep : sequence of str
            Parameters and transformed quantities whose draws are wanted.

        Returns
        -------
        Fit
            Draws and statistics of all chains, in memory.
        """


@dataclass(frozen=True)
class EngineOption:
    """What can be chosen in an engine, beside what all engines are asked alike.

    Attributes
    ----------
    values : tuple of str
        What there is, but for the default.
    of : str
        What it changes, `gradient` or `sampler`.
    called : dict of str to str
        What that is then called, by value, where something else takes its place; elsewhere the option is added to its
        name.
    """

    values: tuple[str, ...]
    of: Literal["gradient", "sampler"]
    called: Mapping[str, str] = field(default_factory=dict)


class Backend(ABC):
    """An engine that samples models written in one language.

    Attributes
    ----------
    name : str
        Its name everywhere.
    language : str
        `stan` or `pymc`.
    gradient, sampler : str
        What evaluates log densities and gradients, and whose NUTS walks along them. Of two backends that share one of
        them, the other makes the difference.
    imports : tuple of str
        Modules that its worker imports before anything is timed.
    default : str
        Whether a run without `--backend` includes it: `always`, `where installed` or `never`.
    extra : str
        The extra of this project that installs it, empty where none is needed.
    stock : Settings
        Its own defaults, for `--protocol stock`.
    options : dict of str to EngineOption
        What can be chosen in it.
    chosen : dict of str to str
        What was chosen; empty for all defaults.
    compared_at : int, optional
        Places at which the gate compares it, where one evaluation takes milliseconds; None for all.
    rounds_draws : bool
        Whether its draws come through a text file that keeps some digits only.
    """

    name: str
    language: Literal["stan", "pymc"]
    gradient: str
    sampler: str
    imports: tuple[str, ...]
    default: Default = "always"
    extra: str = ""
    stock: Settings = Settings(chains=4, warmup=1000, draws=1000, target_accept=0.8, max_treedepth=10)
    options: Mapping[str, EngineOption] = MappingProxyType({})
    chosen: Mapping[str, str] = MappingProxyType({})
    compared_at: int | None = None
    rounds_draws: bool = False

    @abstractmethod
    def unavailable(self) -> str | None:
        """Say why it can't run here and what to type, or None if it can."""

    def variant(self, chosen: Mapping[str, str]) -> "Backend":
        """Return the engine with options; its name tells of them, as in `nutpie[adaptation=low_rank]`.

        Parameters
        ----------
        chosen : mapping of str to str
            Value of each option; those of `options`.
        """
        made = deepcopy(self)
        said = ";".join(f"{name}={value}" for name, value in chosen.items())
        made.name, made.chosen = f"{self.name}[{said}]", dict(chosen)
        for name, value in chosen.items():
            option = self.options[name]
            called = option.called.get(value, f"{getattr(made, option.of)} {name}={value}")
            setattr(made, option.of, called)
        return made

    def unsupported(self, model: Model) -> str | None:
        """Say why it can't run this model, or None if it can."""
        if getattr(model, self.language) is None:
            return f"{model.name} has no {LANGUAGES[self.language]} program"
        return None

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """Versions of all that decides its speed and its draws."""

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        """Environment variables that move its compilation cache into a folder; none where nothing is kept."""
        return {}

    @abstractmethod
    def prepare(self, model: Model, data: Data) -> Posterior:
        """Bind a model to data; compiles what is not compiled yet.

        What was compiled before is found by a digest of program and data, never by a name.

        Parameters
        ----------
        model : Model
            Its program in the language of this backend is taken.
        data : mapping of str to int, float or array
            The data block of the Stan program, whatever the language.

        Raises
        ------
        DataError
            If the model has no program in that language.
        """

    def describe(self, model: Model, data: Data) -> Description:
        """Return names and shapes of a model without compiling it, where that can be done.

        Parameters
        ----------
        model : Model
            As in `prepare`.
        data : mapping of str to int, float or array
            As in `prepare`.
        """
        return self.prepare(model, data).description

    def program(self, model: Model) -> Program:
        """Return the model's program in the language of this backend.

        Raises
        ------
        DataError
            If it has none.
        """
        program: Program | None = getattr(model, self.language)
        if program is None:
            raise DataError(f"{model.name} has no {LANGUAGES[self.language]} program")
        return program


def installed(*packages: str) -> str | None:
    """Say how to install the first of these distributions that is not there, or None.

    The metadata is asked, never `find_spec`: from the project's root it would find our own `stan/` folder.
    """
    from importlib.metadata import PackageNotFoundError, version

    for package in packages:
        try:
            version(package)
        except PackageNotFoundError:
            return f"{package} is not installed; type: pip install {package}"
    return None


@cache
def compiler() -> str:
    """Version of the C++ compiler g++, or `none`."""
    try:
        return subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none"
