"""Values of a released config.json that a network of ours has only one way of."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

LARGEST = 2**20  # of a whole number, which is some size of a network


def check(
    config: Mapping[str, Any],
    read: Collection[str],
    only: Mapping[str, Any],
    any_value: Collection[str] = (),
) -> None:
    """Raise ValueError unless a network of ours can be what a config.json says.

    Args:
        config: its values.
        read: names of values that make options of ours.
        only: the one value that we have, by name. Where it is a tuple: those.
        any_value: names of values that change nothing of the network.
    """
    for name, value in config.items():
        if name.startswith("_") or name in read or name in any_value:
            continue
        if name not in only:
            if value is None or value is False:
                continue  # a newer file's option that is off
            raise ValueError(f"config.json says {name}={value!r}, which is not known here")
        ours = only[name] if isinstance(only[name], tuple) else (only[name],)
        if value not in ours:
            known = " or ".join(map(repr, ours))
            raise ValueError(f"config.json says {name}={value!r}; the network here has {known}")


def present(config: Mapping[str, Any], name: str, default: Any) -> Any:
    """A value, or the default where it is missing or null.

    Args:
        config: the values of config.json.
        name: of the value.
        default: also says what the value must be: true or false, a whole number from 0 on, a
            number, a name, or a list of what the default's first is, of which a tuple is made.

    Raises:
        ValueError: it is something else.
    """
    if (value := config.get(name)) is None:
        return default
    if not isinstance(default, tuple):
        return _checked(name, value, value, default)
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"config.json says {name}={value!r}; it must be a list")
    return tuple(_checked(name, value, one, default[0]) for one in value)


def levels(config: Mapping[str, Any], name: str, default: Any, count: int) -> tuple[Any, ...]:
    """A value for each level: one for all of them, or a list of as many; see `present`."""
    value = config.get(name)
    if not isinstance(value, (list, tuple)):
        return (present(config, name, default),) * count
    if len(value) != count:
        raise ValueError(f"config.json says {name}={value!r}; it must be {count} values or one")
    return present(config, name, (default,))


def _checked(name: str, value: Any, one: Any, default: Any) -> Any:
    """A value, or one of those in it, if it is of the kind of the default."""
    match default:
        case bool():
            kind, fits = "true or false", isinstance(one, bool)
        case int():
            fits = isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= LARGEST
            kind = f"a whole number from 0 to {LARGEST}"
        case float():
            fits = isinstance(one, (int, float)) and not isinstance(one, bool)
            kind, fits = "a finite number", fits and abs(one) < math.inf
        case _:
            kind, fits = "a name", isinstance(one, str)
    if not fits:
        raise ValueError(f"config.json says {name}={value!r}; it must be {kind}")
    return one
