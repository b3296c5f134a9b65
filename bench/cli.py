"""The `hierbench` command."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.records import RUNS, RunError, find_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 a condition failed, 2 usage."""
    parser = argparse.ArgumentParser(prog="hierbench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    commands.add_parser("doctor", help="what can run here, and how to get the rest")

    export = commands.add_parser("export", help="rebuild a file of pytest-benchmark from the records of a run")
    export.add_argument("run", help="id or path of a run, or latest")
    export.add_argument("--to", choices=["pytest-benchmark"], required=True)
    export.add_argument("--output", type=Path, help="file to write (default: standard output)")

    for command in (export,):
        command.add_argument("--runs", type=Path, default=RUNS, help="folder of all runs (default: reports/runs)")

    options = parser.parse_args(arguments)
    try:
        return int(globals()[f"_{options.command}"](options))
    except (RunError, ValueError) as error:
        print(f"hierbench: {error}", file=sys.stderr)
        return 2


def _doctor(options: argparse.Namespace) -> int:
    from bench.backends import BACKENDS
    from bench.environment import environment

    machine = environment()
    print(f"Python {machine['python']} on {machine['system']}, {machine['cpu']}, {machine['cores']} cores")
    for name, backend in BACKENDS.items():
        reason = backend.unavailable()
        if reason is None:
            versions = ", ".join(f"{package} {version}" for package, version in backend.versions().items())
            print(f"{name:<9} ready    {versions}{'' if backend.default else f'  (asked for by name: --backend {name})'}")
        else:
            print(f"{name:<9} missing  {reason}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from bench.export import export

    text = json.dumps(export(find_run(options.run, options.runs)), indent=1)
    if options.output:
        options.output.write_text(text + "\n")
    else:
        print(text)
    return 0
