"""The arguments as they were typed: texts, which say what they set before anything reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from score_sde.files import expanded

_FIELD = re.compile(r"--?config\.([^=]+)=")


def joined(argv: list[str]) -> list[str]:
    """The arguments, with `--config.path value` as one and each field once: the last one counts.

    ml_collections would take None for a text, and join the tuples that a field is given. It is also
    to find the recipe, so a ~ in its path is replaced here.
    """
    found: list[str] = []
    for argument in argv:
        is_value = not re.match(r"-+[A-Za-z]", argument)
        if is_value and found and re.fullmatch(r"--?config\.[^=]+", found[-1]):
            found[-1] += f"={argument}"
        elif found and found[-1] in ("--config", "-config"):
            found[-1] += f"={expanded(argument)}"
        else:
            name, is_given, value = argument.partition("=")
            own = is_given and name in ("--config", "-config") and value
            found.append(f"{name}={expanded(value)}" if own else argument)
    last = {match[1]: i for i, text in enumerate(found) if (match := _FIELD.match(text))}
    return [
        text
        for i, text in enumerate(found)
        if not (match := _FIELD.match(text)) or last[match[1]] == i
    ]


def overrides(argv: list[str]) -> list[tuple[str, str | None]]:
    """Dotted paths of the fields that the arguments set, and the values that follow a "="."""
    pattern = re.compile(r"--?config\.([^=]+)(?:=(.*))?", re.DOTALL)
    matches = map(pattern.match, argv[1:])
    return [(match[1], match[2]) for match in matches if match]


def changes(argv: Sequence[str]) -> list[str]:
    """The arguments that set fields, also to true or false by their name alone."""
    return [argument for argument in argv[1:] if re.match(r"--?(no)?config\.", argument)]
