"""A source of arrays: what is inferred, how it splits, files, functions and refusals."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from made_info import described

from score_sde.data import arrays
from score_sde.data.base import DataError, Info, SplitError
from score_sde.fields import Field, decode_texts, image, label, number, text, vector, video


def whole(source):
    return source.gather(np.arange(len(source)))


def refusal(call, *args, kind=DataError, **kwargs):
    """The message of a refusal, which is one line."""
    with pytest.raises(kind) as caught:
        call(*args, **kwargs)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


def plain(n=20):
    """The label of example i is i, and its other values are exact functions of i."""
    i = np.arange(n)
    return {
        "image": np.broadcast_to(i[:, None, None], (n, 4, 6)).astype(np.uint8),
        "colour": np.broadcast_to(i[:, None, None, None], (n, 2, 2, 3)).astype(np.uint8),
        "bands": np.broadcast_to(i[:, None, None, None], (n, 2, 2, 5)).astype(np.uint8),
        "place": np.stack([i, -i], 1) / 2,
        "label": i.astype(np.int64),
        "age": (i / 4).astype(np.float16),
    }


def test_every_tenth_example_is_held_out_and_fields_are_inferred():
    """Examples 9 and 19 of 20 are for testing; classes are those of all 20 in both splits."""
    fields = (
        image((4, 6, 1)),
        image((2, 2, 3), name="colour"),
        image((2, 2, 5), name="bands"),
        vector(2, "place"),
        label(20),
        number("age"),
    )
    train, test = (arrays.source(plain(), split=split) for split in ("train", "test"))
    assert described(train) == Info("arrays", "train", 18, fields)
    assert described(test) == Info("arrays", "test", 2, fields)
    np.testing.assert_array_equal(whole(test)["label"], [9, 19])
    np.testing.assert_array_equal(whole(train)["label"], [*range(9), *range(10, 19)])
    for source in (train, test):
        read = whole(source)
        for field in fields:
            assert read[field.name].shape == (len(source), *field.shape)
            assert read[field.name].dtype == field.dtype
        expected = {name: array[read["label"]] for name, array in plain().items()}
        expected["image"] = expected["image"][..., None]
        for name, array in expected.items():
            np.testing.assert_array_equal(read[name], array)
    assert train[-1]["label"] == 18
    assert whole(arrays.source(plain(), split="test", hold_out=7))["label"].tolist() == [6, 13]


def test_reading_gives_copies():
    """A change of what was read does not change the arrays of the caller."""
    given = plain()
    whole(arrays.source(given))["image"][:] = 77
    np.testing.assert_array_equal(given["image"], plain()["image"])


@pytest.mark.parametrize(
    ("array", "field"),
    [
        (np.zeros((10, 3, 3, 1), np.uint8), image((3, 3, 1))),
        (np.zeros((10, 3, 5), np.uint8), image((3, 5, 1))),
        (np.zeros((10, 2, 3, 5, 1), np.uint8), video((2, 3, 5, 1))),
        (np.zeros((10, 7)), vector(7)),
        (np.arange(10, dtype=np.uint8), label(10)),
        (np.zeros(10, ">f8"), number("number")),
    ],
)
def test_a_single_array_has_the_name_of_its_kind(array, field):
    """The one field of one array, for each kind that is inferred."""
    assert described(arrays.source(array, name="mine")) == Info("mine", "train", 9, (field,))


def test_splits_that_are_given():
    """Each has all of its examples, and classes are counted over both."""
    given = {"train": {"label": np.arange(3)}, "fresh": {"label": np.array([4, 1])}}
    assert whole(arrays.source(given, split="fresh"))["label"].tolist() == [4, 1]
    train = arrays.source(given)
    assert described(train) == Info("arrays", "train", 3, (label(5),))
    assert whole(train)["label"].tolist() == [0, 1, 2]


def test_given_fields_take_the_place_of_inference():
    """They set names of classes, levels and dtypes; an array without a field is left out."""
    fields = (
        label(30, tuple(map(str, range(30)))),
        image((4, 6, 1), levels=17),
        Field("place", "vector", (2,), "float64"),
    )
    source = arrays.source(plain(), fields=fields)
    assert source.info.fields == fields
    assert set(source[0]) == {"label", "image", "place"}
    assert source[0]["place"].dtype == np.float64
    single = arrays.source(plain()["place"], fields=[vector(2, "where")])
    assert single.info.fields == (vector(2, "where"),)


def test_npz_and_npy_files(tmp_path):
    """A file gives what its arrays give; the prefix of a split makes the splits."""
    path = tmp_path / "a.npz"
    np.savez(path, **plain())
    loaded, direct = arrays.load(path, "test"), arrays.source(plain(), split="test")
    assert loaded.info == direct.info
    for name, array in whole(direct).items():
        np.testing.assert_array_equal(whole(loaded)[name], array)

    np.savez_compressed(
        path, train_label=np.arange(3), test_label=np.array([7]), train_x=np.ones(3), test_x=[0.5]
    )
    test = arrays.load(str(path), "test")
    assert described(test) == Info("arrays", "test", 1, (label(8), number("x")))
    assert test[0] == {"label": 7, "x": 0.5}
    np.savez(path, train_label=np.arange(3), test_score=np.ones(3), size=np.ones(3))
    names = [field.name for field in arrays.load(path, "train").info.fields]
    assert names == ["train_label", "test_score", "size"]

    np.savez(path, train=np.zeros((3, 2)), test=np.ones((2, 2)))
    assert described(arrays.load(path, "test")) == Info("arrays", "test", 2, (vector(2),))

    np.save(tmp_path / "a.npy", plain()["place"])
    mapped = arrays.load(tmp_path / "a.npy", "train")
    assert described(mapped) == Info("arrays", "train", 18, (vector(2),))
    np.testing.assert_array_equal(whole(mapped)["vector"][:9], plain()["place"][:9])


class _Explodes:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_files_that_are_refused(tmp_path):
    """Each names the file, and the array if there is one; nothing of a pickle is executed."""

    def load(name, **contents):
        if contents:
            np.savez(tmp_path / name, **contents)
        message = refusal(arrays.load, tmp_path / name, "train")
        assert str(tmp_path / name) in message
        return message

    assert load("none.npz").endswith(
        "(No such file or directory): give the path of an .npz or .npy file"
    )
    os.mkfifo(tmp_path / "pipe.npz")
    assert load("pipe.npz").endswith(
        "(it is no regular file): give the path of an .npz or .npy file"
    )
    assert "(File name too long)" in load("x" * 300)
    assert "(no file can have this name)" in refusal(arrays.load, "a\0b", "train")
    assert "(Is a directory)" in load(".")
    (tmp_path / "text.npy").write_text("hello")
    assert load("text.npy").endswith("is no .npz or .npy file: write one with np.savez or np.save")
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(_Explodes()))
    assert "is no .npz or .npy file" in load("pickle.npy")

    objects = np.array([_Explodes()], object)
    write = "write uint8, integers or floats with np.savez or np.save"
    np.save(tmp_path / "objects.npy", objects, allow_pickle=True)
    assert load("objects.npy").endswith(f"Python objects in dtype.): {write}")
    message = load("objects.npz", image=plain()["image"], label=objects)
    assert message.endswith(f"label holds Python objects, which would be executed: {write}")

    (tmp_path / "cut.npz").write_bytes((tmp_path / "objects.npz").read_bytes()[:99])
    assert load("cut.npz").endswith(
        f"is not an .npz file of arrays: File is not a zip file: {write}"
    )
    np.save(tmp_path / "whole.npy", plain()["place"])
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-1])
    assert load("cut.npy").startswith("cannot read ")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as file:
        file.writestr("readme.txt", "hello")
    assert "arrays: readme.txt is not an array: " in load("other.npz")
    header = io.BytesIO()
    claim = {"shape": (10**12,), "fortran_order": False, "descr": "<f8"}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "claim.npz", "w") as file:
        file.writestr("x.npy", header.getvalue())
    assert "x claims to be [1000000000000], which it is not" in load("claim.npz")
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    assert load("empty.npz").endswith(
        "has no arrays: give one for each field, such as image or vector"
    )
    assert "array 'x' of " in load("x.npz", x=np.array([1, np.nan]))


def test_texts_are_as_long_as_the_longest_of_all_splits(tmp_path):
    """Of a file too; a given field of fewer bytes refuses them."""
    captions = np.array(["a cat", "", "猫猫"])
    parts = {"train": {"text": captions[:2]}, "test": {"text": captions[2:]}}
    for split, expected in {"train": ["a cat", ""], "test": ["猫猫"]}.items():
        source = arrays.source(parts, split=split)
        assert source.info.fields == (text(6),)
        assert decode_texts(whole(source)["text"]) == expected
    np.savez(tmp_path / "mine.npz", train_text=captions[:2], test_text=captions[2:])
    read = arrays.load(tmp_path / "mine.npz", "test")
    assert read.info == source.info
    assert decode_texts(whole(read)["text"]) == ["猫猫"]
    assert refusal(arrays.source, parts, fields=[text(5)]) == (
        "array 'text' of split 'test' of arrays: '猫猫' has 6 bytes: a text can have 5 here"
    )


def test_arrays_that_are_no_field():
    """The message has the name, the shape, the dtype and what would do."""
    for array, shown in [
        (np.zeros((5, 2, 2, 2, 4, 3), np.uint8), "uint8 [5, 2, 2, 2, 4, 3]"),
        (np.zeros((5, 2), np.uint8), "uint8 [5, 2]"),
        (np.zeros((5, 2, 2)), "float64 [5, 2, 2]"),
        (np.zeros((5, 2), np.int32), "int32 [5, 2]"),
        (np.zeros(5, bool), "bool [5]"),
        (np.zeros(5, complex), "complex128 [5]"),
        (np.array([["a", "b"]]), "<U1 [1, 2]"),
    ]:
        assert refusal(arrays.source, {"x": array}) == (
            f"array 'x' of arrays is {shown}: an image is uint8 [n, height, width, channels] "
            "or [n, height, width], a video uint8 [n, frames, height, width, channels], a vector "
            "float [n, d], a label integer [n], a number float [n], a text str [n]"
        )
    assert "array 'array' of mine is bool [5]" in refusal(
        arrays.source, np.zeros(5, bool), name="mine"
    )
    assert "array 'x' of arrays is one float64: an image" in refusal(
        arrays.source, {"x": np.array(1.0)}
    )


def test_values_and_sizes_that_are_refused():
    """One message for each; floats that overflow when cast are not finite either."""
    assert refusal(arrays.source, {}) == (
        "arrays has no arrays: give one for each field, such as image or vector"
    )
    for empty in (np.zeros(0), np.zeros((5, 0))):
        assert refusal(arrays.source, {"x": empty}) == (
            f"array 'x' of arrays is float64 {list(empty.shape)}: it is empty"
        )
    assert refusal(arrays.source, {"x": np.zeros(5), "y": np.zeros(4)}) == (
        "the arrays of arrays differ in length (x 5, y 4): give every example one of each, and "
        "splits as train_NAME and test_NAME in a file or as {'train': {...}, 'test': {...}}"
    )
    bad = np.ones((40, 2**16))  # More than one chunk; the bad value is in the last.
    for value in (np.nan, np.inf, 1e300):
        bad[-1, -1] = value
        assert refusal(arrays.source, {"x": bad}) == (
            "array 'x' of arrays has values that are not finite in float32: remove those examples"
        )
    assert refusal(arrays.source, {"y": np.array([2, -1])}) == (
        "array 'y' of arrays has values from -1 to 2: as a field of kind label they must be from "
        "0 to 2"
    )
    assert refusal(arrays.source, {"y": np.array([0, 2**32])}) == (
        "array 'y' of arrays would be a label of 4,294,967,297 classes; there can be 1,048,576: "
        "leave it out, or number the classes from 0"
    )
    assert refusal(arrays.source, np.zeros(5), split="test", kind=SplitError) == (
        "arrays has 5 examples, of which one in 10 is for testing, so split 'test' is empty: give "
        "each split its own arrays"
    )
    assert refusal(arrays.source, {"samples": np.zeros(20)}) == (
        "arrays: a field cannot be named 'samples': letters, digits and _, and none of counts, "
        "samples, observed, predicted, about"
    )
    assert "hold_out must be a whole number" in refusal(
        arrays.source, np.zeros(5), hold_out=0, kind=ValueError
    )


def test_splits_that_are_refused():
    """A split that is not there, and splits that differ."""
    assert refusal(arrays.source, plain(), split="validation", kind=SplitError) == (
        "arrays has no split 'validation': use train, test"
    )
    x = {"x": np.zeros(3)}
    assert refusal(arrays.source, {"train": x}, split="test", kind=SplitError) == (
        "arrays has no split 'test': use train"
    )
    assert refusal(arrays.source, {"train": x, "test": {"y": np.zeros(3)}}) == (
        "split 'train' of arrays has no array 'y': it has x"
    )
    assert refusal(arrays.source, {"train": x, "test": {"x": np.zeros((3, 2))}}) == (
        "array 'x' of split 'test' of arrays is float64 [3, 2]: as a field of kind number it must "
        "be float32 [n]"
    )


def test_given_fields_that_are_refused():
    """Explicit fields are checked against the arrays: presence, shape, dtype and range."""

    def source(*fields):
        return refusal(arrays.source, plain(), fields=fields)

    assert source(label(20, name="class")).startswith("arrays has no array 'class': it has image,")
    assert source(vector(3, "place")) == (
        "array 'place' of arrays is float64 [20, 2]: as a field of kind vector it must be "
        "float32 [n, 3]"
    )
    assert source(Field("label", "image", (), "uint8")).endswith("it must be uint8 [n]")
    assert source(label(19)).endswith(
        "from 0 to 19: as a field of kind label they must be from 0 to 18"
    )
    fields = [Field("x", "mask", (), "int8")]
    assert refusal(arrays.source, {"x": np.array([0, 128])}, fields=fields).endswith(
        "from 0 to 128: as a field of kind mask they must be from -128 to 127"
    )


def draw(rng, n):
    return {"vector": rng.standard_normal((n, 2)), "label": rng.integers(3, size=n)}


def test_a_function_gives_the_same_examples_in_any_order():
    """They depend on seed, split and position only; those of the splits are unrelated."""

    def open(split="train", seed=0):
        return arrays.function(draw, 1500, name="rings", split=split, seed=seed)

    train, test, other = open(), open("test"), open(seed=1)
    assert described(train) == Info("rings", "train", 1500, (vector(2), label(3)))
    assert (len(test), test.info.fields) == (150, train.info.fields)
    again = open()
    for index in (1499, 0, 700):
        np.testing.assert_array_equal(again[index]["vector"], train[index]["vector"])
        np.testing.assert_array_equal(again[index]["vector"], whole(train)["vector"][index])
    for source in (test, other):
        assert not np.isin(whole(source)["vector"], whole(train)["vector"]).any()


def test_sizes_fields_and_density_of_a_function():
    """A tenth is held out, at least 100, unless test_size is given; one array is enough."""

    def open(size, **options):
        return arrays.function(lambda rng, n: rng.random((n, 2)), size, name="square", **options)

    assert [len(open(size, split="test")) for size in (7, 1000, 1010)] == [100, 100, 101]
    assert len(open(7, split="test", test_size=3)) == 3
    density = np.zeros_like
    source = open(7, fields=[vector(2, "x")], log_density=density)
    assert source.info.fields == (vector(2, "x"),)
    assert source.log_density is density
    assert open(7).log_density is None


def test_functions_that_are_refused():
    """Another number of examples, in either split; a size or split that is none."""

    def short(rng, n):
        return {"x": np.zeros(min(n, 100))}

    assert refusal(arrays.function, short, 101, name="rings") == (
        "draw(rng, 101) of rings gave 'x' as float64 [100]: its first axis must be the 101 examples"
    )
    assert "gave 'x' as float64 []" in refusal(
        arrays.function, lambda rng, n: {"x": 1.0}, 5, name="rings"
    )
    assert refusal(
        arrays.function, draw, 5, name="rings", split="validation", kind=SplitError
    ).startswith("rings has no split 'validation'")
    for sizes in ({"size": 0}, {"size": 5, "test_size": 0}):
        assert "must be a whole number of at least 1, not 0" in refusal(
            arrays.function, draw, name="rings", kind=ValueError, **sizes
        )
