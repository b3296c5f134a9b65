"""Which package may know which."""

import ast
from pathlib import Path

import pytest

import bench

FOLDER = Path(bench.__file__).parent
UNKNOWN = {
    "families": ("running", "comparing", "report", "deciding"),
    "backends": ("correctness", "running", "comparing", "report", "deciding"),
    "correctness": ("running", "comparing", "report", "deciding"),
    "running": ("comparing", "report", "deciding"),
    "comparing": ("families", "correctness", "backends", "running", "report", "deciding"),
    "report": ("families", "backends", "running", "deciding"),
}
"""What the modules of a package may not import."""


@pytest.mark.parametrize("package", UNKNOWN)
def test_no_package_imports_what_is_above_it(package: str) -> None:
    found = []
    for path in sorted((FOLDER / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            found += [
                f"{path.relative_to(FOLDER)} imports {name}"
                for name in names
                if any(name == f"bench.{above}" or name.startswith(f"bench.{above}.") for above in UNKNOWN[package])
            ]
    assert found == []
