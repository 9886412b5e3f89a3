"""Sections of a config: which fields a family has, and what is read back."""

import dataclasses
import typing

import pytest

from score_sde import sections
from score_sde.checks import check_type, describe_type
from score_sde.sections import Entry


@dataclasses.dataclass(frozen=True)
class One:
    """A member."""

    shape: tuple[int, ...] = dataclasses.field(metadata=sections.DERIVED)
    steps: int = 10
    rate: float = 0.5


@dataclasses.dataclass(frozen=True)
class Two:
    """Another."""

    steps: int = 20
    rate: float = 2.0
    name: str | None = None


FAMILY = {"one": One, "two": Two}


def test_shared_options_stand_once_and_own_ones_with_their_owner():
    """What follows from the data is no option; None means as the member has it."""
    assert sections.of_family(FAMILY, ("steps",)) == {
        "steps": Entry(None, int | None),
        "one": {"rate": Entry(0.5, float)},
        "two": {"rate": Entry(2.0, float), "name": Entry(None, str | None)},
    }


def test_two_options_of_one_name_never_meet():
    values = {"steps": None, "one": {"rate": 0.1}, "two": {"rate": 9.0, "name": None}}
    assert sections.options("kind", FAMILY, "one", values, ("steps",)) == {"rate": 0.1}
    assert sections.options("kind", FAMILY, "two", values | {"steps": 3}, ("steps",)) == {
        "steps": 3,
        "rate": 9.0,
        "name": None,
    }
    with pytest.raises(ValueError, match="unknown kind 'tow': did you mean 'two'"):
        sections.options("kind", FAMILY, "tow", values)


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
    assert describe_type(annotation) == words
    for value in good:
        check_type("x", value, annotation)
    for value in bad:
        with pytest.raises(ValueError, match=f"^x=.*: this field takes {words}"):
            check_type("x", value, annotation)
