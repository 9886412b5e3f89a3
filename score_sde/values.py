"""What a value may be: its type and its range, which stand in the annotation of a field.

    steps: Annotated[int, between(1, 1_000_000)] = 1000
    predictor: Annotated[str, one_of(PREDICTORS)] = "reverse_diffusion"

What a user gives is checked against them, and --help says them in words: there is no second list.
Those that many fields share have a name here: Count, Every, Seed, Positive, NotNegative, Share,
Name, Path.
"""

from __future__ import annotations

import ast
import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np

from score_sde.checks import check_name

LARGEST = 2**31 - 1  # of a counter on a device
LARGEST_FLOAT = float(np.finfo(np.float32).max)  # what a network computes with
_LONGEST_TEXT = 4096  # characters: as long as a path can be
_LONGEST_NAME = 100
_LONGEST_PART = 255  # bytes of a file's name
_SHOWN = 100  # characters of a value in a message


class Constraint(Protocol):
    """What an annotation says of a value beyond its type.

    Attributes:
        SAYS_ALL: whether its words say the type as well.
    """

    SAYS_ALL: ClassVar[bool]

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError, which begins with the name, unless a value of the type will do."""

    def words(self) -> str:
        """In words."""


@dataclasses.dataclass(frozen=True)
class Range:
    """From `low` to `high`; an end that is open does not belong to it, as a float32 neither."""

    SAYS_ALL: ClassVar[bool] = False

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def check(self, name: str, value: Any) -> None:
        """See Constraint."""
        for number in (value, float(np.float32(value))):
            above = number > self.low if self.open_low else value >= self.low
            below = number < self.high if self.open_high else value <= self.high
            if not (above and below):
                also = "" if number is value else ", also as a float32"
                raise ValueError(f"{name}={value!r} must be {self.words()}{also}")

    def words(self) -> str:
        """At least or above the one end, at most or below the other."""
        ends = []
        if self.low > -math.inf:
            ends.append(f"{'above' if self.open_low else 'at least'} {self.low:,}")
        if self.high < math.inf:
            ends.append(f"{'below' if self.open_high else 'at most'} {self.high:,}")
        return " and ".join(ends)


def between(low: float, high: float) -> Range:
    """low <= value <= high."""
    return Range(low, high)


def above(low: float, at_most: float = math.inf) -> Range:
    """low < value <= at_most."""
    return Range(low, at_most, open_low=True)


@dataclasses.dataclass(frozen=True)
class Length:
    """How many characters a text, or elements a tuple has."""

    SAYS_ALL: ClassVar[bool] = False

    least: int
    most: int

    def check(self, name: str, value: Any) -> None:
        """See Constraint."""
        if not self.least <= len(value) <= self.most:
            what = "characters" if isinstance(value, str) else "elements"
            raise ValueError(
                f"{name}={shown(value)} must have {self.words()}, not {len(value)} {what}"
            )

    def words(self) -> str:
        """At least, if that is not 0, and at most."""
        return f"{self.least} to {self.most} long" if self.least else f"at most {self.most} long"


@dataclasses.dataclass(frozen=True)
class OneOf:
    """A name in a table."""

    SAYS_ALL: ClassVar[bool] = True

    names: tuple[str, ...]

    def check(self, name: str, value: Any) -> None:
        """See Constraint."""
        check_name(name, value[:_SHOWN], self.names)

    def words(self) -> str:
        """All of them."""
        return f"one of {', '.join(self.names)}"


def one_of(*tables: Iterable[str]) -> OneOf:
    """A name in one of these tables."""
    return OneOf(tuple(name for table in tables for name in table))


@dataclasses.dataclass(frozen=True)
class IsPath:
    """A file or a folder; the command line expands a ~ at its beginning (see files.expanded)."""

    SAYS_ALL: ClassVar[bool] = True

    def check(self, name: str, value: Any) -> None:
        """See Constraint."""
        impossible = f"{name}={shown(value)} cannot be the path of a file"
        try:
            longest = max(len(part.encode()) for part in value.split("/"))
        except UnicodeEncodeError as error:  # it is written into config.json and onto pages
            raise ValueError(f"{impossible}: it is not in UTF-8; rename it") from error
        if "\0" in value or longest > _LONGEST_PART:
            raise ValueError(impossible)

    def words(self) -> str:
        """What it is."""
        return "a path"


Count = Annotated[int, between(1, LARGEST)]
Every = Annotated[int, between(0, LARGEST)]  # 0 for never, none or all
Seed = Annotated[int, between(0, 2**32 - 1)]  # JAX takes a larger one modulo 2^32, silently
Positive = Annotated[float, above(0)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1, open_high=True)]
Name = Annotated[str, Length(0, _LONGEST_NAME)]
Path = Annotated[str, IsPath()]


def check(name: str, value: object, annotation: Any) -> None:
    """Raise a ValueError unless a value is what an annotation says.

    Args:
        name: of the value, for the message.
        value: what the user wrote.
        annotation: int (of 64 bits), float (finite, as a float32 too; an int is one), bool, str,
            None, a Literal, tuple[X, ...] or Sequence[X], a union of these, or one of them
            Annotated with a Constraint. Any other is not checked.
    """
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{name}: whole numbers here have at most 64 bits")
    if not _is_of(value, annotation):
        raise ValueError(f"{name}={shown(value)}: this field takes {describe(annotation)}")
    _check_size(name, value)
    _constrain(name, value, annotation)


def literal(text: str) -> Any:
    """A value as Python writes it; the text itself where it is none, or is nested too deeply."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def shown(value: object) -> str:
    """A value for a message, cut if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def describe(annotation: Any) -> str:
    """An annotation in words."""
    base, constraints = _parts(annotation)
    of_type = [] if any(one.SAYS_ALL for one in constraints) else [_describe_type(base)]
    return ", ".join((*of_type, *(one.words() for one in constraints)))


def is_path(annotation: Any) -> bool:
    """Whether a field is a path."""
    base, constraints = _parts(annotation)
    return any(isinstance(c, IsPath) for c in constraints) or any(map(is_path, _union(base)))


def python_type(annotation: Any) -> type:
    """The plain type of a value that is not None."""
    base, _ = _parts(annotation)
    if members := _union(base):
        return python_type(next(one for one in members if one is not types.NoneType))
    if typing.get_origin(base) is typing.Literal:
        return type(typing.get_args(base)[0])
    return tuple if _element(base) is not None else base


_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a finite number", "finite numbers"),
    bool: ("True or False", "True or False"),
    str: ("a text", "texts"),
    types.NoneType: ("None", "None"),
}


def _parts(annotation: Any) -> tuple[Any, list[Constraint]]:
    """The type of an annotation, and what it says beyond."""
    if typing.get_origin(annotation) is not Annotated:
        return annotation, []
    base, *constraints = typing.get_args(annotation)
    return base, constraints


def _union(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or none."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return ()


def _element(annotation: Any) -> Any:
    """What the elements of a tuple are, or None if it is no tuple."""
    if typing.get_origin(annotation) in (tuple, Sequence):
        return typing.get_args(annotation)[0]
    return None


def _describe_type(annotation: Any) -> str:
    if members := _union(annotation):
        return " or ".join(dict.fromkeys(map(describe, members)))
    if typing.get_origin(annotation) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(annotation)))
    if (element := _element(annotation)) is not None:
        base, constraints = _parts(element)
        each = f" (each {', '.join(c.words() for c in constraints)})" if constraints else ""
        return f"a tuple of {_WORDS[base][1]}{each}"
    return _WORDS[annotation][0]


def _is_of(value: object, annotation: Any) -> bool:
    annotation, _ = _parts(annotation)
    if members := _union(annotation):
        return any(_is_of(value, one) for one in members)
    if typing.get_origin(annotation) is typing.Literal:
        return any(value == one and type(value) is type(one) for one in typing.get_args(annotation))
    if (element := _element(annotation)) is not None:
        return isinstance(value, list | tuple) and all(_is_of(v, element) for v in value)
    if isinstance(value, bool | np.bool_):
        return annotation is bool
    if annotation is float:
        return isinstance(value, Real) and abs(value) <= LARGEST_FLOAT  # false for NaN as well
    if annotation is int:
        return isinstance(value, Integral)
    return isinstance(value, annotation)


def _check_size(name: str, value: object) -> None:
    """No text and no tuple is longer than any can be."""
    if isinstance(value, str | tuple | list):
        Length(0, _LONGEST_TEXT).check(name, value)


def _constrain(name: str, value: object, annotation: Any) -> None:
    """Check a value of the right type against what an annotation says beyond."""
    base, constraints = _parts(annotation)
    for constraint in constraints:
        constraint.check(name, value)
    if (element := _element(base)) is not None:
        for one in typing.cast(Sequence[object], value):
            _constrain(name, one, element)
    members = [one for one in _union(base) if _is_of(value, one)]
    errors = []
    for one in members:
        try:
            return _constrain(name, value, one)
        except ValueError as error:
            errors.append(error)
    if errors:
        raise errors[0]
