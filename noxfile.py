"""CI: the README's commands, once on each line of the ecosystem."""

import os
import re
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"  # the README's own command makes the environment

ROOT = Path(__file__).parent
LINES = {"3.11": "PyMC 5 with ArviZ 0.23", "3.12": "PyMC 6 with ArviZ 1"}


def readme_command(after: str) -> str:
    """Return the command of the README's code block that follows a line with these words."""
    text = (ROOT / "README.md").read_text()
    found = re.search(rf"{re.escape(after)}.*?```(?:bash|sh)\n(.+?)\n```", text, re.DOTALL)
    assert found, f"README.md has no command after {after!r}"
    return found[1].strip()


@nox.session
@nox.parametrize("python", list(LINES))
def line(session: nox.Session, python: str) -> None:
    """Run the tests by the README's command, then a smoke run of the main job, ruff and mypy."""
    environment = ROOT / f".venv-{python}"

    def run(command: str, **variables: str) -> None:
        command = command.replace("python3 -m venv .venv", f"python{python} -m venv {environment.name}")
        command = command.replace(".venv/bin/", f"{environment.name}/bin/")
        session.run("bash", "-ec", command, external=True, env={**os.environ, **variables})

    tests = readme_command("Run the tests")
    if python == "3.12":  # here PyStan brings Stan's own C++ engine, so it must not be missing
        run(f"python3 -m venv .venv && .venv/bin/pip install -q -e '.[pystan]' && {tests}", HIERBENCH_REQUIRE="pystan")
    else:
        run(tests)
    run(f"{readme_command('Run the benchmark')} --grid smoke")
    run(".venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy")
