"""`python -m bench`: the benchmark from any folder, with the options of `pytest bench/`."""

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main([str(Path(__file__).parent), "--benchmark-only", "-p", "no:cacheprovider", *sys.argv[1:]]))
