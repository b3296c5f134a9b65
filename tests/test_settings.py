from argparse import ArgumentParser
from dataclasses import fields

import pytest

from bench.backends import BACKENDS
from bench.settings import OPTIONS, Asked, Settings, add_options, fit_seed, overrides


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"chains": 0}, "--chains 1"),
        ({"warmup": 0}, "--warmup 1"),
        ({"draws": 3}, "--draws 4"),
        ({"max_treedepth": 0}, "--max-treedepth 1"),
        ({"cores": -1}, "--cores 1"),
        ({"target_accept": 1.0}, "between 0 and 1"),
        ({"target_accept": 0.0}, "between 0 and 1"),
    ],
)
def test_settings_no_sampler_could_use_are_refused_with_what_to_type(change, option):
    with pytest.raises(ValueError, match=option):
        Settings(**change)


def test_override_keeps_what_is_not_given():
    assert Settings(chains=3).override(chains=None, draws=7) == Settings(chains=3, draws=7)


def test_override_refuses_like_the_constructor():
    with pytest.raises(ValueError, match="chains is 0"):
        Settings().override(chains=0)


@pytest.mark.parametrize(("chains", "cores", "parallel"), [(4, 2, 2), (2, 4, 2), (1, 1, 1)])
def test_parallel_chains_are_bounded_by_chains_and_cores(chains, cores, parallel):
    assert Settings(chains=chains, cores=cores).parallel_chains == parallel


def test_seeds_are_the_same_everywhere_and_differ_by_what_they_depend_on():
    assert fit_seed(1, "omega1-G5-n20-s41", 0) == 46392823
    seeds = {fit_seed(seed, data, replicate) for seed in (1, 2) for data in ("a", "b") for replicate in (0, 1)}
    assert len(seeds) == 8
    assert all(1 <= seed < 2**30 for seed in seeds)


def typed(*words):
    """Return the settings of a command line."""
    parser = ArgumentParser()
    add_options(parser.add_argument)
    return overrides(vars(parser.parse_args(words)).get)


def test_every_setting_is_an_option():
    assert [option.name for option in OPTIONS] == [field.name for field in fields(Settings)]
    assert all(option.kind is type(getattr(Settings(), option.name)) for option in OPTIONS)
    assert all(str(getattr(Settings(), option.name)) in option.help for option in OPTIONS if option.name != "cores")


def test_only_what_was_typed_is_overridden():
    assert typed() == {}
    assert typed("--draws", "7", "--target-accept", "0.9") == {"draws": 7, "target_accept": 0.9}
    assert typed("--cores", "0") == {"cores": 0}  # refused by `Settings`, which says why


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_a_matched_run_asks_the_same_of_all_and_a_stock_run_of_each_its_own(backend):
    assert Asked().settings(backend) == Settings()
    assert Asked(protocol="stock").settings(backend) == backend.stock
    changes = {"draws": 77, "target_accept": 0.9}
    assert Asked(overrides=changes).settings(backend) == Settings(draws=77, target_accept=0.9)
    assert Asked(protocol="stock", overrides=changes).settings(backend) == backend.stock.override(**changes)


def test_overrides_that_no_sampler_could_use_are_refused_when_they_are_asked_for():
    with pytest.raises(ValueError, match="--chains 1"):
        Asked(overrides=typed("--chains", "0")).settings(BACKENDS["stanli"])
