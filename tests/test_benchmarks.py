"""Bad input to benchmarks; test_readme.py runs them in full."""

import runpy
import sys

import pytest
from program import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def refused(monkeypatch, capsys):
    """Runs a benchmark as a program, which ends with exit code 2; its line of error."""

    def benchmark(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"), run_name="__main__")
        error = capsys.readouterr().err
        assert end.value.code == 2
        assert error.count("\n") == 1
        return error

    return benchmark


def test_bad_input_is_one_line(tmp_path, refused):
    for name, arguments, message in (
        ("likelihood", (tmp_path,), "no run in"),
        ("sampling", (tmp_path, 0), "a batch of 0"),
        ("sampling", ("digits_classifier", 2), "digits_classifier is a classifier"),
    ):
        assert refused(name, *arguments).startswith(f"error: {message}")


def test_data_that_cannot_be_made_are_one_line(tmp_path, refused, monkeypatch):
    """Of a benchmark without arguments."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "file"))
    assert refused("digits_mixture").startswith("error: ")
