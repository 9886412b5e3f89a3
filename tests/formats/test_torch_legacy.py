"""The container of torch.save before 1.6: its storages follow the object."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest
from pickled import Call, Stored, dumps, legacy, tensor

from score_sde.formats import torch_file

ARRAY = np.arange(12, dtype=np.float32)
STORAGE = Stored("FloatStorage", "4", 12, None)


def read(tmp_path, data):
    (tmp_path / "a.pth").write_bytes(data)
    return torch_file.load(tmp_path / "a.pth")


def test_views_of_storages_that_follow(tmp_path):
    half = np.arange(5, dtype=np.float16)
    value = [
        OrderedDict(view=tensor(STORAGE, 3, (3, 2), (1, 4)), again=tensor(STORAGE, 7, (), ())),
        {"half": tensor(Stored("HalfStorage", "x", 5, None), 1, (2,), (2,)), 123456789012345: "id"},
    ]
    state, other = read(tmp_path, legacy(value, {"x": half, "4": ARRAY}))
    np.testing.assert_array_equal(state["view"], ARRAY[3:11].reshape(2, 4)[:, :3].T)
    assert state["again"] == 7
    assert other["half"].dtype == np.float16
    np.testing.assert_array_equal(other["half"], half[1:4:2])
    assert other[123456789012345] == "id"
    assert not state["view"].flags.writeable


def test_a_part_of_a_storage(tmp_path):
    part = Stored("FloatStorage", "4", 12, ("5", 2, 6))
    found = read(tmp_path, legacy(tensor(part, 1, (3,), (2,)), {"4": ARRAY}))
    np.testing.assert_array_equal(found, [3, 5, 7])
    with pytest.raises(ValueError, match="does not fit in its storage"):
        read(tmp_path, legacy(tensor(part, 0, (7,), (1,)), {"4": ARRAY}))
    outside = Stored("FloatStorage", "4", 12, ("5", 8, 6))
    with pytest.raises(pickle.UnpicklingError, match="persistent id"):
        read(tmp_path, legacy(tensor(outside, 0, (1,), (1,)), {"4": ARRAY}))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (legacy([STORAGE], {"4": ARRAY[:-1]}), "storage 4 is not of its size"),
        (legacy([STORAGE], {"4": ARRAY})[:-1], "storage 4 is too short"),
        (legacy([STORAGE], {"4": ARRAY})[:-56], "storage 4 is not of its size"),
        (legacy([STORAGE], {"5": ARRAY}), "list of storages"),
        (legacy([STORAGE], {"4": ARRAY}, keys=[]), "list of storages"),
        (legacy([STORAGE, Stored("FloatStorage", "4", 6, None)], {"4": ARRAY}), "two storages"),
        (legacy([], system={"little_endian": False}), "big-endian"),
        (legacy([])[:40], "is damaged"),
        (legacy(tensor(STORAGE, 0, (2**40,), (0,)), {"4": ARRAY}), "does not fit"),
        (legacy(tensor(STORAGE, -1, (2,), (1,)), {"4": ARRAY}), "do not fit"),
    ],
)
def test_damaged_files(tmp_path, data, reason):
    with pytest.raises(ValueError, match=rf"a\.pth .*{reason}"):
        read(tmp_path, data)


@pytest.mark.parametrize("place", range(5))
def test_no_part_of_it_can_call_anything(tmp_path, place):
    call = Call("posix", "system", f"touch {tmp_path}/ran")
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, [STORAGE], ["4"]]
    parts[place] = [call] if place else call
    data = legacy(parts[3], {"4": ARRAY}, keys=parts[4], system=parts[2])
    if place < 2:  # the two numbers, of which the first is how a file is recognised
        data = dumps(0x1950A86A20F9469CFC6C) * place + dumps(call)
    with pytest.raises((pickle.UnpicklingError, ValueError)) as error:
        read(tmp_path, data)
    assert place == 0 or "posix.system" in str(error.value)
    assert not (tmp_path / "ran").exists()
