"""Sections of a config, and the frozen dataclasses that they stand for.

The fields of a dataclass are the fields of its section. A family is a dictionary from names to
dataclasses, of which a config chooses one by name. Its section holds that name; the options that
several members share, where None leaves each member its own default; and, in a section for each
member, the options that only it has:

    sampling.sampler = "predictor_corrector"
    sampling.steps = None                           # shared
    sampling.predictor_corrector.snr = 0.16         # its own

So two options of one name never meet. What a member is given by the data and not by a config, its
shape for example, is DERIVED and in no section.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import operator
import re
import textwrap
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from score_sde import values
from score_sde.checks import check_name
from score_sde.errors import UserError

Family = Mapping[str, Callable[..., Any]]


class Entry(NamedTuple):
    """A field of a config.

    Attributes:
        default: its value unless a recipe gives another; None for "as its owner has it".
        annotation: the type that it takes, and its range; see score_sde.values.
        meaning: what it is, in the words of its owner's docstring.
    """

    default: Any
    annotation: Any
    meaning: str = ""


# Metadata of a field that follows from the data: a plain value, or an array (a leaf of the pytree).
DERIVED = {"derived": True, "static": True}
DERIVED_ARRAY = {"derived": True}


def entries(cls: type) -> dict[str, Entry]:
    """The options of a dataclass, by name."""
    return _entries(cls)


@functools.cache
def _entries(cls: type) -> dict[str, Entry]:
    annotations = typing.get_type_hints(cls, include_extras=True)
    said = meanings(cls)
    return {
        field.name: Entry(field.default, annotations[field.name], said.get(field.name, ""))
        for field in dataclasses.fields(cls)
        if not field.metadata.get("derived")
    }


def meanings(cls: type) -> dict[str, str]:
    """What the docstring of a class, and of those it is made from, says of its attributes.

    Returns:
        The text under "Attributes:" or "Args:" by name, each on one line.
    """
    found: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        text = inspect.cleandoc(owner.__dict__.get("__doc__") or "")
        for block in re.findall(r"^(?:Attributes|Args):\n((?:[ ].*\n|\n)*)", text + "\n", re.M):
            for item in re.split(r"\n(?=\S)", textwrap.dedent(block).strip()):
                name, _, meaning = item.partition(":")
                found[name] = " ".join(meaning.split())
    return found


def check(options: Any, prefix: str = "") -> None:
    """Raise UserError, which names it, unless each option is what its field says.

    Args:
        options: an instance of a dataclass.
        prefix: of the names, for the message.
    """
    try:
        for name, entry in entries(type(options)).items():
            values.check(f"{prefix}{name}", getattr(options, name), entry.annotation)
    except ValueError as error:
        raise UserError(str(error)) from error


def own(cls: type, section: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a dataclass in a section that has others beside them."""
    return {name: section[name] for name in entries(cls)}


def any_of(found: Iterable[Entry]) -> Entry:
    """The one field that stands for those of several members: None, or what any of them takes."""
    found = list(found)
    kinds = list(dict.fromkeys(entry.annotation for entry in found))
    said = found[0].meaning.rstrip(".")
    meaning = f"{said}; None: as its owner has it." if said else ""
    return Entry(None, functools.reduce(operator.or_, (*kinds, None)), meaning)


def left_to(entry: Entry) -> Entry:
    """The field of one member in a section of several, where None is its own default."""
    said = entry.meaning.rstrip(".")
    meaning = said if entry.default is None else f"{said}; None for {entry.default!r}"
    return Entry(None, operator.or_(entry.annotation, None), meaning)


def of_family(family: Family, shared: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a family's section, but for the name of the chosen member.

    Args:
        family: its members, dataclasses by name.
        shared: the options that stand in the section itself.

    Returns:
        Entries by name, and a dictionary of entries for each member that has options of its own.
    """
    found: dict[str, Any] = {}
    for option in shared:
        found[option] = any_of(entries(cls)[option] for cls in _having(family, option))
    for name, cls in family.items():
        own = {option: entry for option, entry in entries(cls).items() if option not in shared}
        if own:
            found[name] = own
    return found


def _having(family: Family, option: str) -> list[type]:
    return [cls for cls in family.values() if option in entries(cls)]


def options(
    kind: str, family: Family, name: str, section: Mapping[str, Any], shared: Sequence[str] = ()
) -> dict[str, Any]:
    """The options of one member in the section of its family.

    Args:
        kind: what the family is, for the message.
        family: its members.
        name: the member.
        section: the section.
        shared: as for `of_family`.

    Raises:
        ValueError: there is no such member.
    """
    check_name(kind, name, family)
    given = {
        option: section[option]
        for option in shared
        if option in entries(family[name]) and section[option] is not None
    }
    return given | dict(section.get(name, {}))


def unread(family: Family, chosen: Sequence[str], shared: Sequence[str] = ()) -> set[str]:
    """The options and sections of a family's section that none of its chosen members reads.

    Args:
        family: its members.
        chosen: names of those that are in use.
        shared: as for `of_family`.
    """
    members = [family[name] for name in chosen if name in family]
    found = {option for option in shared if not any(option in entries(cls) for cls in members)}
    return found | (family.keys() - set(chosen))
