"""CI: the README's commands to the letter, once on each line of the ecosystem."""

import os
import re
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"  # the README's own commands make the environment

ROOT = Path(__file__).parent
LINES = ("3.11", "3.12")  # PyMC 5 with ArviZ 0.23, and PyMC 6 with ArviZ 1


def readme_command(after: str) -> str:
    """Return the command in the README's first code block after a line with these words."""
    found = re.search(rf"{re.escape(after)}.*?```bash\n(.+?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, f"README.md has no command after {after!r}"
    return found[1]


@nox.session
@nox.parametrize("python", LINES)
def line(session: nox.Session, python: str) -> None:
    """Run the tests by the README's command, then a smoke run of the main job, ruff and mypy."""
    interpreter = session.run(f"python{python}", "-c", "import sys; print(sys.executable)", silent=True, external=True)
    shim = Path(session.create_tmp()) / "python3"
    shim.write_text(f'#!/bin/sh\nexec {str(interpreter).strip()} "$@"\n')
    shim.chmod(0o755)
    shutil.rmtree(ROOT / ".venv", ignore_errors=True)

    def run(command: str, **variables: str) -> None:
        path = f"{shim.parent}{os.pathsep}{os.environ['PATH']}"
        session.run("bash", "-ec", command, external=True, env={**os.environ, "PATH": path, **variables})

    if python == "3.12":  # here PyStan brings Stan's own C++ engine, so it must not be missing
        run("python3 -m venv .venv && .venv/bin/pip install -q -e '.[pystan]'")
        run(readme_command("Run the tests"), HIERBENCH_REQUIRE="pystan")
    else:
        run(readme_command("Run the tests"))
    run(f"{readme_command('Run the benchmark')} --grid smoke")
    run(".venv/bin/ruff format --check && .venv/bin/ruff check && .venv/bin/mypy")
