"""Errors: what others say, in one line."""

import pytest

from score_sde.errors import UserError, first_line, is_failure


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (OSError("\n  one\r\ntwo"), "one"),
        (MemoryError(), "MemoryError"),
        (ValueError(" \n"), "ValueError"),
    ],
)
def test_the_first_line_of_what_an_error_says(error, line):
    assert first_line(error) == line


def test_a_message_is_one_line_whatever_it_quotes():
    """A file's name may hold line ends, commands to a terminal, and bytes that are no text."""
    name = "a\nb\r\x1b[31m\udcff\u2028 \N{GRINNING FACE} \u00e9.png"
    said = str(UserError(f"{name} is damaged"))
    assert said == "a\\nb\\r\\x1b[31m\\udcff\\u2028 \N{GRINNING FACE} \u00e9.png is damaged"


def test_a_panic_of_a_library_is_its_failure_and_a_signal_is_none():
    """What its Rust raises is no Exception."""
    panic = type("PanicException", (BaseException,), {})
    assert is_failure(panic("index out of bounds"))
    assert is_failure(ValueError())
    assert not any(map(is_failure, (KeyboardInterrupt(), SystemExit(0), GeneratorExit())))
