"""Sections of a config: which fields a family has, and what is read back."""

import dataclasses
from typing import Annotated

import pytest

from score_sde import sections, values
from score_sde.errors import UserError
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


@dataclasses.dataclass(frozen=True)
class Base:
    """What two members share.

    Attributes:
        rate: of it all; two
            lines: one text.
    """

    rate: values.Positive = 1.0


@dataclasses.dataclass(frozen=True)
class Said(Base):
    """A member.

    Attributes:
        steps: how many.

    Raises:
        ValueError: never; an error is no option.
    """

    steps: Annotated[int, values.between(1, 9)] = 3

    def __post_init__(self):
        sections.check(self, "config.it.")


def test_a_field_means_what_its_owner_says():
    """In the docstrings of the class and of its bases."""
    meanings = {name: entry.meaning for name, entry in sections.entries(Said).items()}
    assert meanings == {"rate": "of it all; two lines: one text.", "steps": "how many."}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 10}, "config.it.steps=10 must be at least 1 and at most 9"),
        ({"steps": 2.0}, "config.it.steps=2.0: this field takes a whole number, at least 1"),
        ({"rate": float("nan")}, "config.it.rate=nan: this field takes a finite number, above 0"),
    ],
)
def test_options_are_what_their_fields_say(options, message):
    with pytest.raises(UserError) as error:
        Said(**options)
    assert str(error.value).startswith(message)


def test_a_shared_option_takes_what_any_of_its_owners_takes():
    few, many = (Annotated[int, values.between(low, low + 9)] for low in (0, 20))
    either = sections.any_of([sections.Entry(3, few, "first"), sections.Entry(25, many)])
    assert (either.default, either.meaning) == (None, "first; None: as its owner has it.")
    for value in (None, 5, 25):
        values.check("x", value, either.annotation)
    with pytest.raises(ValueError, match="x=15 must be at least 0 and at most 9"):
        values.check("x", 15, either.annotation)
