"""metrics.csv: rows behind a checkpoint are forgotten, and damage never stops a run."""

import os
import shutil

import pytest

from score_sde.metrics_csv import COLUMNS, read_rows
from score_sde.training.log import Metrics

HEAD = ",".join(COLUMNS) + "\r\n"
ROWS = ["2,0.5,1,0.01,100,,,\r\n", "4,0.25,inf,0.01,100,0.75,2,1\r\n"]
GOOD = [row.strip().split(",") for row in ROWS]


def logged(folder, resume_step):
    """What a run that goes on from a step says, having written one more row."""
    said = []
    metrics = Metrics(folder, resume_step, said.append)
    metrics.write(6, loss=0.125, grad_norm=float("nan"))
    metrics.close()
    return said


def test_a_resumed_run_forgets_what_is_behind_its_checkpoint(tmp_path):
    (tmp_path / "metrics.csv").write_bytes((HEAD + "".join(ROWS)).encode())
    assert logged(tmp_path, 2) == []
    assert (tmp_path / "metrics.csv").read_bytes().decode() == HEAD + ROWS[0] + "6,0.125,,,,,,\r\n"
    assert sorted(os.listdir(tmp_path)) == ["metrics.csv", "tensorboard"]


def test_a_file_from_before_there_were_more_columns_is_whole(tmp_path):
    lines = (HEAD, *ROWS)
    old = "".join(",".join(line.strip().split(",")[:6]) + "\r\n" for line in lines)
    (tmp_path / "metrics.csv").write_text(old, newline="")
    assert logged(tmp_path, 2) == []
    expected = HEAD + "2,0.5,1,0.01,100,,,\r\n6,0.125,,,,,,\r\n"
    assert (tmp_path / "metrics.csv").read_bytes().decode() == expected


@pytest.mark.parametrize(
    ("content", "kept", "message"),
    [
        (HEAD + ROWS[0] + "4,0.2", GOOD[:1], "has 1 damaged row(s)"),
        (HEAD + ROWS[0] + ROWS[1].strip(), GOOD[:1], "has 1 damaged row(s)"),
        (HEAD + ROWS[0] + "4,0.2\r\n" + ROWS[1], GOOD, "has 1 damaged row(s)"),
        (
            HEAD + "low,1,1,1,1,1,,\r\n" + ROWS[1] + "4,1,1,1,1,1,1\r\n",
            GOOD[1:],
            "has 2 damaged ro",
        ),
        (HEAD + "\0" * 512 + "\r\n" + ROWS[1], GOOD[1:], "has 1 damaged row(s)"),
        (HEAD + ROWS[0] + "9" * 5000 + ",1,1,1,1,1,,\r\n", GOOD[:1], "has 1 damaged row(s)"),
        (HEAD + ROWS[0] + '4,"' + "1" * 200_000 + "\r\n", GOOD[:1], "has 1 damaged row(s)"),
        ("loss,step\r\n1,2\r\n", [], "has other columns"),
        ("step,loss\r\n1,2\r\n", [], "has other columns"),
        ("\0" * 4096, [], "has other columns"),
        ("\x89PNG\r\n\x1a\n\udcff", [], "has other columns"),
    ],
)
def test_a_damaged_file_is_set_aside_and_its_good_rows_stay(tmp_path, content, kept, message):
    path, content = tmp_path / "metrics.csv", content.encode(errors="surrogateescape")
    path.write_bytes(content)
    (line,) = logged(tmp_path, 4)
    assert line.startswith(f"warning: {path} {message}")
    assert "metrics.csv.damaged" in line
    assert (tmp_path / "metrics.csv.damaged").read_bytes() == content
    assert read_rows(path) == ([*kept, ["6", "0.125", *6 * [""]]], "")


def test_what_is_no_file_is_set_aside(tmp_path):
    """A folder with something in it, and a pipe, which must not be waited for."""
    path = tmp_path / "metrics.csv"
    (path / "x").mkdir(parents=True)
    assert "is not a regular file: it is now metrics.csv.damaged" in logged(tmp_path, 4)[0]
    path.unlink()
    os.mkfifo(path)
    assert "is not a regular file: it is now metrics.csv.damaged1" in logged(tmp_path, 4)[0]
    assert len(read_rows(path)[0]) == 1


def test_what_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "tensorboard").write_text("")
    (tmp_path / f"metrics.csv.{os.getpid()}.partial").mkdir()
    first, second = logged(tmp_path, 4)
    assert first == "warning: metrics.csv is not written: Is a directory"
    assert second.startswith("warning: tensorboard/ is not written: ")
    shutil.rmtree(tmp_path / f"metrics.csv.{os.getpid()}.partial")
    said = []
    metrics = Metrics(tmp_path, 4, said.append)
    with open("/dev/full", "wb", buffering=0) as metrics._file:
        metrics.write(6, loss=0.5)
        metrics.write(8, loss=0.5)
    metrics.close()
    assert said[1:] == ["warning: metrics.csv is not written any more: No space left on device"]


def test_a_folder_that_is_gone_is_not_made_again(tmp_path):
    """A run of which somebody removed the folder would find its own remains in it."""
    said = []
    Metrics(tmp_path / "run", warn=said.append).write(1, loss=1.0)
    assert not (tmp_path / "run").exists()
    assert [line.split(" is not written")[0] for line in said] == [
        "warning: metrics.csv",
        "warning: tensorboard/",
    ]
