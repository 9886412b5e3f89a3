"""Conditions that a network is given ready, such as what a text encoder made."""

from __future__ import annotations

from collections.abc import Mapping

import jax

from score_sde.models.conditions.combined import check_told

Shape = tuple[int | None, ...]  # of one example; None for any size


def given(
    cond: Mapping[str, jax.Array] | None,
    batch: int,
    needed: Mapping[str, Shape],
    optional: Mapping[str, Shape],
) -> dict[str, jax.Array | None]:
    """The arrays of all conditions by name, None for an optional one that is not there.

    Args:
        cond: conditions by name, [batch, ...] each.
        batch: number of examples.
        needed: the shape of each that must be there.
        optional: of each that may be.

    Raises:
        ValueError: cond lacks one, has another, or has one of another shape.
    """
    told, cond = {**needed, **optional}, {k: v for k, v in (cond or {}).items() if v is not None}
    check_told(cond, told)
    if missing := sorted(needed.keys() - cond.keys()):
        raise ValueError(f"this network is told {', '.join(needed)}: cond has no {missing[0]}")
    for name, value in cond.items():
        wanted = (batch, *told[name])
        fits = len(value.shape) == len(wanted) and all(
            size in (None, found) for size, found in zip(wanted, value.shape, strict=True)
        )
        if not fits:
            shown = ", ".join("any" if size is None else str(size) for size in wanted)
            raise ValueError(f"{name} is {value.shape}; this network is told [{shown}]")
    return {name: cond.get(name) for name in told}
