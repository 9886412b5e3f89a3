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
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from score_sde.checks import check_name

Family = Mapping[str, Callable[..., Any]]


class Entry(NamedTuple):
    """A field of a config.

    Attributes:
        default: its value unless a recipe gives another; None for "as its owner has it".
        annotation: the type that it takes.
    """

    default: Any
    annotation: Any


# Metadata of a field that follows from the data: a plain value, or an array (a leaf of the pytree).
DERIVED = {"derived": True, "static": True}
DERIVED_ARRAY = {"derived": True}


@functools.cache
def entries(cls: type) -> dict[str, Entry]:
    """The options of a dataclass, by name."""
    annotations = typing.get_type_hints(cls)
    return {
        field.name: Entry(field.default, annotations[field.name])
        for field in dataclasses.fields(cls)
        if not field.metadata.get("derived")
    }


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
        annotation = next(entries(c)[option].annotation for c in _having(family, option))
        found[option] = Entry(None, annotation | None)
    for name, cls in family.items():
        own = {option: entry for option, entry in entries(cls).items() if option not in shared}
        if own:
            found[name] = own
    return found


def _having(family: Family, option: str) -> list[type]:
    return [cls for cls in family.values() if option in entries(cls)]


def options(
    kind: str, family: Family, name: str, values: Mapping[str, Any], shared: Sequence[str] = ()
) -> dict[str, Any]:
    """The options of one member in the section of its family.

    Args:
        kind: what the family is, for the message.
        family: its members.
        name: the member.
        values: the section.
        shared: as for `of_family`.

    Raises:
        ValueError: there is no such member.
    """
    check_name(kind, name, family)
    common = {
        option: values[option]
        for option in shared
        if option in entries(family[name]) and values[option] is not None
    }
    return common | dict(values.get(name, {}))


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
