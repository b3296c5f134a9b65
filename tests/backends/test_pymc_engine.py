"""What engines on PyMC models remember of what they compiled."""

from pathlib import Path

import pytest

from bench.backends import pymc_engine
from bench.backends.pymc import PyMC
from bench.families.base import Model, Program

CODE = "with pm.Model() as model:\n    pm.Normal('x', 0, {sd})\n"
NARROW, WIDE = (Model("m", "t", pymc=Program(Path("m.py"), CODE.format(sd=sd))) for sd in (1, 2))


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run over hundreds of models does not keep them all."""
    engine = PyMC()
    first = engine.prepare(NARROW, {})
    assert engine.prepare(NARROW, {}) is first
    monkeypatch.setattr(pymc_engine, "KEPT", 1)
    second = engine.prepare(WIDE, {})
    assert engine.prepare(WIDE, {}) is second
    assert engine.prepare(NARROW, {}) is not first
