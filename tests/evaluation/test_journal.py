"""The journal: rows survive a kill at any byte, and protocols do not mix."""

import json

import pytest

from score_sde.errors import UserError
from score_sde.evaluation.journal import Journal

ROWS = [{"a": 1, "b": [0.1, 1e-17]}, {"a": 2}, {"a": 3}]


def test_rows_come_back_exactly(tmp_path):
    journal = Journal(tmp_path / "new", "bits", {"seed": 0})
    assert journal.rows() == []
    for row in ROWS:
        journal.append(row)
    assert Journal(tmp_path / "new", "bits", {"seed": 0}).rows() == ROWS
    assert json.loads(journal.path.read_text().splitlines()[0]) == {"seed": 0}


def test_another_protocol_is_another_file(tmp_path):
    first = Journal(tmp_path, "bits", {"seed": 0, "rtol": 1e-5})
    first.append(ROWS[0])
    assert Journal(tmp_path, "bits", {"rtol": 1e-5, "seed": 0}).rows() == ROWS[:1]
    assert Journal(tmp_path, "bits", {"seed": 1, "rtol": 1e-5}).rows() == []


def test_a_kill_at_any_byte_loses_the_last_row_only(tmp_path):
    journal = Journal(tmp_path, "bits", {})
    for row in ROWS[:2]:
        journal.append(row)
    content = journal.path.read_bytes()
    lines = content.splitlines(keepends=True)
    for length in range(len(content)):
        journal.path.write_bytes(content[:length])
        whole = [i for i in range(2) if length >= sum(map(len, lines[: i + 2]))]
        assert journal.rows() == ROWS[: len(whole)]
        journal.append(ROWS[2])
        assert journal.rows() == [*ROWS[: len(whole)], ROWS[2]]
        assert journal.path.read_bytes().startswith(lines[0])


def test_a_damaged_row_is_one_line(tmp_path):
    """Zeros where a row was, as after a power cut."""
    journal = Journal(tmp_path, "bits", {})
    for row in ROWS:
        journal.append(row)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    for broken in (bytes(len(lines[2]) - 1) + b"\n", b'{"a" 2}\n'):
        journal.path.write_bytes(lines[0] + lines[1] + broken + lines[3])
        with pytest.raises(UserError, match=r"^\S+\.jsonl is damaged \([^\n]*\): remove it$"):
            journal.rows()
