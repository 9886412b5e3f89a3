"""Benchmarks from a checkout and nothing else on the path; test_readme.py runs them in full."""

import subprocess
import sys

import pytest
from program import ROOT, environment

pytestmark = pytest.mark.slow  # a program each


def benchmark(name, *arguments, **env):
    return subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_bad_input_is_one_line(tmp_path):
    for name, arguments, message in (
        ("likelihood", (tmp_path,), "no run in"),
        ("sampling", (tmp_path, 0), "usage: "),
        ("sampling", ("digits_classifier", 2), "digits_classifier is a classifier"),
    ):
        result = benchmark(name, *arguments)
        assert result.returncode == 2
        assert result.stderr.startswith(f"error: {message}")
        assert result.stderr.count("\n") == 1


def test_data_that_cannot_be_made_are_one_line(tmp_path):
    """Of a benchmark without arguments."""
    (tmp_path / "file").touch()
    result = benchmark("digits_mixture", TFDS_DATA_DIR=str(tmp_path / "file"))
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
