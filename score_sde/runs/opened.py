"""Runs as they are opened: what each kind of them has, and does."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from score_sde.autoencoder import Gaussian
from score_sde.classifier import LogProb
from score_sde.controls import Controls
from score_sde.fields import Field
from score_sde.flow_map import FlowMap
from score_sde.models.functional import Arrays
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE
from score_sde.prompting import Encoder
from score_sde.runs import kept, prompted, telling
from score_sde.runs.experiment import Experiment
from score_sde.runs.telling import Prompts
from score_sde.spaces import Space


@dataclasses.dataclass(frozen=True, repr=False)
class Opened:
    """A finished or running run, opened at one checkpoint.

    Attributes:
        workdir: its folder.
        step: the step of the checkpoint.
        experiment: everything that its config names.
        params: the parameters of the checkpoint that are used.
        constants: the network's other arrays.
        weights: which parameters they are: "raw", or "ema" and its decay.
    """

    workdir: Path
    step: int
    experiment: Experiment
    params: Arrays
    constants: Arrays
    weights: str

    def __repr__(self) -> str:
        """Three lines: where it is from, of what it is, and what it is."""
        experiment = self.experiment
        told = f" given {', '.join(experiment.conditions)}" if experiment.conditions else ""
        kind = type(self).__name__
        return (
            f"{kind} of {self.workdir} at step {self.step:,} ({self.weights} weights)\n"
            f"data: {experiment.data.name}, {experiment.field.words}{told}\n"
            f"model: {self.config.model.name} of {experiment.parameters:,} parameters, {self.sde}"
        )

    @property
    def config(self) -> ConfigDict:
        """Its config."""
        return self.experiment.config

    @property
    def sde(self) -> SDE:
        """Its forward process."""
        return self.experiment.sde

    @property
    def space(self) -> Space:
        """What the model sees of an example: space.encode and space.decode."""
        return self.experiment.space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Bound:
    """A function of a network's arrays that has them: a pytree, which knows nulls as networks do.

    Attributes:
        function: (parameters, constants, *arguments), compiled on first use.
        params: the parameters.
        constants: the network's other arrays.
        controls: what steers the network of a denoiser, if anything does.
        skip: blocks of the network that are left out, counted from 0: a worse model.
        whole: whether the network is told its time as the nearest whole number.
    """

    TAKES_NULLS: ClassVar[bool] = True

    function: Callable[..., Any] = dataclasses.field(metadata={"static": True})
    params: Arrays
    constants: Arrays
    controls: Controls | None = None
    skip: tuple[int, ...] = dataclasses.field(default=(), metadata={"static": True})
    whole: bool = dataclasses.field(default=False, metadata={"static": True})

    def __call__(self, *args: Any) -> Any:
        """The function of the rest of its arguments."""
        more = {"controls": self.controls, "skip": self.skip, "whole": self.whole}
        asked = {name: value for name, value in more.items() if value}
        return self.function(self.params, self.constants, *args, **asked)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BoundMap(FlowMap):
    """The flow map of a network's arrays, as Bound.

    Attributes:
        sde: its process.
        function: (parameters, constants, x, t, s, cond) to a pair, compiled on first use.
        params: the parameters.
        constants: the network's other arrays.
    """

    sde: SDE = dataclasses.field(metadata={"static": True})
    function: Callable[..., Prediction] = dataclasses.field(metadata={"static": True})
    params: Arrays
    constants: Arrays

    def average(self, x: jax.Array, t: jax.Array, s: jax.Array, cond: Any = None) -> Prediction:
        """See FlowMap."""
        return self.function(self.params, self.constants, x, t, s, cond)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BoundConsistency(BoundMap):
    """The same of a consistency model."""

    TO_DATA: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True, repr=False)
class Run(Opened):
    """The run of a score network; see Opened.

    Attributes:
        denoise: its denoiser, compiled on first use; a pytree, so it can be an argument under jit.
            Of a flow map or a consistency model it is a flow_map.FlowMap, which jumps too.
        adapt: of what tells the model of prompts, when it is read: what takes its place.
        mesh: the devices that share its arrays and the pictures of prompts; None for the first.
    """

    denoise: Denoiser
    adapt: Callable[[Sequence[Encoder | None]], Sequence[Encoder | None]] = lambda found: found
    mesh: Mesh | None = None

    @functools.cached_property
    def encoders(self) -> Sequence[Encoder | None]:
        """What tells the model of prompts; read on first use."""
        found = kept.encoders(self.workdir, self.experiment.text, self.config, self.mesh)
        return self.adapt(found)

    def text(self, *prompts: Prompts) -> dict[str, jax.Array]:
        """What the network is told of prompts; see telling.told."""
        return telling.told(self, *prompts)

    generate = prompted.generate  # a method: the run is its first argument


@dataclasses.dataclass(frozen=True, repr=False)
class ClassifierRun(Opened):
    """The run of a classifier; see Opened. It knows the noise of `sde`.

    Attributes:
        log_probs: log p(y | x_t) of every class y, nats: (x, t) to [batch, classes]; a pytree,
            compiled on first use.
        log_prob: the same of one class each: (x, t, label) to [batch], as guidance takes it.
    """

    log_probs: Callable[[jax.Array, jax.Array], jax.Array]
    log_prob: LogProb

    @property
    def label(self) -> Field:
        """The field that it predicts: its name, its number of classes, their names."""
        return self.experiment.data[self.experiment.objective.answers]


@dataclasses.dataclass(frozen=True, repr=False)
class AutoencoderRun(Opened):
    """The run of an autoencoder; see Opened. space.encode and space.decode make its images.

    Attributes:
        encode: q(z | x) of images in [-1, 1], [batch, height, width, channels]; a pytree, compiled
            on first use.
        decode: the images of latents, about in [-1, 1]; likewise.
    """

    encode: Callable[[jax.Array], Gaussian]
    decode: Callable[[jax.Array], jax.Array]
