"""What can be chosen about training. The sections `training` and `optim` of a config are these."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from score_sde import sections
from score_sde.errors import UserError
from score_sde.values import Count, Every, Length, NotNegative, Positive, Share, one_of


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

    batch_size: Count = 128
    steps: Count = 1_300_000
    steps_per_call: Count = 1
    accumulate: Count = 1
    fsdp: Count = 1
    ema_decays: Annotated[tuple[Share, ...], Length(1, 100)] = (0.9999,)
    log_every: Count = 100
    eval_every: Every = 5_000
    sample_every: Every = 50_000
    checkpoint_every: Count = 10_000
    keep_last: Count = 2
    keep_every: Every = 0

    def __post_init__(self):
        sections.check(self, "config.training.")
        for name in ("log_every", "eval_every", "sample_every", "checkpoint_every"):
            every = getattr(self, name)
            if every > 0 and every % self.steps_per_call:
                raise OptionError(
                    f"config.training.{name}={every} must be a multiple of "
                    f"training.steps_per_call={self.steps_per_call}"
                )
        if self.batch_size % self.accumulate:
            raise OptionError(
                f"training.batch_size={self.batch_size} must be a multiple of "
                f"training.accumulate={self.accumulate}"
            )
        if len(set(self.ema_decays)) < len(self.ema_decays):
            raise OptionError(f"config.training.ema_decays={self.ema_decays} has a number twice")

    @property
    def words(self) -> str:
        """How long it is, for people."""
        return f"{self.steps:,} steps of {self.batch_size:,} examples"


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

    learning_rate: Positive = 2e-4
    beta1: Share = 0.9
    beta2: Share = 0.999
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    warmup: Every = 5_000
    decay: Annotated[str, one_of(("constant", "cosine"))] = "constant"
    clip: NotNegative = 1.0

    def __post_init__(self):
        sections.check(self, "config.optim.")
