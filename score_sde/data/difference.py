"""What is different about a data set that a run was begun with."""

from __future__ import annotations

from score_sde.data.base import Info
from score_sde.fields import Field


def difference(before: Info, now: Info) -> str | None:
    """The first thing in which two descriptions of the same data set differ, in words.

    Where the set lies is no part of it.

    Args:
        before: as it was.
        now: as it is. A fingerprint that one of the two lacks is not compared.

    Returns:
        "the number of examples was 10 and is 9", for example; None if nothing is different.
    """
    for name in dict.fromkeys(field.name for field in (*before.fields, *now.fields)):
        if name not in now:
            return f"the examples have no {name} any more"
        if name not in before:
            return f"the examples had no {name}"
        if found := _of_field(before[name], now[name]):
            return found
    if before.size != now.size:
        return f"the number of examples was {before.size:,} and is {now.size:,}"
    if before.fingerprint and now.fingerprint and before.fingerprint != now.fingerprint:
        return "as many examples, but others: their names or contents are not the same"
    return None


def _of_field(before: Field, now: Field) -> str | None:
    for word in ("kind", "shape", "dtype"):
        old, new = getattr(before, word), getattr(now, word)
        if old != new:
            return f"the {word} of {before.name} was {_text(old)} and is {_text(new)}"
    what = "classes" if before.kind == "label" else "values"
    gone = [name for name in before.names if name not in now.names]
    come = [name for name in now.names if name not in before.names]
    if before.names and now.names and (gone or come):
        changes = [f"no {_some(gone)} any more"] * bool(gone) + [_some(come)] * bool(come)
        return f"{before.name} has other classes: {' and '.join(changes)}"
    if before.values != now.values:
        return f"{before.name} had {before.values} {what} and has {now.values}"
    if before.names != now.names:
        return f"the classes of {before.name} are in another order or have names now"
    return None


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _text(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
