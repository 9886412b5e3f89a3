"""What the JSON files beside a tokeniser say of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from score_sde import records

JSON = "tokenizer.json"


def read(folder: Path) -> dict[str, Any]:
    """The values of tokenizer_config.json, and those of special_tokens_map.json in their place.

    Raises:
        ValueError: one of them is damaged; either may be missing.
    """
    found: dict[str, Any] = {}
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        found |= json_object(folder / name, missing={})
    return found


def json_object(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: the file.
        missing: what is returned where there is no such file; None: that is an error.

    Raises:
        ValueError: it is none.
    """
    try:
        values = records.read(path)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error
    values = missing if values is None else values
    if values is None:
        raise ValueError(f"{path} is missing")
    return values


def model(path: Path) -> dict[str, Any]:
    """The part "model" of a tokenizer.json.

    Raises:
        ValueError: there is none.
    """
    found = json_object(path).get("model")
    if not isinstance(found, dict):
        raise ValueError(f"{path} says of no model")
    return found


def token(settings: Mapping[str, Any], name: str, default: str) -> str:
    """A special token, which is kept as a text or as an object with its `content`."""
    value = settings.get(name)
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) and value else default


def length(settings: Mapping[str, Any], default: int) -> int:
    """The most tokens of a text: old files say none, or a huge number that means none."""
    value = settings.get("model_max_length")
    return value if type(value) is int and 2 <= value <= 2**20 else default


def vocabulary(values: Any) -> dict[str, int]:
    """Tokens and their ids, checked.

    Raises:
        ValueError: they are none; the message follows the name of the file.
    """
    if not isinstance(values, dict) or not values:
        raise ValueError("has no vocabulary")
    check_ids(values)
    return values


def check_ids(values: Mapping[str, Any]) -> None:
    """Raise ValueError, as `vocabulary` does, unless all values are ids."""
    for name, number in values.items():
        if type(number) is not int or not 0 <= number < 2**31:
            raise ValueError(f"gives {name!r:.40} the id {number!r:.40}")
