"""The optimiser, from optax."""

from __future__ import annotations

import optax

from score_sde.training.options import OptimOptions


def learning_rate_schedule(options: OptimOptions, steps: int) -> optax.Schedule:
    """Learning rate by step: a linear warm-up from 0, then constant or a cosine down to 0.

    Args:
        options: the section `optim`.
        steps: the last step, where a cosine ends.
    """
    if options.decay == "cosine":
        after = optax.cosine_decay_schedule(options.learning_rate, max(1, steps - options.warmup))
    else:
        after = optax.constant_schedule(options.learning_rate)
    if not options.warmup:
        return after
    warmup = optax.linear_schedule(0.0, options.learning_rate, options.warmup)
    return optax.join_schedules([warmup, after], [options.warmup])


def optimizer(options: OptimOptions, steps: int) -> optax.GradientTransformation:
    """Clipping by the global norm, then Adam (Kingma and Ba 2015, arXiv 1412.6980).

    Args:
        options: the section `optim`.
        steps: the last step.
    """
    schedule = learning_rate_schedule(options, steps)
    adam = optax.adamw(
        schedule, options.beta1, options.beta2, options.eps, weight_decay=options.weight_decay
    )
    return optax.chain(optax.clip_by_global_norm(options.clip), adam) if options.clip else adam
