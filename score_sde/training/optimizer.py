"""The optimiser, from optax, and its learning rate. The section `optim` of a config says which."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import optax

from score_sde.models import width
from score_sde.models.functional import Arrays
from score_sde.training.clipping import clip_by_global_norm

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


def _adam(options: OptimOptions) -> optax.GradientTransformation:
    """Kingma and Ba 2015 (arXiv 1412.6980).

    "adamw" has decoupled decay of the weights (Loshchilov and Hutter 2019, arXiv 1711.05101).
    """
    return optax.scale_by_adam(options.beta1, options.beta2, options.eps)


def _radam(options: OptimOptions) -> optax.GradientTransformation:
    """Adam that rectifies its first steps (Liu et al. 2020, arXiv 1908.03265)."""
    return optax.scale_by_radam(options.beta1, options.beta2, options.eps)


def _lion(options: OptimOptions) -> optax.GradientTransformation:
    """The sign of a momentum (Chen et al. 2023, arXiv 2302.06675, which has beta2 = 0.99)."""
    return optax.scale_by_lion(options.beta1, options.beta2)


def _by_number(
    direction: Callable[[OptimOptions], optax.GradientTransformation], decays: bool
) -> Callable[..., optax.GradientTransformation]:
    """An optimiser that moves every number by about its learning rate.

    Args:
        direction: what the learning rate multiplies.
        decays: whether weights decay beside it, all of them by the learning rate of the options.
    """

    def made(
        rate: optax.Schedule, options: OptimOptions, rates: width.Factors
    ) -> optax.GradientTransformation:
        decay = [optax.add_decayed_weights(options.weight_decay)] if decays else []
        own = _times(direction(options), rates)
        return optax.chain(own, *decay, optax.scale_by_learning_rate(rate))

    return made


def _times(
    direction: optax.GradientTransformation, rates: width.Factors
) -> optax.GradientTransformation:
    """A direction of which some arrays are multiplied; its state is the same."""

    def update(
        gradient: Arrays, state: optax.OptState, params: Arrays | None = None
    ) -> tuple[Arrays, optax.OptState]:
        updates, state = direction.update(gradient, state, params)
        return width.times(updates, rates), state

    return optax.GradientTransformation(direction.init, update)


def _muon(
    rate: optax.Schedule, options: OptimOptions, rates: width.Factors
) -> optax.GradientTransformation:
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


# From the learning rate by step, the options, and the learning rates of arrays over it.
OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adamw": _by_number(_adam, decays=True),
    "adam": _by_number(_adam, decays=False),
    "radam": _by_number(_radam, decays=False),
    "lion": _by_number(_lion, decays=True),
    "muon": _muon,
}
# Those of which config.optim.weight_decay is an option.
DECAYING = ("adamw", "lion", "muon")
# Those of which config.optim.base is an option. Muon moves whole matrices.
BY_NUMBER = tuple(name for name in OPTIMIZERS if name != "muon")


def optimizer(
    options: OptimOptions, steps: int, rates: width.Factors = MappingProxyType({})
) -> optax.GradientTransformation:
    """Clipping by the global norm, then a member of OPTIMIZERS.

    Args:
        options: the section `optim`.
        steps: the last step.
        rates: learning rates of arrays over that of the options, by path; 1 of all others. The
            state is the same whatever they are.
    """
    found = OPTIMIZERS[options.name](learning_rate_schedule(options, steps), options, rates)
    return optax.chain(clip_by_global_norm(options.clip), found) if options.clip else found
