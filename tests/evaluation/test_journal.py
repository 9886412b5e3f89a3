"""The journal: rows survive a kill at any byte, and protocols do not mix."""

import json
import os
from pathlib import Path

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


def test_a_damaged_row_is_left_out_and_set_aside(tmp_path):
    """Zeros where a row was, as after a power cut; another number; a row of another journal; rows

    without a checksum, and what is no row. The good rows stay, and so does the damaged file.
    """
    said = []
    journal = Journal(tmp_path, "bits", {}, said.append)
    other = Journal(tmp_path, "bits", {"seed": 1})
    for row in ROWS:
        journal.append(row)
    other.append(ROWS[1])
    content, moved = journal.path.read_bytes(), other.path.read_bytes().splitlines()[1]
    lines = content.splitlines(keepends=True)
    kinds = (
        bytes(len(lines[2]) - 1),
        lines[2].strip().replace(b'"a": 2', b'"a": 7'),
        moved,
        b'{"a": 2}',
        b'{"a" 2}',
        b"[2]",
        b'{"a":' * 5000,
        b"\xff\xfe",
        b"",
    )
    for number, damaged in enumerate(kinds):
        whole = lines[0] + lines[1] + damaged + b"\n" + lines[3]
        journal.path.write_bytes(whole)
        again = Journal(tmp_path, "bits", {}, said.append)
        said.clear()
        assert again.rows() == [ROWS[0], ROWS[2]], damaged
        (line,) = said
        assert line.startswith(f"warning: {journal.path}: 1 damaged line(s) are left out")
        again.append(ROWS[1])
        assert Journal(tmp_path, "bits", {}, said.append).rows() == [ROWS[0], ROWS[2], ROWS[1]]
        assert len(said) == 1
        aside = journal.path.with_name(f"{journal.path.name}.damaged{number or ''}")
        assert aside.read_bytes() == whole


def test_a_damaged_first_line_is_written_again(tmp_path):
    """The name of the file says what it said, and the checksum of each row too."""
    said = []
    journal = Journal(tmp_path, "bits", {"seed": 0})
    journal.append(ROWS[0])
    content = journal.path.read_bytes()
    journal.path.write_bytes(content.replace(b"seed", b"deed"))
    again = Journal(tmp_path, "bits", {"seed": 0}, said.append)
    assert again.rows() == ROWS[:1]
    assert len(said) == 1
    again.append(ROWS[1])
    assert journal.path.read_bytes().startswith(content)


def test_what_is_no_file_is_set_aside(tmp_path):
    """A pipe, which must not be waited for, a folder, and a link to itself."""
    said = []
    path = Journal(tmp_path, "bits", {}).path
    for place in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path.name)):
        place(path)
        journal = Journal(tmp_path, "bits", {}, said.append)
        assert journal.rows() == []
        assert "it cannot be read (" in said.pop()
        journal.append(ROWS[0])
        assert journal.rows() == ROWS[:1]
        assert not said
        path.unlink()
    assert len(list(tmp_path.glob("*.damaged*"))) == 3
