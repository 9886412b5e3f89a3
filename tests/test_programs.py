"""The programs beside the package: each has help, and refuses flags that it has not."""

import runpy
import sys

import pytest
from program import ROOT

pytestmark = pytest.mark.slow

# Started by experiments/throughput alone, each with two files.
OF_THROUGHPUT = ("machine", "one", "op_times")
FOLDERS = ("benchmarks", "experiments", "publishing")
FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
PROGRAMS = [
    path
    for path in sorted(FILES)
    if 'if __name__ == "__main__"' in path.read_text()
    and not (path.parent.name == "throughput" and path.stem in OF_THROUGHPUT)
]


@pytest.fixture(params=PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def program(request, monkeypatch, capsys):
    """Runs it with some words; its exit code, and what it says on both streams."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", [str(request.param), *words])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(request.param), run_name="__main__")
        return end.value.code, *capsys.readouterr()

    return run


def test_it_has_help(program):
    """A line of usage, and what it does; nothing is measured."""
    code, out, err = program("--help")
    assert (code, err) == (0, "")
    assert out.startswith("usage: python ")
    assert len(out.splitlines()) > 5


def test_a_flag_that_it_has_not_is_one_line(program):
    code, out, err = program("--sceonds=1")
    assert (code, out, err[: len("error: ")], err.count("\n")) == (2, "", "error: ", 1)
