"""Arrays of .npz files: what they claim to be is checked before memory is taken for them."""

import contextlib
import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from score_sde.errors import UserError
from score_sde.formats import npz


def member(shape, dtype="<f8", data=b""):
    """The bytes of an array that claims to be of this shape."""
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": dtype})
    return file.getvalue() + data


def archive(path, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "none.npz"
    with (
        pytest.raises(UserError, match=f"^there is no {path}: give the path of a file of x$"),
        npz.opened(path, "a file of x"),
    ):
        pass


def test_what_is_there_is_read(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array("text"), "c": np.zeros((0, 3))}
    np.savez_compressed(tmp_path / "good.npz", **arrays)
    with npz.opened(tmp_path / "good.npz", "good") as found:
        assert found.headers["a"] == ((2, 3), np.dtype("float64"))
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (member((10**12,)), "claims to be"),
        (member((10**6, 10**6), data=bytes(64)), "claims to be"),
        (member((-1,)), "claims to be"),
        (member((3,), data=bytes(16)), "claims to be"),
        (member((3,), data=bytes(32)), "claims to be"),
        (member((1,), "|O", b"cos\nsystem\n"), "holds Python objects"),
        (b"\x93NUMPY\x01\x00\x10\x00" + b"[" * 16, "is not an array"),
        (b"\x93NUMPY\x09\x00" + bytes(64), "is not an array"),
        (b"plain text", "is not an array"),
        (b"", "is not an array"),
    ],
)
def test_what_is_not_what_it_claims_is_one_line_and_takes_no_memory(tmp_path, content, message):
    path = archive(tmp_path / "bad.npz", x=content)
    tracemalloc.start()
    with (
        pytest.raises(UserError, match=f"bad.npz is not good: x {message}") as info,
        npz.opened(path, "good") as found,
    ):
        found["x"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(info.value)
    assert peak < 2**26


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_of_compressed_bytes_is_one_line(tmp_path, compression):
    """Each method has exceptions of its own."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(9, size=20_000).astype(np.uint8)
    good = archive(tmp_path / "x.npz", compression, x=member((20_000,), "|u1", numbers.tobytes()))
    content = bytearray(good.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    good.write_bytes(content)
    with (
        pytest.raises(
            UserError, match=r"x.npz is not good: x (cannot be read|is not an array)"
        ) as info,
        npz.opened(good, "good") as found,
    ):
        found["x"]
    assert "\n" not in str(info.value)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with (
        pytest.raises(UserError, match=r"pipe\.npz is not good: it is no regular file"),
        npz.opened(tmp_path / "pipe.npz", "good"),
    ):
        pass


def test_damage_at_any_byte_is_one_line_or_nothing(tmp_path):
    """A checksum of each member is in the file."""
    path, array = tmp_path / "x.npz", np.arange(40.0)
    np.savez(path, x=array)
    content = path.read_bytes()
    for at in range(0, len(content), 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])
        # A name that was changed is another array's.
        with (
            contextlib.suppress(UserError),
            npz.opened(path, "good") as found,
        ):
            for name in found:
                np.testing.assert_array_equal(found[name], array)
