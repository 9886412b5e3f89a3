"""How far an adaptive solve is, which chooses its steps: told to whoever listens.

    with listening(lambda share: print(f"{share:.0%}")):
        jax.jit(solve)(...)

A program tells only if somebody listened when it was compiled; nobody has to listen later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from jax.typing import ArrayLike

_LISTENERS: list[Callable[[float], None]] = []


@contextlib.contextmanager
def listening(hear: Callable[[float], None]) -> Iterator[None]:
    """Calls `hear` with the share of the time that a solve has covered, after each of its steps.

    Args:
        hear: called from another thread, with a number from 0 on; of a batch of solves, the least.
    """
    _LISTENERS.append(hear)
    try:
        yield
    finally:
        _LISTENERS.remove(hear)


def heard() -> bool:
    """Whether somebody listens."""
    return bool(_LISTENERS)


def tell(share: ArrayLike) -> None:
    """Tell all who listen."""
    for hear in list(_LISTENERS):
        hear(float(share))
