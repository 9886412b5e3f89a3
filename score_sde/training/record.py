"""The record of a checkpoint: what was written, so that what is read can be compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from score_sde import records
from score_sde.training.digests import damaged, digests, misfit
from score_sde.version import versions

Values = Mapping[str, Any]


def make(step: int, items: Values, data: Values) -> dict[str, Any]:
    """The record of a checkpoint, plain values; all processes make it together.

    Args:
        step: the training step.
        items: pytrees of arrays by name.
        data: state of the data iterator, JSON-able.
    """
    arrays = {name: digests(item) for name, item in items.items()}
    values = {"step": step, "arrays": arrays, "data": records.digest(data)}
    return records.sealed({**values, "versions": versions()})


def flaw(record: Values, step: int) -> str | None:
    """How a record shows damage of itself or stands in another's place; None if it does not.

    Args:
        record: as it was read.
        step: of the checkpoint in which it was found.
    """
    altered = "its record was altered"
    if not isinstance(record, Mapping) or records.SEAL not in record:  # each is written with one
        return altered
    try:
        records.unsealed(record)
    except ValueError:
        return altered
    if record["step"] != step:
        return f"it was written as checkpoint {record['step']}"
    return None


def difference(record: Values, items: Values) -> str | None:
    """How arrays differ in name, shape or dtype from those that were written; None if not.

    Args:
        record: without a flaw.
        items: pytrees of arrays or jax.ShapeDtypeStruct by name; all or some of what was written.
    """
    for name, item in items.items():
        if name not in record["arrays"]:
            return f"it has no {name}{_other_versions(record)}"
        if found := misfit(record["arrays"][name], item):
            return f"in its {name}, {found}{_other_versions(record)}"
    return None


def _other_versions(record: Values) -> str:
    """What was installed when it was written and is not now; "" if that is the same."""
    now = versions()
    written = [
        f"{name} {version}, not {now[name]}"
        for name, version in record.get("versions", {}).items()  # older records do not say
        if now.get(name, version) != version
    ]
    return f". It was written with {' and '.join(written)}" if written else ""


def damage(record: Values, items: Values) -> str | None:
    """Which array is not the one that was written, in words; None if all are.

    Args:
        record: without a flaw.
        items: pytrees of arrays by name, which have no `difference`; all or some of what was
            written. All processes that share one of them call this together.
    """
    for name, item in items.items():
        if path := damaged(record["arrays"][name], item):
            return f"{name}{path} is not what was written"
    return None


def data_damage(record: Values, data: Any) -> str | None:
    """As `damage`, of the state of the data iterator."""
    intact = isinstance(data, Mapping) and records.digest(data) == record["data"]
    return None if intact else "the place in the data was altered"
