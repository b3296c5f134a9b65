"""Docstrings say what each parameter is, and their examples run.

The rule is for public functions, methods and classes of `bench/`. Three may leave a parameter out: what pytest calls, a
method whose base class tells of it, and a docstring that says `see` and names another function which does.
"""

import ast
import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

import bench

ROOT = Path(bench.__file__).parent
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n(.*?)(?=^\w[\w ]*\n-{3,}\n|\Z)", re.MULTILINE | re.DOTALL)
"""A section of a docstring in the manner of numpydoc: its head, a line of dashes, and what stands below."""
REFERENCE = re.compile(r"[Ss]ee `(bench(?:\.\w+)+)`")
"""Another function whose docstring says the rest."""


def of_pytest(path: Path) -> bool:
    """Hooks, fixtures and tests: pytest gives their arguments a meaning."""
    return path.name == "conftest.py" or path.name.startswith("test_")


PATHS = [path for path in sorted(ROOT.rglob("*.py")) if not of_pytest(path) and path.name != "__main__.py"]
NAMES = [".".join(("bench", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__") for path in PATHS]
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in zip(NAMES, PATHS, strict=True)}


def entries(doc: str) -> list[str]:
    """Return the lines of a section of parameters that name some."""
    sections = dict(SECTION.findall(inspect.cleandoc(doc) + "\n"))
    return [line for line in sections.get("Parameters", "").splitlines() if line and not line[0].isspace()]


def documented(doc: str) -> set[str]:
    """Return the names of the parameters that a docstring tells of, itself or by a function that it points to."""
    names = {name.strip(" *") for line in entries(doc) for name in line.partition(" : ")[0].split(",")}
    for path in REFERENCE.findall(doc):
        names |= documented(resolve_name(path).__doc__ or "")
    return names


def parameters(node: ast.FunctionDef) -> list[str]:
    """Return the names of a function's parameters, without `self` and `cls`."""
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    return [each.arg for each in given if each is not None and each.arg not in ("self", "cls")]


def public(body: list[ast.stmt], within: str) -> Iterator[tuple[str, list[str], str]]:
    """Yield every public function and method, and what makes a public class: its path, its parameters, its docstring.

    A class says in its own docstring what it is made of.
    """
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, f"{within}.{node.name}")
            made = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
            yield from ((f"{within}.{node.name}", parameters(each), ast.get_docstring(node) or "") for each in made)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{within}.{node.name}", parameters(node), ast.get_docstring(node) or ""


FUNCTIONS = {
    path: (given, doc) for name, source in SOURCES.items() for path, given, doc in public(ast.parse(source).body, name)
}


def inherited(path: str) -> set[str]:
    """Return what base classes tell of a method that overrides theirs, or of what makes a class."""
    owner, _, name = path.rpartition(".")
    if inspect.isclass(resolve_name(path)):
        owner, name = path, ""
    bases = getattr(resolve_name(owner), "__mro__", ())[1:]
    docs = [getattr(vars(base).get(name), "__doc__", "") if name else vars(base).get("__doc__") for base in bases]
    return {told for doc in docs for told in documented(doc or "")}


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if ">>> " in source])
def test_examples_give_what_they_say(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted == SOURCES[name].count(">>> ")
    assert not result.failed


@pytest.mark.parametrize("path", [path for path, (given, _) in FUNCTIONS.items() if len(given) > 1])
def test_a_function_of_several_parameters_tells_what_each_is(path):
    given, doc = FUNCTIONS[path]
    missing = set(given) - documented(doc)
    if missing:
        missing -= inherited(path)
    assert not missing, f"{path} does not tell what these are: {sorted(missing)}"


@pytest.mark.parametrize("path", [path for path, (_, doc) in FUNCTIONS.items() if entries(doc)])
def test_what_is_told_of_is_a_parameter_and_has_a_type(path):
    given, doc = FUNCTIONS[path]
    for line in entries(doc):
        names, _, kind = line.partition(" : ")
        assert kind or names.startswith("*"), f"{path}: {line} has no type"
        assert {name.strip(" *") for name in names.split(",")} <= set(given), f"{path}: {line} is no parameter"


def test_the_rule_sees_what_is_missing():
    doc = (
        "Parameters\n----------\na, b : int\n    Terms.\n*rest : int\n    More.\n\nReturns\n-------\nc : int\n    Sum."
    )
    assert documented(doc) == {"a", "b", "rest"}
    assert documented("Add a and b.") == set()
    assert "values" in documented("See `bench.correctness.places.inside`.")
