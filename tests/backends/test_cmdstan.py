"""CmdStan's build, by a stand-in for make where there is no CmdStan."""

from pathlib import Path

import pytest

from bench.backends.base import Backend
from bench.backends.cmdstan import CmdStan
from bench.families.base import Model, Program
from tests.checkouts import cmdstan

MODEL = Model("m", "t", stan=Program(Path("m.stan"), "parameters { real x; } model { x ~ normal(0, 1); }"))
MAKE = """#!/bin/sh
echo "$@" >> {asked}
for target; do :; done
printf '#!/bin/sh\\necho stan_version_major = 2' > "$target"
chmod +x "$target"
"""


def test_options_reach_stanc_and_make_and_have_executables_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, asked = tmp_path / "make", tmp_path / "asked"
    make.write_text(MAKE.format(asked=asked))
    make.chmod(0o755)
    for name, value in {"CMDSTAN": cmdstan(tmp_path / "c", "2.38.0"), "MAKE": make, "XDG_CACHE_HOME": tmp_path}.items():
        monkeypatch.setenv(name, str(value))
    names = ("stanc_O1", "STAN_NO_RANGE_CHECKS", "STAN_CPP_OPTIMS")
    plain, every, one = (CmdStan().variant(dict.fromkeys(some, "true")) for some in ((), names, names[2:]))
    assert [prepared(engine) for engine in (plain, every, one, every)] == ["built", "built", "built", "disk"]
    options = ["--O1", "STAN_NO_RANGE_CHECKS=true", "STAN_CPP_OPTIMS=true"]
    found = [[option in line for option in options] for line in asked.read_text().splitlines()]
    assert found == [[False] * 3, [True] * 3, [False, False, True]]
    assert every.gradient == "Stan C++ stanc_O1=true STAN_NO_RANGE_CHECKS=true STAN_CPP_OPTIMS=true"


def prepared(engine: Backend) -> str:
    assert isinstance(engine, CmdStan)
    return engine._executable(engine.program(MODEL))[1]
