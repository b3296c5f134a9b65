"""Checkouts to install: a package of one module that builds itself, for no build tool is at hand without a network."""

import subprocess
from pathlib import Path

BUILDER = """
import zipfile
from pathlib import Path

NAME = {name!r}


def build_wheel(folder, config_settings=None, metadata_directory=None):
    wheel, info = f"{{NAME}}-0.0.1-py3-none-any.whl", f"{{NAME}}-0.0.1.dist-info"
    with zipfile.ZipFile(Path(folder) / wheel, "w") as file:
        file.write(f"{{NAME}}.py")
        file.writestr(f"{{info}}/METADATA", f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: 0.0.1\\n")
        file.writestr(f"{{info}}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(f"{{info}}/RECORD", "")
    return wheel
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path) -> str:
    """Put all that is in a folder under git and return the commit."""
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "a commit")
    return git(folder, "rev-parse", "HEAD")


def checkout(folder: Path, name: str) -> Path:
    """Write a package of one module."""
    folder.mkdir(parents=True)
    (folder / f"{name}.py").write_text("answer = 1\n")
    (folder / "builder.py").write_text(BUILDER.format(name=name))
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "0.0.1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "builder"\nbackend-path = ["."]\n'
    )
    return folder


def cmdstan(folder: Path, version: str) -> Path:
    """Write what CmdStanPy looks for in a CmdStan that is built."""
    for program in ("bin/stanc", "examples/bernoulli/bernoulli"):
        path = folder / program
        path.parent.mkdir(parents=True)
        path.touch(mode=0o755)
    (folder / "makefile").write_text(f"CMDSTAN_VERSION := {version}\n")
    return folder
