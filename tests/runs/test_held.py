"""A run's folder belongs to one training at a time, and is left as it was if that is refused."""

import os
import socket

import pytest

from score_sde.errors import UserError
from score_sde.locks import Lock, NoLocks
from score_sde.runs import begun, recipes, session
from score_sde.runs.held import LOCK, held


def enter(workdir):
    with held(workdir):
        (workdir / "config.json").write_text("{}")


def test_a_second_training_is_told_who_trains(tmp_path):
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    with held(tmp_path), pytest.raises(UserError, match=f"is being trained by {holder}: wait"):
        enter(tmp_path)
    assert not (tmp_path / "config.json").exists()
    enter(tmp_path)  # it was given back


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with held(tmp_path / "a"):
        assert (tmp_path / "a" / LOCK).exists()
    assert not (tmp_path / "a").exists()
    enter(tmp_path / "b")
    assert (tmp_path / "b" / "config.json").exists()


def test_it_leaves_no_lock_file(tmp_path):
    """But one that somebody else has put in its place."""
    enter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    with held(tmp_path):
        (tmp_path / LOCK).unlink()
        (tmp_path / LOCK).write_text("another")
    assert (tmp_path / LOCK).read_text() == "another"


@pytest.mark.parametrize("name", ["thesis.tex", "checkpoints"])
def test_a_folder_of_something_else_gets_no_lock_file(tmp_path, monkeypatch, name):
    """It is refused before anything is written to it."""
    (tmp_path / name).touch()
    monkeypatch.setattr(session, "held", lambda workdir: pytest.fail("it was locked"))
    with pytest.raises(UserError, match="holds files but no run; give another --workdir"):
        session.train(recipes.get("toy_moons"), tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_lock_file_that_was_left_is_nothing(tmp_path):
    (tmp_path / LOCK).touch()
    assert not begun.occupied(tmp_path)
    assert begun.check(tmp_path, None) is None


def test_a_lock_that_was_removed_in_between_is_made_again(tmp_path):
    """Two that both hold "the" lock, one of a file that is gone, would train together."""
    with Lock(tmp_path / LOCK):
        (tmp_path / LOCK).unlink()
        with Lock(tmp_path / LOCK), pytest.raises(UserError, match="is being trained by"):
            enter(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to .*run: Not a directory\. Give another"):
        enter(tmp_path / "file" / "run")


def test_without_locks_a_run_is_trained_with_a_warning(tmp_path, monkeypatch, capsys):
    def none(*_):
        raise NoLocks("cannot lock x: no locks available")

    monkeypatch.setattr("score_sde.locks._take", none)
    enter(tmp_path)
    assert capsys.readouterr().err == (
        "warning: cannot lock x: no locks available. See to it that nobody else trains in it\n"
    )


def test_checkpoints_that_were_never_finished_are_nothing(tmp_path):
    """A removed folder that TensorStore made again; what is finished is something."""
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "10.orbax-checkpoint-tmp" / "model").mkdir(parents=True)
    assert not begun.occupied(tmp_path)
    (checkpoints / "20").mkdir()
    assert begun.occupied(tmp_path)


def test_a_run_of_which_the_last_checkpoint_alone_is_there_is_not_done(tmp_path):
    (tmp_path / "checkpoints" / "100").mkdir(parents=True)
    with pytest.raises(UserError, match="was removed while it trained"):
        begun.check_still_there(tmp_path)
    (tmp_path / "config.json").touch()
    begun.check_still_there(tmp_path)
