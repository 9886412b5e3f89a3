"""The pickles of EDM: modules as records, their source text dropped."""

import pickle
import time

import numpy as np
import pytest
from pickled import Call, Filled, Named, Stored, dumps, legacy, tensor

from score_sde.formats import numpy_pickle, persistent

SOURCE = 'open("ran", "w").write("x")'
WEIGHT = np.arange(6, dtype=np.float32)


def module(name, *, parameters=None, buffers=None, modules=None, **more):
    state = {"_parameters": parameters or {}, "_buffers": buffers or {}, "_modules": modules or {}}
    return described(name, {**state, **more})


def described(name, state, changes=()):
    meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": name, "state": state}
    call = "torch_utils.persistence", "_reconstruct_persistent_obj"
    return Call(*call, {**meta, **dict(changes)})


def stored(array, kind="FloatStorage"):
    inner = legacy(Stored(kind, "0", array.size, None), {"0": array})
    return Call("torch.storage", "_load_from_bytes", inner)


def read(tmp_path, value, protocol=4):
    path = tmp_path / "a.pkl"
    path.write_bytes(dumps(value, protocol))
    return persistent.load(path)


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_module_is_a_record_and_its_source_is_not_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    weight = tensor(stored(WEIGHT), 1, (2, 2), (1, 2))
    inner = module("Linear", parameters={"weight": weight, "bias": None})
    container = Filled(
        Call("torch.nn.modules.container", "ModuleDict"), {"_modules": {"8x8": inner}}
    )
    buffers = {
        "kept": tensor(stored(WEIGHT.astype(np.float16), "HalfStorage"), 0, (6,), (1,)),
        "passing": tensor(stored(WEIGHT), 0, (6,), (1,)),
    }
    network = module(
        "SongUNet",
        buffers=buffers,
        modules={"enc": container, "none": None},
        _non_persistent_buffers_set={"passing"},
        _init_kwargs={"channel_mult": [1, 2]},
    )
    record = read(tmp_path, {"ema": network}, protocol)["ema"]
    assert record.class_name == "SongUNet"
    assert "module_src" not in record.state
    assert record.state["_init_kwargs"] == {"channel_mult": [1, 2]}
    assert [name for name, _ in persistent.modules(record)] == ["", "enc", "enc.8x8"]
    arrays = persistent.state_dict(record)
    assert list(arrays) == ["kept", "enc.8x8.weight"]
    np.testing.assert_array_equal(arrays["enc.8x8.weight"], [[1, 3], [2, 4]])
    assert arrays["kept"].dtype == np.float16
    assert not (tmp_path / "ran").exists()


def test_numpy_scalars_and_arrays(tmp_path):
    kind = Filled(Call("numpy", "dtype", "f4", False, True), (3, "<", None, None, None, -1, -1, 0))
    empty = Call("numpy.core.multiarray", "_reconstruct", Named("numpy", "ndarray"), (0,), b"b")
    array = Filled(empty, (1, (2, 3), kind, True, WEIGHT.tobytes()))
    scalar = Call("numpy.core.multiarray", "scalar", kind, WEIGHT[2:3].tobytes())
    found = persistent.plain(read(tmp_path, {"scale": array, "skip": scalar}))
    np.testing.assert_array_equal(found["scale"], WEIGHT.reshape(3, 2).T)
    assert found["skip"] == 2
    assert type(found["skip"]) is float
    short = Filled(empty, (1, (2, 4), kind, False, WEIGHT.tobytes()))
    with pytest.raises(pickle.UnpicklingError, match="not what it claims"):
        read(tmp_path, short)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 7}, "other than 6"),
        ({"version": True}, "other than 6"),
        ({"type": "function"}, "not described as a class"),
        ({"hook": 1}, "not described as a class"),
        ({"state": []}, "not described as a class"),
        ({"module_src": None}, "not described as a class"),
    ],
)
def test_what_else_could_be_made_of_a_class_is_refused(tmp_path, changes, reason):
    with pytest.raises(pickle.UnpicklingError, match=reason):
        read(tmp_path, described("SongUNet", {}, changes))


@pytest.mark.parametrize(
    "inner",
    [
        dumps(Call("posix", "system", "touch ran")),
        legacy(Call("posix", "system", "touch ran")),
        legacy(Stored("FloatStorage", "0", 0, None), keys=[Call("posix", "system", "touch ran")]),
    ],
)
def test_the_bytes_of_a_storage_can_call_nothing(tmp_path, monkeypatch, inner):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match=r"posix\.system"):
        read(tmp_path, Call("torch.storage", "_load_from_bytes", inner))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Call("dnnlib.util", "construct_class_by_name", "os.system"), "construct_class_by_name"),
        (Call("torch.serialization", "os.system", "true"), r"torch\.serialization\.os\.system"),
        (Stored("FloatStorage", "0", 6), "a persistent id"),
        (tensor([1, 2], 0, (2,), (1,)), "other than a storage"),
        ({"a": {1, 2}}, "a set of something other"),
        (Filled(Call("collections", "OrderedDict"), {"items": 1}), None),
        (Filled([], {"extend": 1}), "attributes of type list"),
        (Filled(Named("dnnlib.util", "EasyDict"), {"call": 1}), "attributes of type Function"),
    ],
)
def test_what_is_refused_by_name(tmp_path, value, reason):
    if reason is None:  # attributes of an OrderedDict cannot hide its methods
        assert list(read(tmp_path, value).items()) == []
        return
    with pytest.raises(pickle.UnpicklingError, match=reason):
        read(tmp_path, value)


def test_asking_again_for_the_same_storage_takes_no_time(tmp_path):
    """60,000 times an inner pickle of 60,000 operations, in a file of 360 KB."""
    inner = legacy(Stored("FloatStorage", "0", 6, None), {"0": WEIGHT})
    before, after = inner.split(b"(X\x07\x00\x00\x00storage")
    inner = before + b"]0" * 30_000 + b"(X\x07\x00\x00\x00storage" + after
    ask = b"ctorch.storage\n_load_from_bytes\n\x94"
    data = pickle.BINBYTES + len(inner).to_bytes(4, "little") + inner + b"\x94"
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x04" + ask + data + b"h\x00h\x01\x85R0" * 60_000 + b"N.")
    begin = time.monotonic()
    assert persistent.load(path) is None
    assert time.monotonic() - begin < 5


def test_modules_that_are_no_tree_are_refused(tmp_path):
    same = module("Linear")
    record = read(tmp_path, module("A", modules={"a": same}))
    record.state["_modules"]["b"] = record.state["_modules"]["a"]
    with pytest.raises(ValueError, match="b is no module of its own"):
        persistent.state_dict(record)
    record.state["_modules"] = {"a": record}
    with pytest.raises(ValueError, match="a is no module of its own"):
        persistent.state_dict(record)
    record.state["_modules"] = {"a": "text"}
    with pytest.raises(ValueError, match="a is no module of its own"):
        persistent.state_dict(record)


def test_plain_values_are_bounded():
    value = 1
    for _ in range(30):
        value = [value, value]
    with pytest.raises(ValueError, match="too much"):
        persistent.plain(value)
    with pytest.raises(ValueError, match="a Record"):
        persistent.plain({"a": persistent.Record("A", {})})
    assert persistent.plain((None, True, "x", {"a": [1.5]})) == (None, True, "x", {"a": [1.5]})
    assert persistent.plain(numpy_pickle.Array()).shape == (0,)


def test_a_long_program_is_refused_but_long_data_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr("score_sde.formats.restricted.LARGEST_PROGRAM", 10_000)
    assert len(read(tmp_path, b"x" * 100_000)) == 100_000
    with pytest.raises(ValueError, match="longer than 10,000 bytes"):
        read(tmp_path, [{} for _ in range(9000)])
    path = tmp_path / "framed.pkl"
    body = b"]" * 20_000  # all of it in one frame
    path.write_bytes(b"\x80\x04\x95" + len(body).to_bytes(8, "little") + body + b".")
    with pytest.raises(ValueError, match="longer than 10,000 bytes"):
        persistent.load(path)
