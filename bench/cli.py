"""The `hierbench` command: what may be typed, and how it ends."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.commands import COMMANDS, POSTERIORS, failed
from bench.comparing.effect import MEASURES
from bench.families.normal_means.data import GRIDS
from bench.files import open_terminal
from bench.records import RUNS, RunError
from bench.settings import DASK, add_options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 a condition or the machine failed, 2 usage, 3 can't tell."""
    open_terminal()
    try:
        Path.cwd()
    except FileNotFoundError:
        return failed("the working directory was deleted; change to one that is there: cd", 2)
    options = _parser().parse_args(arguments)
    options.typed = ["hierbench", *(sys.argv[1:] if arguments is None else arguments)]
    try:
        code = int(COMMANDS[options.command](options))
        print(end="", flush=True)
        return code
    except BrokenPipeError:  # nobody reads on, as after `| head`
        _silence()
        return 141
    except (RunError, ValueError) as error:
        return failed(str(error), 2)
    except OSError as error:
        _silence()
        return failed(f"{error}; free space, mend permissions, or name another place", 1)
    except KeyboardInterrupt:
        return failed("stopped", 130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hierbench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    margin = "until each case is faster, slower or the same within, e.g., 5%% (default: 10%%)"
    decide: dict[str, Any] = {"nargs": "?", "const": "10%", "metavar": "MARGIN", "help": f"go on {margin}"}

    commands.add_parser("doctor", help="what can run here, and how to get the rest")

    same = commands.add_parser("same", help="are two programs the same posterior, and if not, where do they part?")
    same.add_argument("path", nargs="*", type=Path, help="a folder, or two programs and their data: a.stan b.py d.json")
    same.add_argument("--posteriordb", type=Path, metavar="PATH", help="all pairs of a checkout of posteriordb instead")
    same.add_argument("--posterior", metavar="NAMES", help="of its posteriors, separated by commas (default: all)")
    same.add_argument("--fit-timeout", type=float, metavar="S", help="seconds a pair may take (default: 120)")
    same.add_argument("--memory-limit", type=float, metavar="GIB", help="memory an engine may hold (default: 6)")
    same.add_argument("--cores", type=int, metavar="N", help="pairs at the same time (default: all cores)")
    same.add_argument("--output", type=Path, metavar="FOLDER", help="of the table, resumed (default: reports/same)")
    same.add_argument("--strict-numerics", action="store_true", help="end with 1 where one of them loses digits too")
    same.add_argument("--json", action="store_true", help="print JSON for machines")

    export = commands.add_parser("export", help="rebuild a file of pytest-benchmark from the records of a run")
    export.add_argument("run", help="id or path of a run, or latest")
    export.add_argument("--to", choices=["pytest-benchmark"], required=True)
    export.add_argument("--output", type=Path, help="file to write (default: standard output)")

    report = commands.add_parser(
        "report", help="rebuild the pages of a run, with pictures of unhealthy fits, or of several together"
    )
    report.add_argument("run", nargs="+", help="ids or paths of runs, or latest")
    report.add_argument("--output", type=Path, help="folder to write (default: that of the run)")

    compare = commands.add_parser("compare", help="compare two runs, or the backends or models of one")
    compare.add_argument("run", nargs="+", help="A and B, or one run with --by backend, model or case")
    compare.add_argument("--by", choices=["backend", "model", "case", "version"], default="version")
    compare.add_argument("--reference", help="backend, model or case that the others are compared with")
    compare.add_argument("--fail-on", metavar="CONDITION", help="end with 1 if B is, e.g., slower:10%%; 3: can't tell")
    compare.add_argument("--decide", **decide)
    compare.add_argument("--undecided", choices=("pass",), help="end with 0 where --fail-on can't tell")
    compare.add_argument("--anyway", action="store_true", help="compare although data, settings or machines differ")
    form = compare.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON for machines")
    form.add_argument("--markdown", action="store_true", help="print Markdown, for a comment on a pull request")

    exact = commands.add_parser("exact", help="the exact posteriors of the thread's datasets, as CSV")
    exact.add_argument("--output", type=Path, help="file to write (default: standard output)")

    thread = commands.add_parser("thread", help="the page that answers the forum thread, from a run of its grid")
    thread.add_argument("run", help="id or path of a run, or latest")
    thread.add_argument("--output", type=Path, help="file to write (default: standard output)")

    slopes = commands.add_parser("slopes", help="the page on varying slopes with many groups, from a run of that grid")
    slopes.add_argument("run", help="id or path of a run, or latest")
    slopes.add_argument("--output", type=Path, help="file to write, its picture beside it (default: standard output)")

    calibrate = commands.add_parser("calibrate", help="simulation-based calibration; typed again, it goes on")
    calibrate.add_argument("--family", default="normal_means", help="names, separated by commas (normal_means)")
    calibrate.add_argument("--model", help="names, separated by commas (default: all)")
    calibrate.add_argument("--backend", default="stanli,pymc", help="names, separated by commas (default: stanli,pymc)")
    calibrate.add_argument("--simulations", type=int, default=100, help="fits of each (default: 100)")
    calibrate.add_argument("--seed", type=int, default=1)
    calibrate.add_argument("--dask", metavar="ADDRESS", help=DASK)
    calibrate.add_argument("--fit-timeout", type=float, metavar="S", default=900, help="seconds a fit may take (900)")
    calibrate.add_argument("--memory-limit", type=float, metavar="GIB", help="memory an engine may hold (no limit)")
    calibrate.add_argument(
        "--output", type=Path, default=Path("reports/calibration"), metavar="FOLDER",
        help="of ranks and page; what it holds is not made again (default: reports/calibration)",
    )  # fmt: skip

    history = commands.add_parser("history", help="each case over runs, with its changes marked")
    history.add_argument("run", nargs="*", help="ids or paths of runs, or files of pytest-benchmark (default: all)")
    history.add_argument("--measure", choices=list(MEASURES), help="(default: wall_seconds and ess_per_second)")
    history.add_argument("--by", choices=["date", "version"], default="date", help="what names a run (default: date)")
    history.add_argument("--output", type=Path, default=Path("reports/history"), help="folder of the page to write")
    history.add_argument("--with-recommend", action="store_true", help="take the runs of hierbench recommend too")
    history.add_argument("--json", action="store_true", help="print JSON for machines")

    versions = commands.add_parser("versions", help="the same fits in environments with other versions")
    versions.add_argument("--try", dest="tried", metavar="NAMES", help="requirements, cmdstan==V, or a TOML file")
    versions.add_argument("--family", metavar="NAMES", help="names, separated by commas (default: normal_means)")
    versions.add_argument("--grid", help=f"its datasets: for normal_means {', '.join(GRIDS)} (default: smoke)")
    versions.add_argument("--model", help="names, separated by commas (default: all)")
    versions.add_argument("--replicates", type=int, help="fits of each (default: 5)")
    add_options(versions.add_argument)
    versions.add_argument("--resume", nargs="?", const="latest", metavar="ID", help="go on, or add --replicates")
    versions.add_argument("--output", type=Path, help="folder of all comparisons (default: reports/versions)")
    versions.add_argument("--fail-on", metavar="CONDITION", help="1: a later one is, e.g., slower:10%%; 3: can't tell")
    versions.add_argument("--decide", **decide)
    versions.add_argument("--budget", type=float, metavar="MINUTES", help="to measure with --decide (default: any)")
    versions.add_argument("--max-replicates", type=int, metavar="N", help="of a case, with --decide (default: 20)")
    versions.add_argument("--gradient", action="store_true", help="time evaluations of the gradient alone, no fits")
    versions.add_argument("--dask", metavar="ADDRESS", help=DASK)
    versions.add_argument("--undecided", choices=("pass",), help="end with 0 where --fail-on can't tell")
    form = versions.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON for machines")
    form.add_argument("--markdown", action="store_true", help="print Markdown, for a comment on a pull request")

    chart = commands.add_parser("map", help="centered or not: which form wins where, by information and groups")
    chart.add_argument("--budget", type=float, default=60, metavar="MINUTES", help="to measure (default: 60)")
    chart.add_argument("--posterior", choices=POSTERIORS[0], help="that the models target (default: superpopulation)")
    chart.add_argument("--model", help="names, separated by commas (default: all of that posterior)")
    chart.add_argument("--backend", help="names, separated by commas (default: stanli,nutpie_stan)")
    chart.add_argument("--seed", type=int, help="of data and fits (default: 1)")
    chart.add_argument(
        "--fit-timeout", type=float, default=60, metavar="S", help="seconds a fit may take (default: 60)"
    )
    add_options(chart.add_argument)
    chart.add_argument("--dask", metavar="ADDRESS", help=DASK)
    chart.add_argument("--resume", nargs="?", const="latest", metavar="RUN", help="go on with what it asked")

    recommend = commands.add_parser(
        "recommend", help="which model for your own table, which backend for your own model"
    )
    recommend.add_argument("table", nargs="?", type=Path, help="CSV or Parquet")
    recommend.add_argument("--group-column", help="its column of group labels")
    recommend.add_argument("--value-column", help="its column of observations")
    recommend.add_argument("--slope-column", help="its column of a predictor, for a slope that varies by group")
    recommend.add_argument("--pair", type=Path, metavar="FOLDER", help="your own programs and data, instead of a table")
    recommend.add_argument("--budget", type=float, default=45, help="seconds to measure (default: 45)")
    recommend.add_argument("--target-ess", type=float, default=1000, help="smallest bulk ESS wanted (default: 1000)")
    recommend.add_argument(
        "--posterior", choices=[name for names in POSTERIORS for name in names],
        help="whether mu is the mean of the population the groups came from (default), or of these groups; with "
        "--slope-column: independent (default) or correlated effects, or the group means of x as a predictor (between)",
    )  # fmt: skip
    recommend.add_argument("--as-is", action="store_true", help="give the models y as it is, however far from 0")
    recommend.add_argument("--model", help="names, separated by commas (default: all)")
    recommend.add_argument("--backend", help="names, separated by commas (default: all that run here, without pystan)")
    add_options(recommend.add_argument)
    recommend.add_argument("--seed", type=int, default=1)
    recommend.add_argument("--resume", metavar="RUN", help="spend the budget on more fits of this run")
    recommend.add_argument("--json", action="store_true", help="print JSON for machines")

    for command in (export, report, compare, thread, slopes, history, chart, recommend):
        command.add_argument("--runs", type=Path, default=RUNS, help="folder of all runs (default: reports/runs)")
    return parser


def _silence() -> None:
    """Drop what was not printed yet, because it can't be printed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError, AttributeError):  # a standard output that is closed, or no file
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
