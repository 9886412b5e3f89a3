"""Records: JSON objects that are read with care, and sealed where their numbers are believed later.

A seal is a checksum among the values of an object, of all its other values. So a number that was
changed by hand, by a disk or by a copy that broke off is found when it is read. It keeps no secret:
who wants to deceive can make another. An object without one was written before there were seals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from score_sde import files
from score_sde.errors import first_line

SEAL = "sha256"
_DEEPEST = 64  # objects within objects; Python itself gives up near 1000, in the middle of work


def read(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is no such file.

    Raises:
        ValueError: it is something else. The message follows the name of the file: "is not ...".
    """
    try:
        with files.regular(path) as file:
            return parse(file.read())
    except FileNotFoundError:
        return None
    except files.Irregular as error:
        raise ValueError("is not a regular file") from error
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error


def parse(text: str | bytes) -> dict[str, Any]:
    """The JSON object that a text says.

    Raises:
        ValueError: it says something else, as for `read`.
    """
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"is nested more than {_DEEPEST} times") from error
    except ValueError as error:  # also of bytes that are no text, and of numbers without end
        raise ValueError(f"is not JSON ({first_line(error)})") from error
    if not isinstance(values, dict):
        raise ValueError("is not a JSON object")
    _check_depth(values)
    return values


def _check_depth(values: Any) -> None:
    level = [values]
    for _ in range(_DEEPEST):
        inside = [node.values() if isinstance(node, dict) else node for node in level]
        level = [child for node in inside for child in node if isinstance(child, dict | list)]
        if not level:
            return
    raise ValueError(f"is nested more than {_DEEPEST} times")


def digest(values: Mapping[str, Any], of: str = "", inside: str = "") -> str:
    """The checksum of JSON values, in whatever order they stand, but for their seal.

    Args:
        values: by name.
        of: what they belong to: elsewhere they have another checksum.
        inside: the name of the value, itself values by name, that the seal stands in; "" if it
            stands beside them.
    """
    plain = json.loads(json.dumps(_bare(values, inside)))
    text = of + json.dumps(plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sealed(values: Mapping[str, Any], of: str = "", inside: str = "") -> dict[str, Any]:
    """Values and their seal; arguments as for `digest`."""
    seal = {SEAL: digest(values, of, inside)}
    return {**values, inside: {**values[inside], **seal}} if inside else {**values, **seal}


def unsealed(values: Mapping[str, Any], of: str = "", inside: str = "") -> dict[str, Any]:
    """Values without their seal, if they have one; arguments as for `digest`.

    Raises:
        ValueError: they are not those that were sealed; the message follows their name.
    """
    holder = values[inside] if inside else values
    if SEAL in holder and holder[SEAL] != digest(values, of, inside):
        raise ValueError("was changed since it was written")
    return _bare(values, inside)


def _bare(values: Mapping[str, Any], inside: str) -> dict[str, Any]:
    if inside:
        return {**values, inside: _bare(values[inside], "")}
    return {name: value for name, value in values.items() if name != SEAL}
