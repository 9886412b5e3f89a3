"""The door to all data sets: names that a recipe gives, and what is taken as it is."""

import importlib

import numpy as np
import pytest

from score_sde import data, fields
from score_sde.data import arrays, known, toy
from score_sde.data.base import DataError

DOOR = importlib.import_module("score_sde.data.load")  # data.load is its function


def refusal(name):
    with pytest.raises(ValueError, match="cannot register") as caught:
        data.register(name, arrays.source)
    return str(caught.value)


def test_names_that_a_recipe_registers(monkeypatch):
    """The last registration counts; a path or a name with a meaning is refused."""
    monkeypatch.setattr(DOOR, "_REGISTERED", {})
    for size in (7, 8):
        data.register(
            "my-set_2", lambda split, n=size: arrays.source(np.zeros(n), name="my", split=split)
        )
    assert len(data.load("my-set_2")) == 8
    for path in ("a/b", "./a", "a.npz", "~", "a\\b", "a:b", "", "a\n"):
        assert refusal(path) == (
            f"cannot register {path!r}: a name is of letters, digits, _ and -, and no path"
        )
    names = ("digits", "digits_rgb", "digits_video", "emoji", "folder", "arrays", *toy.SETS)
    for name in (*names, *DOOR.MADE):
        assert refusal(name) == (
            f"cannot register {name!r}: {', '.join(DOOR.needs())} have a meaning, use another name"
        )
    assert set(DOOR._REGISTERED) == {"my-set_2"}
    assert data.prepare("my-set_2") == ""


def test_a_registered_name_is_that_set_and_not_another_of_its_name(monkeypatch):
    monkeypatch.setattr(DOOR, "_REGISTERED", {})
    data.register("cifar10", lambda split: arrays.source(np.zeros(20), name="own", split=split))
    assert known.describe("cifar10").fields == (fields.number("number"),)


@pytest.mark.parametrize("name", ["moons", "arrays"])
def test_what_is_taken_as_it_is_has_no_other_size(name):
    with pytest.raises(DataError, match=f"the examples of {name} are taken as they are: leave out"):
        data.load(name, data_dir="x.npz", image_size=8)


@pytest.mark.parametrize("name", ["folder", "arrays", "mnist"])
def test_a_home_folder_that_nobody_has_is_one_line(name):
    with pytest.raises(DataError) as refused:
        data.load(name, data_dir="~no_such_user/x")
    assert "~no_such_user/x" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_which_sets_data_dir_is_for():
    """Made-up points and what was in memory lie nowhere."""
    there = ("cifar10", "digits", "folder", "arrays", "encoded", "notes", "speech")
    assert all(map(DOOR.lies_in_a_folder, there))
    assert not any(map(DOOR.lies_in_a_folder, ("moons", "given")))


@pytest.mark.parametrize("name", DOOR.MADE)
def test_a_set_that_is_not_made_yet_says_how_it_is(name, tmp_path):
    """By the command, whose words are those of that set."""
    said = (
        rf"^{name} is not prepared in .*: run python -m score_sde\.data prepare {name}"
        rf"( --from=\S+)? --data_dir={tmp_path}$"
    )
    with pytest.raises(DataError, match=said):
        data.load(name, data_dir=tmp_path)
