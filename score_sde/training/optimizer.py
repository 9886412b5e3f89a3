"""The optimiser, from optax, and its learning rate. The section `optim` of a config says which."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import optax

from score_sde.models.functional import Arrays

if TYPE_CHECKING:
    from score_sde.training.options import OptimOptions

# From the options and the last step to the learning rate by steps after the warm-up.
DECAYS: dict[str, Callable[[OptimOptions, int], optax.Schedule]] = {
    "constant": lambda options, steps: optax.constant_schedule(options.learning_rate),
    "cosine": lambda options, steps: optax.cosine_decay_schedule(
        options.learning_rate, max(1, steps - options.warmup)
    ),
    "inverse_sqrt": lambda options, steps: inverse_sqrt(
        options.learning_rate, options.decay_steps, options.warmup
    ),
    "wsd": lambda options, steps: _stable_decay(options, steps),
}
# Those that come to 0 at the last step, so that another last step is another learning rate.
ENDING = ("cosine", "wsd")
# Those of which config.optim.decay_steps is an option.
TIMED = ("inverse_sqrt", "wsd")


def inverse_sqrt(learning_rate: float, after: float, warmup: float = 0) -> optax.Schedule:
    """learning_rate / sqrt(max(step / after, 1)) (Karras et al. 2023, arXiv 2312.02696).

    Args:
        learning_rate: before it falls.
        after: steps from the beginning of training, the warm-up included.
        warmup: steps before those that the schedule counts.
    """
    return lambda step: learning_rate / jnp.sqrt(jnp.maximum((step + warmup) / after, 1.0))


def _stable_decay(options: OptimOptions, steps: int) -> optax.Schedule:
    """Constant, then a line down to 0 at the last step (Hu et al. 2024, arXiv 2404.06395)."""
    after = max(1, steps - options.warmup)
    falling = min(after, options.decay_steps or max(1, steps // 5))
    return optax.linear_schedule(options.learning_rate, 0.0, falling, after - falling)


def learning_rate_schedule(options: OptimOptions, steps: int) -> optax.Schedule:
    """Learning rate by step: a linear warm-up from 0, then as a member of DECAYS has it.

    Args:
        options: the section `optim`.
        steps: the last step, where some come to 0.
    """
    after = DECAYS[options.decay](options, steps)
    if not options.warmup:
        return after
    warmup = optax.linear_schedule(0.0, options.learning_rate, options.warmup)
    return optax.join_schedules([warmup, after], [options.warmup])


def _adam(rate: optax.Schedule, options: OptimOptions) -> optax.GradientTransformation:
    """Kingma and Ba 2015 (arXiv 1412.6980)."""
    return optax.adam(rate, options.beta1, options.beta2, options.eps)


def _adamw(rate: optax.Schedule, options: OptimOptions) -> optax.GradientTransformation:
    """Adam with decoupled decay of the weights (Loshchilov and Hutter 2019, arXiv 1711.05101)."""
    betas = (options.beta1, options.beta2)
    return optax.adamw(rate, *betas, options.eps, weight_decay=options.weight_decay)


def _radam(rate: optax.Schedule, options: OptimOptions) -> optax.GradientTransformation:
    """Adam that rectifies its first steps (Liu et al. 2020, arXiv 1908.03265)."""
    return optax.radam(rate, options.beta1, options.beta2, options.eps)


def _lion(rate: optax.Schedule, options: OptimOptions) -> optax.GradientTransformation:
    """The sign of a momentum (Chen et al. 2023, arXiv 2302.06675, which has beta2 = 0.99)."""
    return optax.lion(rate, options.beta1, options.beta2, weight_decay=options.weight_decay)


def _muon(rate: optax.Schedule, options: OptimOptions) -> optax.GradientTransformation:
    """Orthogonalised momentum for matrices (Jordan et al. 2024, Muon), AdamW for the rest.

    Both have Nesterov's momentum. Updates are scaled to the size of Adam's (Liu et al. 2025, arXiv
    2502.16982, Section 2.2), so that one learning rate is for both.
    """
    return optax.contrib.muon(
        rate,
        beta=0.95 if options.momentum is None else options.momentum,
        weight_decay=options.weight_decay,
        adam_b1=options.beta1,
        adam_b2=options.beta2,
        adam_weight_decay=options.weight_decay,
        muon_weight_dimension_numbers=_matrices,
        consistent_rms=0.2,
    )


def _matrices(params: Arrays) -> dict[str, optax.contrib.MuonDimensionNumbers | None]:
    """How each array is one matrix or several; None for one that is not.

    Matrices are the kernels of layers. The last axis counts outputs, all before it inputs: [in,
    out], or [height, width, in, out] of a convolution. An odd number of axes is that of layers that
    are stacked along the first.
    """

    def one(array: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        inputs = tuple(range(array.ndim % 2, array.ndim - 1))
        return optax.contrib.MuonDimensionNumbers(inputs, (array.ndim - 1,)) if inputs else None

    def of(path: str) -> Callable[[jax.Array], optax.contrib.MuonDimensionNumbers | None]:
        return one if path.endswith("kernel") else lambda array: None

    # What optax has masked is no array, but a tree without leaves.
    return {path: jax.tree.map(of(path), array) for path, array in params.items()}


OPTIMIZERS: dict[str, Callable[[optax.Schedule, OptimOptions], optax.GradientTransformation]] = {
    "adamw": _adamw,
    "adam": _adam,
    "radam": _radam,
    "lion": _lion,
    "muon": _muon,
}
# Those of which config.optim.weight_decay is an option.
DECAYING = ("adamw", "lion", "muon")


def optimizer(options: OptimOptions, steps: int) -> optax.GradientTransformation:
    """Clipping by the global norm, then a member of OPTIMIZERS.

    Args:
        options: the section `optim`.
        steps: the last step.
    """
    found = OPTIMIZERS[options.name](learning_rate_schedule(options, steps), options)
    return optax.chain(optax.clip_by_global_norm(options.clip), found) if options.clip else found
