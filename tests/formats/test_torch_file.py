"""The reader of .pth files: what it reads, and that it never runs what a file asks for."""

import pickle
import resource
import time
import tracemalloc
import zipfile
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest
from payload import Payload
from pickled import Call, Stored, dumps, nested, tensor

from score_sde.formats import torch_file


def write(path, value, storages=(), *, compression=zipfile.ZIP_STORED, byteorder=b"little"):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("model/data.pkl", dumps(value))
        archive.writestr("model/byteorder", byteorder)
        for key, array in dict(storages).items():
            archive.writestr(f"model/data/{key}", array.tobytes())
    return path


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("FloatStorage", np.float32),
        ("DoubleStorage", np.float64),
        ("HalfStorage", np.float16),
        ("BFloat16Storage", ml_dtypes.bfloat16),
        ("LongStorage", np.int64),
        ("IntStorage", np.int32),
        ("ByteStorage", np.uint8),
        ("BoolStorage", np.bool_),
    ],
)
def test_tensors_of_every_type(tmp_path, kind, dtype):
    array = (np.arange(12) % 5).astype(dtype)
    value = {"a": tensor(Stored(kind, "0", 12), 0, (3, 4), (4, 1)), "n": [1, 2.5, "x", None]}
    read = torch_file.load(write(tmp_path / "a.pth", value, {"0": array}))
    assert read["n"] == [1, 2.5, "x", None]
    assert read["a"].dtype == dtype
    np.testing.assert_array_equal(read["a"], array.reshape(3, 4))


def test_views_parameters_and_scalars(tmp_path):
    array, storage = np.arange(12, dtype=np.float32), Stored("FloatStorage", "0", 12)
    parameter = Call("torch._utils", "_rebuild_parameter", tensor(storage, 3, (3, 2), (1, 4)), True)
    number = Call("numpy.core.multiarray", "scalar", Call("numpy", "dtype", "f8", False, True))
    number.args += (
        Call("_codecs", "encode", np.float64(2.5).tobytes().decode("latin1"), "latin1"),
    )
    value = OrderedDict(view=parameter, number=number, scalar=tensor(storage, 7, (), ()))
    read = torch_file.load(write(tmp_path / "a.pth", value, {"0": array}))
    np.testing.assert_array_equal(read["view"], array[3:11].reshape(2, 4)[:, :3].T)
    assert read["number"] == 2.5
    assert read["scalar"] == 7
    assert not read["view"].flags.writeable


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("__builtin__", "getattr"),
        ("numpy", "load"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("score_sde.formats.torch_file", "load"),
    ],
)
def test_any_other_global_is_refused_by_name_and_not_run(tmp_path, module, name):
    path = write(tmp_path / "a.pth", {"model": Call(module, name, f"touch {tmp_path}/ran")})
    with pytest.raises(pickle.UnpicklingError, match=f"{module}.{name}"):
        torch_file.load(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_reduce_payload_is_refused_and_not_run(tmp_path, protocol):
    target, payload = tmp_path / "ran", pickle.dumps(Payload(tmp_path / "ran"), protocol)
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("model/data.pkl", payload)
    with pytest.raises(pickle.UnpicklingError, match="open"):
        torch_file.load(tmp_path / "a.pth")
    assert not target.exists()
    pickle.loads(payload).close()
    assert target.exists()  # the payload is a live one


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (0, (13,), (1,)),
        (9, (4,), (1,)),
        (0, (2, 2), (11, 1)),
        (0, (4,), (-1,)),
        (-1, (2,), (1,)),
        (0, (2**40,), (0,)),  # an array of terabytes in a few bytes
    ],
)
def test_a_tensor_cannot_reach_past_its_storage(tmp_path, offset, shape, stride):
    value = tensor(Stored("FloatStorage", "0", 12), offset, shape, stride)
    path = write(tmp_path / "a.pth", value, {"0": np.zeros(12, np.float32)})
    with pytest.raises(ValueError, match="damaged"):
        torch_file.load(path)


def test_damaged_files(tmp_path):
    value = tensor(Stored("FloatStorage", "0", 12), 0, (12,), (1,))
    short = write(tmp_path / "short.pth", value, {"0": np.zeros(11, np.float32)})
    with pytest.raises(ValueError, match="storage 0 is too short"):
        torch_file.load(short)
    with pytest.raises(ValueError, match="data/0 is missing"):
        torch_file.load(write(tmp_path / "missing.pth", value))
    with pytest.raises(ValueError, match="big-endian"):
        torch_file.load(write(tmp_path / "big.pth", {}, byteorder=b"big"))
    (tmp_path / "text.pth").write_bytes(b"not a zip file at all")
    with pytest.raises(ValueError, match="not a PyTorch file"):
        torch_file.load(tmp_path / "text.pth")
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme", "a zip of something else")
    with pytest.raises(ValueError, match=r"no data\.pkl"):
        torch_file.load(tmp_path / "other.pth")


@pytest.fixture
def few_files():
    """At most 256 open files, as some systems have it; 1,024 is common."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_many_storages_are_one_open_file(tmp_path, few_files):
    """The released checkpoints hold 1,200 to 3,900 of them."""
    storages = {str(i): np.full(2, i, np.float32) for i in range(1500)}
    value = [tensor(Stored("FloatStorage", key, 2), 0, (2,), (1,)) for key in storages]
    read = torch_file.load(write(tmp_path / "a.pth", value, storages))
    np.testing.assert_array_equal(read, list(storages.values()))


def test_a_small_file_cannot_fill_the_memory(tmp_path, monkeypatch):
    value = tensor(Stored("FloatStorage", "0", 2**20), 0, (2**20,), (1,))
    zeros = {"0": np.zeros(2**20, np.float32)}
    bomb = write(tmp_path / "a.pth", value, zeros, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="is compressed"):
        torch_file.load(bomb)
    monkeypatch.setattr(torch_file, "LARGEST_PROGRAM", 1000)
    with pytest.raises(ValueError, match=r"its data\.pkl has 1\d\d\d bytes"):
        torch_file.load(write(tmp_path / "b.pth", "x" * 1000))


def program(path, operations):
    """A file with a pickle of these operations, and one storage of 12 float32."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.PROTO + b"\x02" + operations + pickle.STOP)
        archive.writestr("model/data/0", bytes(48))
    return path


ORDERED_DICT = b"ccollections\nOrderedDict\n"


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        # With tuples a thousand times as deep their hash overflows the stack of the process.
        (b"})" + b"\x85" * 999 + b"Ns", "a key of type tuple"),
        (b"}()" + b"\x85" * 999 + b"Nu", "a key of type tuple"),
        (b"()" + b"\x85" * 999 + b"Nd", "a key of type tuple"),
        # A large dictionary or text, copied again and again by six bytes each.
        (ORDERED_DICT + b"]K\x01K\x02\x86a\x85R", "a copy of another"),
        (dumps(Call("_codecs", "encode", "x" * 17, "latin1"))[2:-1], "bytes longer than"),
        (pickle.EMPTY_SET * 9, "does not write"),
        (pickle.BYTEARRAY8 + (2**33).to_bytes(8, "little"), "does not write"),
        (pickle.EXT1 + b"\x01", "does not write"),
    ],
)
def test_what_makes_much_of_little_is_refused(tmp_path, operations, reason):
    with pytest.raises(pickle.UnpicklingError, match=reason):
        torch_file.load(program(tmp_path / "a.pth", operations))


def test_a_large_number_of_the_memo_takes_no_memory(tmp_path):
    path = program(tmp_path / "a.pth", b"N" + pickle.LONG_BINPUT + (2**23).to_bytes(4, "little"))
    tracemalloc.start()
    assert torch_file.load(path) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22  # a table up to that entry takes 2**27 bytes


@pytest.mark.parametrize(
    "operations",
    [
        b"F" + b"x" * 9999 + b"\n",  # not the text of a number
        b"I" + b"x" * 9999 + b"\n",
        b"L" + b"9" * 9999 + b"L\n",
        b"g" + b"9" * 4000 + b"\n",  # an entry that the memo does not have
        b"X\x02\x00\x00\x00\xff\xff",  # not UTF-8
        b"\x80\x61",  # a protocol of the future
    ],
)
def test_what_python_says_of_a_damaged_pickle_is_not_repeated(tmp_path, operations):
    path = program(tmp_path / "a.pth", operations)
    with pytest.raises(ValueError, match=r"a\.pth is damaged: \w+ in its pickle") as error:
        torch_file.load(path)
    assert len(str(error.value)) < 100 + len(str(path))


@pytest.mark.parametrize("shape", [(1,) * 65, (2**63, 0)])
def test_no_time_is_spent_on_a_shape_that_no_array_has(tmp_path, shape):
    value = tensor(Stored("FloatStorage", "0", 12), 0, shape, (1,) * len(shape))
    path = write(tmp_path / "a.pth", value, {"0": np.zeros(12, np.float32)})
    with pytest.raises(ValueError, match="shape and strides do not fit"):
        torch_file.load(path)


@pytest.mark.parametrize("depth", [3, 24])
def test_no_message_spells_out_what_the_file_holds(tmp_path, depth):
    storage, value = Stored("FloatStorage", "0", 12), nested(depth)
    other = Stored("FloatStorage", "0", 12)
    other.pid = value
    text = "x\x1b\n" * 2 ** min(depth, 16)
    for odd in (
        other,
        tensor(storage, 0, value, value),
        tensor(storage, 0, (value, nested(depth)), (1, 1)),
        tensor(Stored("FloatStorage", text, 12), 0, (12,), (1,)),
        Call("numpy", "dtype", value, False, True),
        Call("numpy", "dtype", text, False, True),
        Call("_codecs", "encode", "x", value),
        Call("_codecs", "encode", "\u20ac" + text, "latin1"),
    ):
        path = write(tmp_path / "a.pth", odd, {"0": np.zeros(12, np.float32)})
        begin = time.monotonic()
        with pytest.raises((ValueError, pickle.UnpicklingError)) as error:
            torch_file.load(path)
        assert time.monotonic() - begin < 5
        message = str(error.value)
        assert len(message) < 300 + len(str(path))
        assert message.isprintable()


def test_object_scalars_are_refused(tmp_path):
    kind = Call("numpy", "dtype", "O8", False, True)
    value = Call("numpy.core.multiarray", "scalar", kind, "x")
    with pytest.raises(pickle.UnpicklingError, match="O8"):
        torch_file.load(write(tmp_path / "a.pth", value))
