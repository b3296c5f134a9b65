import pytest

from bench.settings import Settings, fit_seed


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
