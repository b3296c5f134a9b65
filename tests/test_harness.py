"""The harness as its users call it: pytest in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.records import read_records, read_run

ROOT = Path(__file__).parent.parent
FAST = ("--chains", "2", "--warmup", "200", "--draws", "200", "--backend", "stanli")


def bench(runs, *arguments, files=("bench/test_sample.py",), **environment):
    command = [sys.executable, "-m", "pytest", *files, "--benchmark-only", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--runs", str(runs), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def only_run(runs):
    (folder,) = Path(runs).iterdir()
    return folder


def test_a_smoke_run_measures_every_model_prints_and_records(tmp_path):
    runs, stored = tmp_path / "runs", tmp_path / "stored.json"
    done = bench(runs, "--grid", "smoke", *FAST, "--benchmark-json", str(stored), files=("bench/",))
    assert done.returncode == 0, done.stdout + done.stderr
    folder = only_run(runs)
    records = read_records(folder)
    assert len(records) == len({record.key for record in records}) == 6
    assert {record.status for record in records} == {"ok"}
    assert read_run(folder)["datasets"] == {"omega1-G5-n20-s41": records[0].dataset_digest}
    for at, record in enumerate(records, 1):
        assert f"[{at}/6] {record.dataset} {record.model} stanli" in done.stdout
    assert "fastest healthy, superpopulation" in done.stdout
    benchmarks = json.loads(stored.read_text())["benchmarks"]
    samples = [b for b in benchmarks if b["name"].startswith("test_sample")]
    assert [b["extra_info"]["records"] for b in samples] == [[record.to_dict()] for record in records]
    assert len([b for b in benchmarks if b["name"].startswith("test_gradient")]) == 6


def test_replicates_are_rounds(tmp_path):
    stored = tmp_path / "stored.json"
    arguments = ("--grid", "smoke", *FAST, "--model", "centered", "--replicates", "3", "--benchmark-json", str(stored))
    assert bench(tmp_path / "runs", *arguments).returncode == 0
    (benchmark,) = json.loads(stored.read_text())["benchmarks"]
    assert benchmark["stats"]["rounds"] == 3
    records = read_records(only_run(tmp_path / "runs"))
    assert [record.replicate for record in records] == [0, 1, 2]
    for seconds, record in zip(benchmark["stats"]["data"], records, strict=True):
        assert seconds >= record.wall_seconds


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--backend", "stan"), "no backend 'stan'; there are: cmdstan, stanli, pystan, pymc, nutpie"),
        (("--model", "centred"), "no model 'centred'; there are: centered"),
        (("--grid", "big"), "no grid 'big'; its grids are: quick, smoke, thread, full"),
        (("--chains", "0"), "chains is 0; give 1 or more (--chains 1)"),
        (("--replicates", "0"), "--replicates is 0; give 1 or more"),
        (("--data", "x.csv"), "--group-column NAME --value-column NAME"),
        (("--data", "x.csv", "--group-column", "g", "--value-column", "y"), "x.csv: no such file"),
        (("--resume", "nothing", "--backend", "stanli"), "no run 'nothing'; the newest are: none yet"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_sampled(arguments, said, tmp_path):
    done = bench(tmp_path / "runs", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_readers_table_with_text_labels_is_fit(tmp_path):
    table = tmp_path / "my table.csv"
    rows = [f"school {'abc'[i % 3]}, {i % 3 + 0.1 * (i % 7)}" for i in range(60)]
    table.write_text("where,score\n" + "\n".join(rows))
    arguments = (
        "--data",
        str(table),
        "--group-column",
        "where",
        "--value-column",
        "score",
        *FAST,
        "--model",
        "centered",
    )
    done = bench(tmp_path / "runs", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = read_records(only_run(tmp_path / "runs"))
    assert record.dataset.startswith("my_table-")
    assert (record.sizes, record.generated_with) == ({"observations": 60, "groups": 3}, {})


def test_a_backend_that_cannot_run_is_skipped_with_its_reason_and_recorded(tmp_path):
    nowhere = {"CMDSTAN": str(tmp_path / "nowhere"), "HOME": str(tmp_path)}
    arguments = ("--grid", "smoke", "--backend", "cmdstan", "--model", "centered")
    done = bench(tmp_path / "runs", *arguments, **nowhere)
    assert done.returncode == 1
    assert "1 skipped" in done.stdout
    assert "install_cmdstan" in done.stdout
    (record,) = read_records(only_run(tmp_path / "runs"))
    assert record.status == "unavailable"
    assert "install_cmdstan" in record.reason


def test_the_default_run_is_72_fits_and_names_what_is_missing(tmp_path):
    done = bench(tmp_path, "--collect-only", "-q", CMDSTAN=str(tmp_path), HOME=str(tmp_path))
    ids = [line for line in done.stdout.splitlines() if "test_sample[" in line]
    assert len(ids) == len(set(ids)) == 72
    done = bench(tmp_path, "--collect-only", CMDSTAN=str(tmp_path), HOME=str(tmp_path))
    assert "without cmdstan: " in done.stdout


def test_builds_are_timed_when_they_are_named_and_cold_ones_when_asked_for(tmp_path):
    arguments = ("--grid", "smoke", "--backend", "stanli", "--model", "centered")
    stored = tmp_path / "stored.json"
    warm = bench(tmp_path / "runs", *arguments, "--benchmark-json", str(stored), files=("bench/test_prepare.py",))
    assert warm.returncode == 0, warm.stdout + warm.stderr
    assert [b["name"].split("[")[0] for b in json.loads(stored.read_text())["benchmarks"]] == ["test_prepare_warm"]
    cold = bench(tmp_path / "runs", *arguments, "--cold", "--collect-only", "-q", files=("bench/",))
    assert "test_prepare_cold" in cold.stdout
    none = bench(tmp_path / "runs", *arguments, "--collect-only", "-q", files=("bench/",))
    assert "test_prepare" not in none.stdout


def test_stock_runs_each_backend_with_its_own_defaults(tmp_path):
    done = bench(
        tmp_path / "runs", "--grid", "smoke", "--backend", "stanli", "--model", "centered", "--protocol", "stock"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = read_records(only_run(tmp_path / "runs"))
    assert record.protocol == "stock"
    assert record.settings["chains"] == 4
