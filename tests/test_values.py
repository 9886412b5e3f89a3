"""What a value may be: types, ranges and lengths, each with what is refused and its words."""

import math
import typing
from typing import Annotated

import numpy as np
import pytest

from score_sde import values


@pytest.mark.parametrize(
    ("annotation", "good", "bad", "words"),
    [
        (int, (0, -3), (True, 1.0, "1", None), "a whole number"),
        (float, (0.5, 3), (True, "1", None), "a finite number"),
        (bool, (True,), (1, "True"), "True or False"),
        (str, ("", "a"), (1, None), "a text"),
        (int | None, (1, None), (0.5,), "a whole number or None"),
        (
            tuple[int, ...],
            ((), (1, 2), [3]),
            ((1.5,), (True,), "1", 3),
            "a tuple of whole numbers",
        ),
        (typing.Sequence[str], (("a",),), ((1,), "a"), "a tuple of texts"),
        (typing.Literal["a", "b"], ("a",), ("c", None), "one of 'a', 'b'"),
    ],
)
def test_values_are_of_the_type_that_an_annotation_names(annotation, good, bad, words):
    """Elements of tuples too; a truth value is no number."""
    assert values.describe(annotation) == words
    for value in good:
        values.check("x", value, annotation)
    for value in bad:
        with pytest.raises(ValueError, match=f"^x=.*: this field takes {words}"):
            values.check("x", value, annotation)


INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("annotation", "good", "bad", "message"),
    [
        (values.Count, (1, 2**31 - 1), (0, -1, 2**31), "must be at least 1 and at most 2,147,483,"),
        (values.Seed, (0, 2**32 - 1), (-1, 2**32), "must be at least 0 and at most 4,294,967,295"),
        (values.Positive, (1e-30, 3e38, 5), (0.0, -1.0, 1e-60), "must be above 0"),
        (values.NotNegative, (0.0, 1), (-1e-9,), "must be at least 0"),
        (values.Share, (0.0, 0.9999), (1.0, -0.1, 1 - 1e-12), "must be at least 0 and below 1"),
        (values.above(0, at_most=1), (1, 0.5), (0, 1.5), "must be above 0 and at most 1"),
        (values.Name, ("", "a" * 100), ("a" * 300,), "must have at most 100 .* 300 characters"),
        (values.one_of({"ab": 1}, ("c",)), ("ab", "c"), ("a", ""), "did you mean"),
        (
            values.Path,
            ("", "a/" * 500, "~"),
            ("a" * 256, "a\0", "\udcff"),
            "cannot be the path of a file",
        ),
        (tuple[values.Share, ...], ((), (0.5,)), ((0.5, 1.5),), r"x=1.5 must be at least 0 and be"),
        (
            Annotated[tuple[int, ...], values.Length(1, 2)],
            ((1,), (1, 2)),
            ((), (1, 2, 3)),
            "must have 1 to 2 .* elements",
        ),
        (values.Count | None, (None, 3), (0,), "must be at least 1"),
    ],
)
def test_ranges_and_lengths(annotation, good, bad, message):
    """As a float32 too; what is in a tuple, and what may be None."""
    if isinstance(annotation, values.Range | values.OneOf):
        annotation = Annotated[str if isinstance(annotation, values.OneOf) else float, annotation]
    for value in good:
        values.check("x", value, annotation)
    for value in bad:
        with pytest.raises(ValueError, match=message):
            values.check("x", value, annotation)


@pytest.mark.parametrize("value", [INF, -INF, NAN, 1e39, 10**400, np.float64(NAN), True, "1"])
def test_a_number_is_finite_as_a_float32(value):
    with pytest.raises(ValueError, match=r"finite number|64 bits"):
        values.check("x", value, float)


def test_numbers_of_numpy_are_numbers():
    values.check("x", np.float32(0.5), values.Share)
    values.check("x", np.int64(3), values.Count)


@pytest.mark.parametrize("annotation", [str, values.Name, values.Path, values.one_of(("a", "b"))])
def test_a_long_value_is_cut_in_the_message(annotation):
    if isinstance(annotation, values.OneOf):
        annotation = Annotated[str, annotation]
    with pytest.raises(ValueError, match="a") as error:
        values.check("x", "a" * 100_000, annotation)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (values.Share, "a finite number, at least 0 and below 1"),
        (values.Path, "a path"),
        (Annotated[str, values.one_of(("a", "b"))] | None, "one of a, b or None"),
        (tuple[values.Positive, ...], "a tuple of finite numbers (each above 0)"),
    ],
)
def test_words(annotation, words):
    assert values.describe(annotation) == words


@pytest.mark.parametrize(
    "text", ["big", "{[]: 1}", "-" * 200_000 + "1", "(" * 3000 + ")" * 3000, "9" * 5000], ids=len
)
def test_what_is_no_literal_is_a_text(text):
    """Python's parser gives up on what is nested too deeply in several ways."""
    assert values.literal(text) == text
    assert values.literal("(1, 'a')") == (1, "a")
