"""Files of prompts, as editors and spreadsheets write them."""

import os

import pytest

from score_sde.cli import prompt_rows
from score_sde.errors import UserError


def rows(path, content):
    path.write_bytes(content.encode())
    found = prompt_rows.of_file(path, "blurry", ["sketch"])
    return [(row.prompt, row.negative, row.seed, *row.conditions.values()) for row in found]


def test_what_a_file_says_is_read_as_it_is(tmp_path):
    """The mark before UTF-8, spaces after commas, and signs that Python takes for ends of lines."""
    table = '\ufeffprompt, seed,sketch\r\n"a\ncat, red", 3,x.png\rb\u2028\x85\x0cc,,\n'
    expected = [("a\ncat, red", "blurry", 3, "x.png"), ("b\u2028\x85\x0cc", "blurry", None, "")]
    assert rows(tmp_path / "a.csv", table) == expected
    lines = rows(tmp_path / "a.txt", "\ufeffa\u2028cat\r\n\n b\x0cc\rd")
    assert [row[0] for row in lines] == ["a\u2028cat", "b\x0cc", "d"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("prompt\n" + "a" * 200_000, r"a\.csv, after line 1: field larger than field limit"),
        ('prompt\n"a', r"a\.csv, after line 1: unexpected end of data"),
        ("prompt,seed\na," + "9" * 5000, "has the seed '9{59}: give a whole number up to"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as caught:
        rows(tmp_path / "a.csv", content)
    assert "\n" not in str(caught.value)


def test_no_pipe_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"cannot read .*: it is no regular file"):
        prompt_rows.of_file(tmp_path / "a.csv", None, [])
