"""What programs print, where it cannot be printed."""

import contextlib
import importlib
import io
import os
import subprocess
import sys

import pytest
from program import ROOT, environment

from score_sde import terminal
from score_sde.errors import UserError


def run(main, out):
    """The exit code of a program whose output is `out`, and what it says on stderr."""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as err:
        return terminal.program(main)(), err.getvalue()


@contextlib.contextmanager
def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        yield out


def printing(flush, code=0):
    def main():
        print("text", flush=flush)
        return code

    return main


def test_a_pipe_that_is_closed_at_the_end_is_no_mistake():
    """As in `--help | head -1`."""
    with closed_pipe() as out:
        assert run(printing(flush=False), out) == (0, "")


def test_ctrl_c_is_one_line():
    def main():
        raise KeyboardInterrupt

    assert run(main, io.StringIO()) == (130, "error: interrupted\n")


def test_a_pipe_that_is_closed_before_stops_the_program():
    """It does not end as if all were done; what it catches is not this."""

    def main():
        with contextlib.suppress(Exception):
            print("text", flush=True)
        raise AssertionError("it went on")

    with closed_pipe() as out:
        assert run(main, out) == (130, "nobody reads what is printed: stopped\n")


@pytest.mark.parametrize("flush", [True, False])
def test_a_full_disk_is_one_line(flush):
    with open("/dev/full", "w") as out:
        code, err = run(printing(flush), out)
    assert (code, err) == (2, "error: cannot print: No space left on device\n")


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("ascii", rb"\xb1 \u2206 \udcff"), ("latin-1", b"\xb1 \\u2206 \\udcff")],
)
def test_characters_that_a_terminal_lacks_are_escaped(encoding, printed):
    def main():
        print("\xb1 \u2206 \udcff", end="")
        return 3

    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding)
    assert run(main, out) == (3, "")
    assert raw.getvalue() == printed


def test_a_mistake_of_the_user_is_one_line():
    def main():
        raise UserError("do this")

    assert run(main, io.StringIO()) == (2, "error: do this\n")


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("data", "data.__main__"),
        ("evaluation.ema", "cli.ema"),
        ("evaluation.retrieval", "evaluation.retrieval"),
        ("evaluation.statistics", "evaluation.statistics"),
        ("interop.clip_score", "interop.clip_score"),
        ("interop.distance", "interop.distance"),
        ("interop.export", "interop.export"),
        ("samplers.tune", "cli.tune"),
    ],
)
def test_a_command_that_says_too_little_is_told_where_to_read(name, module, capsys):
    program = importlib.import_module(f"score_sde.{module}").main
    assert program([""] if name == "interop.clip_score" else []) == 2
    out, err = capsys.readouterr()
    assert (out, err[: len("error: ")], err.count("\n")) == ("", "error: ", 1)
    assert err.endswith(f"; see python -m score_sde.{name} --help\n")


def test_a_real_program_without_a_reader_and_on_a_full_disk():
    """`--help | head -1` and `--help > /dev/full`, to the end of the process."""
    command = f"{sys.executable} main.py --config=configs/digits_vp.py --help"
    shell = f"{command} | true; echo ${{PIPESTATUS[0]}}; {command} > /dev/full; echo $?"
    result = subprocess.run(
        ["bash", "-c", shell],
        cwd=ROOT,
        env=environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout == "0\n2\n"
    assert result.stderr == "error: cannot print: No space left on device\n"


def test_work_goes_on_in_silence_until_it_can_stop():
    done = []

    def main():
        with terminal.Deferred() as printing:
            for number in range(3):
                print(number, flush=True)
                print(number, file=sys.stderr)
                done.append(printing.error is not None)
        raise printing.error

    with closed_pipe() as out:
        assert run(main, out) == (130, "0\n1\n2\nnobody reads what is printed: stopped\n")
    assert done == [True, True, True]


def test_a_script_is_told_the_same_once_its_work_is_safe():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    with contextlib.redirect_stdout(Full()) as out:
        with terminal.Deferred() as printing:
            print("text")
        assert printing.error.errno == 28
        assert sys.stdout is out
