import platform

from bench.running.environment import commit, environment


def test_the_environment_says_what_it_ran_on_and_not_on_whose_machine():
    found = environment()
    assert found["python"] == platform.python_version()
    assert found["cores"] >= 1
    assert set(found["threads"].values()) == {"1"}
    assert platform.node() == "" or platform.node() not in str(found.values())


def test_the_commit_is_short_and_marked_where_files_differ():
    assert commit() == "unknown" or len(commit().rstrip("+")) == 12
