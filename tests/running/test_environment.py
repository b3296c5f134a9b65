import platform

from bench.running.environment import environment


def test_the_environment_says_what_it_ran_on_and_not_on_whose_machine() -> None:
    found = environment()
    assert found["python"] == platform.python_version()
    assert found["cores"] >= 1
    assert set(found["threads"].values()) == {"1"}
    assert platform.node() == "" or platform.node() not in str(found.values())
    assert found["commit"]
