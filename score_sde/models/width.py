r"""One learning rate for networks of every width (Yang et al. 2022, arXiv 2203.03466, muP).

A learning rate was found for a base network; this one has the same layers, of other widths. Of an
array W, let

    r = fan in / fan in of the base's,     q = fan out / fan out of the base's,             (1)

where all axes but the last are inputs: a kernel of the first layer has r = 1, of the last q = 1, of
the others r, q > 1, and a bias, a norm's scale or the row of a table has r = 1. Adam moves each
number by about its learning rate, and the numbers of a kernel by steps that agree with what they
are multiplied by; so the sum over r times as many inputs moves r times as far. Table 3 of the paper
keeps what a step changes of every activation the same at every width by

    rate(W) = rate / r                                                                      (2)
    std(W)  = std of the base's / sqrt(r),    or / r where q = 1                            (3)

and logits of attention q k^T / d in place of q k^T / sqrt(d), d features of a head. The network
itself stays what it is, so that what it learns is loaded, sampled and exported like any other: in
place of the logits, what makes the queries is smaller,

    rate, std  times  c = sqrt(d of the base's / d),                                        (4)

which for Adam is the same: a step of W changes c W by c times as much.

A layer whose weights are kept at unit size multiplies by W / sqrt(fan in) (Karras et al. 2023,
arXiv 2312.02696). So (3) holds as it is (what is last has a gain, which starts at 0), and the rate
that (2) is about is rate(W) / sqrt(fan in):

    rate(W) = rate / sqrt(r).                                                               (5)

The learning rates of EDM2's released recipes, 0.012 for 128 channels to 0.0065 for 448, are this to
6 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx

from score_sde.models.functional import Arrays, Functional, abstract
from score_sde.models.layers import FAN_AVERAGE, QUERIES, Queries, UnitParam
from score_sde.models.placing import is_stacked

Make = Callable[[nnx.Rngs], nnx.Module]
Factors = Mapping[str, np.ndarray]  # by path; each broadcasts to its array


class Widening(NamedTuple):
    """What the module says of a network and its base; 1 of all that it does not name.

    Attributes:
        rates: learning rate of an array over that of the base, for Adam and what moves like it.
        starts: what is drawn at first, over what the network draws by itself.
    """

    rates: Factors
    starts: Factors


def widening(make: Make, base: Make) -> Widening:
    """Equations (2) to (5). No array is made.

    Args:
        make: makes the network.
        base: makes the one that a learning rate was found for.

    Raises:
        ValueError: they differ in more than widths.
    """
    ours, theirs = _variables(make), _variables(base)
    for path in [*ours, *theirs]:
        pair = [variables.get(path) for variables in (ours, theirs)]
        if None in pair or not _alike(*pair):
            raise ValueError(f"a base differs in widths alone, and this one in what {path} is")
    rates, starts = {}, {}
    for path, own in ours.items():
        asking = _of_queries(own, theirs[path])
        rates[path] = _rate(own, theirs[path]) * asking
        starts[path] = _start(own, theirs[path]) * asking
    return Widening(*(_but_ones(factors) for factors in (rates, starts)))


def started(network: Functional, starts: Factors) -> Functional:
    """A network whose parameters are multiplied so when they are drawn."""

    def init(key: jax.Array) -> tuple[Arrays, Arrays]:
        params, constants = network.init(key)
        return times(params, starts), constants

    return network._replace(init=init)


def times(arrays: Arrays, factors: Factors) -> Arrays:
    """Arrays by path, those that are named multiplied by their factors, in their dtypes."""
    return {
        path: array * factors[path].astype(array.dtype) if path in factors else array
        for path, array in arrays.items()
    }


def _variables(make: Make) -> dict[str, nnx.Variable]:
    flat = nnx.to_flat_state(nnx.state(abstract(make), nnx.Param))
    return {"/".join(map(str, path)): variable for path, variable in flat}


def _alike(own: nnx.Variable, base: nnx.Variable) -> bool:
    """Whether two arrays can be one of a layer at two widths."""
    same = type(own) is type(base) and len(own.shape) == len(base.shape)
    return same and (not is_stacked(own) or own.shape[0] == base.shape[0])


def _ratios(own: nnx.Variable, base: nnx.Variable) -> tuple[float, float]:
    """r and q of equation (1)."""
    inputs = math.prod(own.shape[:-1]) / math.prod(base.shape[:-1])
    outputs = own.shape[-1] / base.shape[-1] if own.shape else 1.0
    return inputs, outputs


def _rate(own: nnx.Variable, base: nnx.Variable) -> float:
    """Equation (2), or (5)."""
    r, _ = _ratios(own, base)
    return 1 / math.sqrt(r) if isinstance(own, UnitParam) else 1 / r


def _start(own: nnx.Variable, base: nnx.Variable) -> float:
    """Equation (3) over what init_kernel draws, whose variance is 1 over (fan in + fan out) / 2.

    What does not start by it starts as large at every width.
    """
    if not own.get_metadata(FAN_AVERAGE, False):
        return 1.0
    r, q = _ratios(own, base)
    wanted = 1 / r if q == 1 else 1 / math.sqrt(r)
    drawn = math.sqrt(sum(base.shape[-2:]) / sum(own.shape[-2:]))
    return wanted / drawn


def _of_queries(own: nnx.Variable, base: nnx.Variable) -> np.ndarray:
    """Equation (4), by outputs; 1 where no queries are made."""
    asked: Queries | None = own.get_metadata(QUERIES, None)
    if asked is None:
        return np.ones(())
    factor = np.ones((asked.parts, own.shape[-1] // asked.parts))
    factor[0] = math.sqrt(base.get_metadata(QUERIES).features / asked.features)
    return factor.reshape((1,) * (len(own.shape) - 1) + (-1,))


def _but_ones(factors: Mapping[str, np.ndarray]) -> Factors:
    return {path: factor for path, factor in factors.items() if np.any(factor != 1)}
