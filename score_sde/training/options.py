"""What can be chosen about training. The sections `training` and `optim` of a config are these."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from score_sde import sections
from score_sde.errors import UserError
from score_sde.training.optimizer import (
    BY_NUMBER,
    DECAYING,
    DECAYS,
    ENDING,
    OPTIMIZERS,
    TIMED,
)
from score_sde.training.power_ema import LARGEST
from score_sde.values import Count, Every, Length, Name, NotNegative, Positive, Share, above, one_of

SigmaRel = Annotated[float, above(0, at_most=LARGEST)]
POWER = "power_"  # before the sigma_rel of a power-function average, in its name
_PERIODS = ("log_every", "eval_every", "sample_every", "checkpoint_every", "ema_snapshot_every")


class OptionError(UserError):
    """A value that cannot work; the message is one line that says what to do."""


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """The section `training` of a config.

    Attributes:
        batch_size: examples a step, over all devices and processes.
        steps: optimiser steps in all.
        steps_per_call: steps fused into one compiled call. More hides the cost of a call, which
            counts for small networks; on a CPU they share memory whose pages each call takes anew,
            which can be half of the time (experiments/throughput).
        accumulate: parts that a batch is worked through in, to save memory.
        fsdp: devices that share one copy of the parameters; the others hold further copies.
        tensor: devices that share each example, of a transformer: each has some of the heads and of
            the hidden features. With fsdp=4 tensor=2, each 8 devices have one copy.
        ema_decays: one moving average of the parameters each; the first is the one that is used.
        ema_profiles: sigma_rel of power-function averages, one each (see training.power_ema); two,
            such as (0.05, 0.10), make any other length after training: --weights=posthoc:0.07.
        ema_snapshot_every: steps between snapshots of those, which are all kept; 0 for none.
        log_every: steps between rows of metrics.csv.
        eval_every: steps between evaluations of the held-out loss; 0 for never.
        sample_every: steps between sample pictures; 0 for never.
        checkpoint_every: steps between checkpoints; there is one at the end in any case.
        keep_last: how many of the latest checkpoints to keep.
        keep_every: also keep each checkpoint whose step is a multiple of this; 0 for none.
        skip_nonfinite: so many steps in a row may have a loss or a gradient that is not finite:
            they change nothing and are counted. One more ends training, or see rewind.
        rewind: a loss, or norm of the gradient, above so many times the median of the last 100
            steps is a spike; 0 for none. Training then goes back to the last checkpoint, passes
            over the batches up to that of the spike and draws other noise; likewise where it would
            end because a loss is not finite. It goes back to one checkpoint 3 times, no more.
            Clipping makes single large gradients harmless: take a factor that they do not reach.
    """

    batch_size: Count = 128
    steps: Count = 1_300_000
    steps_per_call: Count = 1
    accumulate: Count = 1
    fsdp: Count = 1
    tensor: Count = 1
    ema_decays: Annotated[tuple[Share, ...], Length(1, 100)] = (0.9999,)
    ema_profiles: Annotated[tuple[SigmaRel, ...], Length(0, 100)] = ()
    ema_snapshot_every: Every = 0
    log_every: Count = 100
    eval_every: Every = 5_000
    sample_every: Every = 50_000
    checkpoint_every: Count = 10_000
    keep_last: Count = 2
    keep_every: Every = 0
    skip_nonfinite: Every = 0
    rewind: NotNegative = 0.0

    def __post_init__(self) -> None:
        sections.check(self, "config.training.")
        if 0 < self.rewind <= 1:
            raise OptionError(
                f"config.training.rewind={self.rewind} makes a spike of what is typical: give a "
                "factor above 1, such as 10, or 0 for none"
            )
        for name in _PERIODS:
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
        for name in ("ema_decays", "ema_profiles"):
            numbers = getattr(self, name)
            if len(set(numbers)) < len(numbers):
                raise OptionError(f"config.training.{name}={numbers} has a number twice")
        if self.ema_snapshot_every and not self.ema_profiles:
            raise OptionError(
                f"config.training.ema_snapshot_every={self.ema_snapshot_every} keeps averages of "
                "config.training.ema_profiles: give some, such as (0.05, 0.10)"
            )

    @property
    def averages(self) -> tuple[str, ...]:
        """The names of all moving averages, the one that is used first; see state.update_ema."""
        profiles = (f"{POWER}{sigma_rel}" for sigma_rel in self.ema_profiles)
        return (*map(str, self.ema_decays), *profiles)

    @property
    def words(self) -> str:
        """How long it is, for people."""
        return f"{self.steps:,} steps of {self.batch_size:,} examples"


@dataclasses.dataclass(frozen=True)
class OptimOptions:
    """The section `optim` of a config: the optimiser, with a linear warm-up and clipping.

    Attributes:
        name: a name in training.optimizer.OPTIMIZERS; "adamw" with no weight decay is Adam. "lion"
            takes its betas from those of Adam, "muon" for what is no matrix.
        learning_rate: after the warm-up.
        beta1: Adam's.
        beta2: Adam's.
        eps: Adam's.
        momentum: of "muon", for matrices; 0.95 if None.
        weight_decay: decoupled, of "adamw", "lion" and "muon"; 0 for none.
        warmup: steps over which the learning rate rises linearly from 0.
        decay: "constant"; "cosine": to 0 at the last step; "inverse_sqrt": as 1 / sqrt(step) after
            decay_steps; "wsd": constant, then a line to 0 over the last decay_steps.
        decay_steps: of "inverse_sqrt", which needs it, the steps before the rate falls; of "wsd"
            those in which it does, a fifth of all if None.
        clip: largest global norm of the gradient; 0 for no clipping.
        base: fields of the section `model`, "FIELD=VALUE" each, such as "channels=64", of the
            narrower or wider network that learning_rate was found for: what its arrays start as and
            their learning rates then follow the width (muP, see models.width). Of any optimiser but
            "muon"; empty for this network itself.
    """

    name: Annotated[str, one_of(OPTIMIZERS)] = "adamw"
    learning_rate: Positive = 2e-4
    beta1: Share = 0.9
    beta2: Share = 0.999
    eps: Annotated[float, above(0, at_most=1)] = 1e-8
    momentum: Share | None = None
    weight_decay: NotNegative = 0.0
    warmup: Every = 5_000
    decay: Annotated[str, one_of(DECAYS)] = "constant"
    decay_steps: Count | None = None
    clip: NotNegative = 1.0
    base: Annotated[tuple[Name, ...], Length(0, 16)] = ()

    def __post_init__(self) -> None:
        sections.check(self, "config.optim.")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for option, choice, members in (
            ("momentum", "name", ("muon",)),
            ("weight_decay", "name", DECAYING),
            ("base", "name", BY_NUMBER),
            ("decay_steps", "decay", TIMED),
        ):
            value, chosen = getattr(self, option), getattr(self, choice)
            if value != defaults[option] and chosen not in members:
                raise OptionError(
                    f"config.optim.{option}={value} is of config.optim.{choice}="
                    f"{' or '.join(members)}, not of {chosen}: leave it out"
                )
        if self.decay == "inverse_sqrt" and (self.decay_steps or 0) < max(1, self.warmup):
            raise OptionError(
                "config.optim.decay=inverse_sqrt needs config.optim.decay_steps, at least "
                f"config.optim.warmup={self.warmup}: the steps before the learning rate falls"
            )

    @property
    def ends(self) -> bool:
        """Whether the learning rate comes to 0 at the last step."""
        return self.decay in ENDING
