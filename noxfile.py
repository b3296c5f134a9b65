"""CI: the README's commands to the letter, once on each line of the ecosystem, and a wheel outside of any checkout."""

import os
import re
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"  # the README's own commands make the environment

ROOT = Path(__file__).parent
LINES = ("3.11", "3.12")  # PyMC 5 with ArviZ 0.23, and PyMC 6 with ArviZ 1
PAIR = {
    "model.stan": "data { real y; } parameters { real a; } model { a ~ normal(0, 1); y ~ normal(a, 1); }",
    "model.py": "def build(data):\n    with pm.Model() as model:\n        a = pm.Normal('a')\n"
    "        pm.Normal('y', a, 1, observed=data['y'])\n    return model\n",
    "data.json": '{"y": 1.5}',
}


def readme_command(after: str) -> str:
    """Return the command in the README's first code block after a line with these words."""
    found = re.search(rf"{re.escape(after)}.*?```bash\n(.+?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, f"README.md has no command after {after!r}"
    return found[1]


def interpreter(session: nox.Session, python: str) -> str:
    """Return the path of a Python."""
    return str(
        session.run(f"python{python}", "-c", "import sys; print(sys.executable)", silent=True, external=True)
    ).strip()


@nox.session
@nox.parametrize("python", LINES)
def line(session: nox.Session, python: str) -> None:
    """Run the tests by the README's command, smoke runs of the main job, what is slow or random, ruff and mypy."""
    shims = Path(session.create_tmp())
    (shims / "python3").write_text(f'#!/bin/sh\nexec {interpreter(session, python)} "$@"\n')
    (shims / "python3").chmod(0o755)
    shutil.rmtree(ROOT / ".venv", ignore_errors=True)

    def run(command: str, **variables: str) -> None:
        path = f"{shims}{os.pathsep}{os.environ['PATH']}"
        session.run("bash", "-ec", command, external=True, env={**os.environ, "PATH": path, **variables})

    required = {}
    if python == "3.12":  # here PyStan brings Stan's own C++ engine, so it must not be missing, nor JAX's engines
        run("python3 -m venv .venv && .venv/bin/pip install -q -e '.[pystan,jax]'")
        required = {"HIERBENCH_REQUIRE": "pystan,numpyro,blackjax"}
    slow = " -m ''" if python == "3.12" else ""  # all of them there, in one run, for engines compile for both
    run(readme_command("Run the tests") + slow, **required)
    if slow:
        run(".venv/bin/python -m tests.faults --seed 1 --faults 200")  # at random moments
    run(f"{readme_command('Run the benchmark')} --grid smoke")
    # and nothing else: no C++ compiler is needed
    run(".venv/bin/pytest bench/test_sample.py --benchmark-only --grid smoke --model centered", PYTENSOR_FLAGS="cxx=")
    run(".venv/bin/ruff format --check && .venv/bin/ruff check && .venv/bin/mypy")


@nox.session
@nox.parametrize("python", LINES[-1:])
def wheel(session: nox.Session, python: str) -> None:
    """Install a wheel into an empty environment and use it in an empty folder."""
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder)
    (folder / "pair").mkdir(parents=True)
    for name, text in PAIR.items():
        (folder / "pair" / name).write_text(text)
    session.run(interpreter(session, python), "-m", "venv", str(folder / "venv"), external=True)
    session.run(str(folder / "venv/bin/pip"), "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT), external=True)
    (made,) = folder.glob("*.whl")
    session.run(str(folder / "venv/bin/pip"), "install", "-q", str(made), external=True)
    session.chdir(folder)
    environment = {**os.environ, "PATH": f"{folder / 'venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    for command in (
        "hierbench doctor",
        "hierbench same pair",
        "hierbench calibrate --simulations 2 --model centered --backend stanli",
        "python -m bench --grid smoke --model centered --backend stanli",
        "hierbench report latest",
        "hierbench recommend --pair pair --backend stanli --budget 20",
        "hierbench versions --try $(pip freeze | grep ^stanli==) --model centered --replicates 1",
    ):
        session.run("bash", "-ec", command, external=True, env=environment)
    assert (folder / "reports" / "runs").is_dir()
    assert list((folder / "reports" / "versions").glob("*/versions.html"))
