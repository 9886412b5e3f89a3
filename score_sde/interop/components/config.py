"""What the values of a config.json mean to us, or that we have no such network."""

from collections.abc import Mapping
from typing import Any


def chosen(config: Mapping[str, Any], name: str, default: str, known: Mapping[str, str]) -> str:
    """What we call the value of an option that is a word.

    Args:
        config: the values.
        name: of the option.
        default: its value where there is none.
        known: what we call each value that we have.

    Raises:
        ValueError: we do not have it.
    """
    value = config.get(name, default)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}={value!r} is not known here: there are {', '.join(known)}")
    return known[value]


def numbers(
    config: Mapping[str, Any], defaults: Mapping[str, tuple[str, float]]
) -> dict[str, float]:
    """Options that are positive numbers, by our names.

    Args:
        config: the values.
        defaults: by our name, the released one and its value where there is none.

    Raises:
        ValueError: one is no positive number, or no whole one where its default is whole.
    """
    found = {}
    for ours, (name, default) in defaults.items():
        value = config.get(name, default)
        whole = isinstance(default, int)
        if type(value) not in ((int,) if whole else (int, float)) or not value > 0:
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{name}={value!r} must be {kind} above 0")
        found[ours] = value
    return found
