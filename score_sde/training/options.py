"""What can be chosen about training. The sections `training` and `optim` of a config are these."""

from __future__ import annotations

import dataclasses

from score_sde.errors import UserError


class OptionError(UserError):
    """A value that cannot work; the message is one line that says what to do."""


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """The section `training` of a config.

    Attributes:
        batch_size: examples a step, over all devices and processes.
        steps: optimiser steps in all.
        steps_per_call: steps fused into one compiled call. More hides the cost of a call, which
            counts for small networks.
        accumulate: parts that a batch is worked through in, to save memory.
        fsdp: devices that share one copy of the parameters; the others hold further copies.
        ema_decays: one moving average of the parameters each; the first is the one that is used.
        log_every: steps between rows of metrics.csv.
        eval_every: steps between evaluations of the held-out loss; 0 for never.
        sample_every: steps between sample pictures; 0 for never.
        checkpoint_every: steps between checkpoints; there is one at the end in any case.
        keep_last: how many of the latest checkpoints to keep.
        keep_every: also keep each checkpoint whose step is a multiple of this; 0 for none.
    """

    batch_size: int = 128
    steps: int = 1_300_000
    steps_per_call: int = 1
    accumulate: int = 1
    fsdp: int = 1
    ema_decays: tuple[float, ...] = (0.9999,)
    log_every: int = 100
    eval_every: int = 5_000
    sample_every: int = 50_000
    checkpoint_every: int = 10_000
    keep_last: int = 2
    keep_every: int = 0

    def __post_init__(self):
        for name in ("batch_size", "steps", "steps_per_call", "accumulate", "fsdp", "log_every"):
            _at_least(self, "training", name, 1)
        for name in ("checkpoint_every", "keep_last"):
            _at_least(self, "training", name, 1)
        for name in ("eval_every", "sample_every", "keep_every"):
            _at_least(self, "training", name, 0)
        for name in ("log_every", "eval_every", "sample_every", "checkpoint_every"):
            every = getattr(self, name)
            if every > 0 and every % self.steps_per_call:
                raise OptionError(
                    f"training.{name}={every} must be a multiple of "
                    f"training.steps_per_call={self.steps_per_call}"
                )
        if self.batch_size % self.accumulate:
            raise OptionError(
                f"training.batch_size={self.batch_size} must be a multiple of "
                f"training.accumulate={self.accumulate}"
            )
        if not self.ema_decays or not all(0 <= decay < 1 for decay in self.ema_decays):
            raise OptionError("training.ema_decays needs one or more numbers from 0 to below 1")
        if len(set(self.ema_decays)) < len(self.ema_decays):
            raise OptionError(f"training.ema_decays={self.ema_decays} has a number twice")


@dataclasses.dataclass(frozen=True)
class OptimOptions:
    """The section `optim` of a config: Adam, with a linear warm-up and clipping.

    Attributes:
        learning_rate: after the warm-up.
        beta1: Adam's.
        beta2: Adam's.
        eps: Adam's.
        weight_decay: decoupled (AdamW); 0 for none.
        warmup: steps over which the learning rate rises linearly from 0.
        decay: "constant", or "cosine": to 0 at the last step.
        clip: largest global norm of the gradient; 0 for no clipping.
    """

    learning_rate: float = 2e-4
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    warmup: int = 5_000
    decay: str = "constant"
    clip: float = 1.0

    def __post_init__(self):
        if self.decay not in ("constant", "cosine"):
            raise OptionError(f"optim.decay={self.decay!r} must be constant or cosine")
        if not self.learning_rate > 0:
            raise OptionError(f"optim.learning_rate={self.learning_rate} must be above 0")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise OptionError(f"optim.{name}={getattr(self, name)} must be from 0 to below 1")
        if not self.eps > 0:
            raise OptionError(f"optim.eps={self.eps} must be above 0")
        for name in ("warmup", "clip", "weight_decay"):
            _at_least(self, "optim", name, 0)


def _at_least(options: object, section: str, name: str, smallest: int) -> None:
    value = getattr(options, name)
    if value < smallest:
        raise OptionError(f"{section}.{name}={value} must be at least {smallest}")
