"""Checks of names and numbers that a user writes, with messages that say what would be right."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import TypeVar

T = TypeVar("T")


def check_name(kind: str, name: object, valid: Iterable[str], also: Iterable[str] = ()) -> None:
    """Raise a ValueError that names the nearest valid name, unless `name` is one.

    Args:
        kind: what is being named, for the message.
        name: what the user wrote.
        valid: the names that exist.
        also: other names, which the message does not list.
    """
    valid, also = list(valid), list(also)
    if name not in valid and name not in also:
        nearest = difflib.get_close_matches(str(name), valid + also, n=1, cutoff=0)[0]
        raise ValueError(
            f"unknown {kind} {name!r}: did you mean {nearest!r}? valid: {', '.join(valid)}"
        )


def present(what: str, value: T | None) -> T:
    """The value, which is there by now.

    Args:
        what: what it is, for the message.
        value: it, or None where nobody gave it.

    Raises:
        ValueError: nobody did.
    """
    if value is None:
        raise ValueError(
            f"{what} is not given: give {what.replace(' ', '_')}=... to what is called, or where "
            "that is made"
        )
    return value


def check_count(name: str, value: object) -> None:
    """Raise a ValueError unless the value is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")


def check_positive(name: str, value: object) -> None:
    """Raise a ValueError unless the value is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a finite number above 0, not {value!r}")
