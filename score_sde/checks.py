"""Checks of names and numbers that a user writes, with messages that say what would be right."""

from __future__ import annotations

import difflib
import math
import types
import typing
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any


def check_name(kind: str, name: object, valid: Iterable[str]) -> None:
    """Raise a ValueError that names the nearest valid name, unless `name` is one.

    Args:
        kind: what is being named, for the message.
        name: what the user wrote.
        valid: the names that exist.
    """
    valid = list(valid)
    if name not in valid:
        nearest = difflib.get_close_matches(str(name), valid, n=1, cutoff=0)[0]
        raise ValueError(
            f"unknown {kind} {name!r}: did you mean {nearest!r}? valid: {', '.join(valid)}"
        )


def check_count(name: str, value: object) -> None:
    """Raise a ValueError unless the value is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")


def check_positive(name: str, value: object) -> None:
    """Raise a ValueError unless the value is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a finite number above 0, not {value!r}")


def check_type(name: str, value: object, annotation: Any) -> None:
    """Raise a ValueError unless a value is of the type that an annotation names.

    Args:
        name: of the value, for the message.
        value: what the user wrote.
        annotation: int (of 64 bits), float (finite; an int is one too), bool, str, None, a Literal,
            tuple[X, ...] or Sequence[X], or a union of these.
    """
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{name}={value}: whole numbers here have at most 64 bits")
    if not _is_of(value, annotation):
        raise ValueError(f"{name}={value!r}: this field takes {describe_type(annotation)}")


def describe_type(annotation: Any) -> str:
    """An annotation in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(describe_type, arguments))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin in (tuple, Sequence):
        return f"a tuple of {_WORDS[arguments[0]][1]}"
    return _WORDS[annotation][0]


_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a finite number", "finite numbers"),
    bool: ("True or False", "True or False"),
    str: ("a text", "texts"),
    types.NoneType: ("None", "None"),
}


def _is_of(value: object, annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_is_of(value, one) for one in arguments)
    if origin is typing.Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if origin in (tuple, Sequence):
        return isinstance(value, list | tuple) and all(_is_of(v, arguments[0]) for v in value)
    if annotation is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)
