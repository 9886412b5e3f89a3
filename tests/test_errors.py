"""Errors: what others say, in one line."""

import pytest

from score_sde.errors import UserError, first_line


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
