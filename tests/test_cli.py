import csv
import io

import pytest

from bench.backends import BACKENDS
from bench.cli import main


def test_doctor_names_every_backend_with_versions_or_what_to_type(capsys, monkeypatch):
    monkeypatch.setattr(BACKENDS["nutpie"], "unavailable", lambda: "nutpie is gone; type: pip install nutpie")
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    said = {line.split()[0]: line for line in lines[1:]}
    assert set(said) == set(BACKENDS)
    assert "type: pip install nutpie" in said["nutpie"]
    assert f"stanli {BACKENDS['stanli'].versions()['stanli']}" in said["stanli"]


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    path = tmp_path_factory.mktemp("exact") / "new" / "exact.csv"
    assert main(["exact", "--output", str(path)]) == 0
    return path.read_text()


@pytest.mark.slow
def test_the_exact_table_has_the_known_figures(exact):
    rows = list(csv.DictReader(io.StringIO(exact)))
    assert len(rows) == 9 * 2 * 3
    means = {(r["posterior"], r["quantity"]): float(r["mean"]) for r in rows if r["dataset"] == "omega1-G5-n20-s41"}
    assert means["finite_population", "omega"] == pytest.approx(1.2410, abs=5e-5)
    assert means["superpopulation", "omega"] == pytest.approx(1.3142, abs=5e-5)
    assert means["superpopulation", "mu"] == pytest.approx(1.3200, abs=5e-5)


@pytest.mark.slow
def test_the_committed_exact_table_is_the_one_that_is_computed(exact, pytestconfig):
    found = list(csv.reader(io.StringIO(exact)))
    with (pytestconfig.rootpath / "reports" / "reference" / "exact.csv").open(newline="") as file:
        committed = list(csv.reader(file))
    assert [row[:4] for row in found] == [row[:4] for row in committed]
    for ours, theirs in zip(found[1:], committed[1:], strict=True):
        assert [float(x) for x in ours[4:]] == pytest.approx([float(x) for x in theirs[4:]], abs=2e-5)


def test_an_unknown_run_is_refused_with_the_newest_ones(capsys, tmp_path):
    assert main(["thread", "nothing", "--runs", str(tmp_path)]) == 2
    assert "no run 'nothing'; the newest are: none yet" in capsys.readouterr().err


def test_unknown_backends_are_refused_with_the_known_ones(capsys):
    assert main(["calibrate", "--backend", "stan"]) == 2
    assert "there are: cmdstan, stanli" in capsys.readouterr().err


def test_calibrate_prints_a_line_for_each_and_draws(capsys, tmp_path):
    arguments = ["calibrate", "--backend", "stanli", "--model", "centered", "--simulations", "5"]
    assert main([*arguments, "--output", str(tmp_path)]) == 0
    assert "centered" in capsys.readouterr().out
    assert (tmp_path / "ranks.png").exists()
    assert "5 fits" in (tmp_path / "calibration.md").read_text()


def test_calibrate_takes_any_family_that_can_simulate(capsys, tmp_path):
    arguments = ["calibrate", "--backend", "stanli", "--family", "eight_schools", "--model", "noncentered"]
    assert main([*arguments, "--simulations", "3", "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "eight_schools noncentered" in said
    assert "log likelihood 0." in said or "log likelihood 1." in said
    assert "can't tell a sampler that never looks at the data" in said
    assert "where such a sampler would pass" not in said


def test_calibrate_needs_a_simulation(capsys):
    assert main(["calibrate", "--simulations", "0"]) == 2
    assert "give 1 or more" in capsys.readouterr().err
