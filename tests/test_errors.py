"""Errors: what others say, in one line."""

import pytest

from score_sde.errors import first_line


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
