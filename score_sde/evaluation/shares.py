"""Shares of examples that are right, and how far they are to be trusted."""

from __future__ import annotations

import math


def share_error(share: float, number: int) -> float:
    """The standard error of a share of independent examples, sqrt(p (1 - p) / n).

    Args:
        share: p, from 0 to 1.
        number: n, of examples.
    """
    return math.sqrt(share * (1 - share) / number)
