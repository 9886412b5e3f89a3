"""The writer of .pth files against its reader."""

from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest

from score_sde.formats import torch_file, torch_writer


def test_what_is_written_is_read(tmp_path):
    plain = {"none": None, "yes": True, "no": False, "π": [1, -(2**31), 2**31, -(2**62), 2.5, "x"]}
    value = OrderedDict(plain=plain, empty=[{}, [], (), OrderedDict()], pair=(1, ("a", 2)))
    torch_writer.save(tmp_path / "a.pth", value)
    read = torch_file.load(tmp_path / "a.pth")
    assert read == value
    assert type(read) is OrderedDict
    assert type(read["plain"]) is dict
    assert [type(part) for part in read["empty"]] == [dict, list, tuple, OrderedDict]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.int64, np.bool_])
def test_arrays_of_every_shape(tmp_path, dtype):
    array = (np.arange(24).reshape(2, 3, 4) % 5).astype(dtype)
    value = [array, array.T, array[:, 1], array[:, :, None], array[0, 0, 0][None][0], array[:0]]
    value = [np.asarray(part) for part in value]
    torch_writer.save(tmp_path / "a.pth", value)
    for one, two in zip(torch_file.load(tmp_path / "a.pth"), value, strict=True):
        assert (one.dtype, one.shape) == (two.dtype, two.shape)
        np.testing.assert_array_equal(one, two)


def test_a_file_is_not_replaced_and_a_failure_leaves_none(tmp_path):
    (tmp_path / "a.pth").write_text("years of work")
    with pytest.raises(FileExistsError):
        torch_writer.save(tmp_path / "a.pth", {})
    for value in ({1, 2}, np.zeros(2, complex)):
        with pytest.raises(TypeError, match="cannot write"):
            torch_writer.save(tmp_path / "b.pth", [value])
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]


def test_only_the_file_itself_is_written(tmp_path):
    """Not even one that looks like a part of it is touched, and the umask holds."""
    (tmp_path / "a.pth.partial").write_text("years of work")
    torch_writer.save(tmp_path / "a.pth", {})
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.pth.partial").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pth", "a.pth.partial", "plain"]
    assert (tmp_path / "a.pth").stat().st_mode == (tmp_path / "plain").stat().st_mode
