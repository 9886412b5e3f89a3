"""What other networks add to the features inside a U-Net, by the names of where."""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping, Sequence

import jax

# "skip_I" is what the decoder is shown I-th, counted in the encoder; "middle" the features between.
Added = Mapping[str, jax.Array]
MIDDLE = "middle"
NOTHING: Added = types.MappingProxyType({})


def skip(number: int) -> str:
    """The name of what the decoder is shown."""
    return f"skip_{number}"


def plus(h: jax.Array, added: Added, name: str) -> jax.Array:
    """h and what is added there, if anything is.

    Raises:
        ValueError: that has not the shape of h, but for axes of 1.
    """
    if name not in added:
        return h
    shape = added[name].shape
    if len(shape) != h.ndim or any(n not in (1, m) for n, m in zip(shape, h.shape, strict=True)):
        raise ValueError(f"what is added at {name} is {shape}, not {h.shape}")
    return h + added[name].astype(h.dtype)


def to_decoder(
    h: jax.Array, skips: Sequence[jax.Array], added: Added
) -> tuple[jax.Array, list[jax.Array]]:
    """The features of the smallest size, and what a decoder is shown, with what is added to them.

    Raises:
        ValueError: see `plus`.
    """
    return plus(h, added, MIDDLE), [plus(a, added, skip(i)) for i, a in enumerate(skips)]


def check(added: Added, skips: int, others: Collection[str] = ()) -> None:
    """Raise ValueError if something is added where nothing can be.

    Args:
        added: by name.
        skips: how many features the decoder is shown.
        others: names beside those.
    """
    known = {skip(i) for i in range(skips)} | {MIDDLE, *others}
    for name in sorted(added.keys() - known):
        also = f", and {', '.join(sorted(others))}" if others else ""
        raise ValueError(
            f"nothing can be added at {name}: this network has {skip(0)} to {skip(skips - 1)}, "
            f"{MIDDLE}{also}"
        )
