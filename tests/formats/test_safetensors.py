"""safetensors files: what is written is read, and what a file claims to be is checked."""

import json

import ml_dtypes
import numpy as np
import pytest

from score_sde.formats import safetensors


def test_what_is_written_is_read(tmp_path):
    """Arrays of every type, also without numbers and of a single one, and the texts about them."""
    arrays = {str(dtype): np.ones((2, 3), dtype) for dtype in safetensors.KINDS}
    arrays |= {"none": np.zeros((0, 4), np.float32), "one": np.array(7.0)}
    arrays["bf"] = np.arange(5).astype(ml_dtypes.bfloat16)
    safetensors.save(tmp_path / "a.safetensors", arrays, {"step": "3"})
    found, about = safetensors.load(tmp_path / "a.safetensors")
    assert about == {"step": "3"}
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_file_is_known_by_its_beginning(tmp_path):
    """Also where the length of its header has the byte that begins a pickle."""
    for name, start, is_one in (
        ("a.pt", b"\x80\x02\0\0\0\0\0\0{", True),
        ("b.pt", b"\x80\x02}q\0X\3\0\0", False),
        ("b.safetensors", b"\x80\x02}q\0X\3\0\0", False),
        ("c.safetensors", b"PK\x03\x04\0\0\x08\x08\0", False),
        ("d.safetensors", b"", True),  # which is said to be damaged
    ):
        (tmp_path / name).write_bytes(start)
        assert safetensors.is_one(tmp_path / name) == is_one


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"a": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}


def file(header, data=bytes(8)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a safetensors file"),
        (b"\xff" * 64, "is not a safetensors file"),
        (file(b"{" * 64), "its header is not JSON"),
        (file(b"[]"), "its header is not a JSON object"),
        (file(b'{"a":' * 5000 + b"1" + b"}" * 5000), "its header is nested"),
        (file({"__metadata__": {"step": 3}}), "its metadata are no texts"),
        (file({"a": 3}), "a is not what it claims to be"),
        (file(entry("F31")), "a is not what it claims to be"),
        (file(entry(shape=(3,))), "a is not what it claims to be"),
        (file(entry(shape=(True, 2))), "a is not what it claims to be"),
        (file(entry(shape=(-1, -2))), "a is not what it claims to be"),
        (file(entry(shape=(10**12,), offsets=(0, 4 * 10**12))), "a is not what it claims to be"),
        (file(entry(offsets=(4, 12))), "a is not what it claims to be"),
        (file(entry(shape=(1,) * 64, offsets=(0, 4))), "a is not what it claims to be"),
        (file(entry() | {"b": entry()["a"]}), "b overlaps others"),
        (file(entry(shape=(1,), offsets=(4, 8))), "a leaves bytes out before it"),
        (file(entry(shape=(1,), offsets=(0, 4))), "it has 4 bytes that are of no array"),
    ],
)
def test_what_is_not_what_it_claims_is_one_line(tmp_path, content, message):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as info:
        safetensors.load(path)
    assert str(info.value).startswith(str(path))
    assert "\n" not in str(info.value)
    assert len(str(info.value)) < 400
