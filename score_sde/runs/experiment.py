"""A run as its config has it: every object that the config names, and the loss that it trains."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx
from ml_collections import ConfigDict

from score_sde import guidance, samplers
from score_sde.autoencoder import KLAutoencoder
from score_sde.classifier import Classifier
from score_sde.confined import confined
from score_sde.data import Info
from score_sde.fields import Field
from score_sde.models import width
from score_sde.models.adapter import Adapter
from score_sde.models.conditions.augment import AUGMENT
from score_sde.models.functional import Arrays, Functional
from score_sde.objectives import Objective
from score_sde.objectives.base import Network
from score_sde.prediction import Denoiser, PredictionOptions
from score_sde.processes import SDE
from score_sde.prompting import System
from score_sde.spaces import Space
from score_sde.subspace import Subspace
from score_sde.token_prediction import TokenPredictor
from score_sde.training.options import OptimOptions, TrainingOptions


@dataclasses.dataclass(frozen=True)
class Make:
    """Makes of a network's arrays what an objective trains; equal to others of equal parts.

    Attributes:
        apply: the network, as of models.functional.Functional; that of equal networks is one.
        objective: what is trained.
        sde: the forward process.
        predicts: what the output of the network means.
        subspace: where the states lie.

    Raises:
        ValueError: it can mean nothing for this process.
    """

    apply: Callable[..., Any]
    objective: Objective
    sde: SDE
    predicts: PredictionOptions
    subspace: Subspace
    _reader: Callable[..., Any] = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        of_network = self.objective.reader(self.predicts, self.sde)

        def reader(network: Network) -> Any:
            return confined(of_network(network), self.subspace, self.sde)

        object.__setattr__(self, "_reader", reader)

    def __call__(
        self,
        params: Arrays,
        constants: Arrays,
        key: jax.Array | None = None,
        around: Callable[..., Any] = lambda bound: bound,
    ) -> Denoiser | Classifier | KLAutoencoder | TokenPredictor:
        """What is trained, of arrays.

        Args:
            params: the parameters of the network.
            constants: its other arrays.
            key: of dropout; None for none.
            around: what is put around the network.
        """
        bound = around(functools.partial(self.apply, params, constants, key=key))
        return self.objective.model(bound, self.sde, self._reader)


class Fixed(NamedTuple):
    """What a loss is computed with beside the network; a pytree.

    Attributes:
        space: what the model sees of an example.
        teacher: what it learns from beside the data, or None; see runs.teacher.
        captions: what tells the network of texts of the data, or None; see runs.captions.
    """

    space: Space
    teacher: Any
    captions: Any = None


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config names, ready to use. No array of a network has been made yet.

    Attributes:
        config: the config itself, for the record.
        data: what is known of the data set.
        field: of the data set, what is modelled.
        space: what the model sees of it.
        conditions: names of the fields that the network, or what is beside it, is told.
        sde: the forward process.
        module: makes the network of random streams.
        network: the network as a pure function.
        make: makes of the network's arrays what the objective trains.
        own: of (parameters, constants), then its own arguments: the model of the objective's own,
            whose arrays stand beside the network's or are of it; None if it has none.
        objective: what is trained.
        sampler: what draws from it.
        rule: how its drawing is guided; see runs.guide.
        text: how it is told of prompts.
        training: the section `training`.
        optim: the section `optim`.
        rates: learning rates of arrays over that of `optim`; see runs.widths.
        adapter: what is trained beside the network, if it is not itself: `training.lora` or
            `training.control`.
        teacher: what the objective learns from beside the data, while it trains; see runs.teacher.
        captions: what tells the network of texts of the data, while it trains; see runs.captions.
    """

    config: ConfigDict
    data: Info
    field: Field
    space: Space
    conditions: tuple[str, ...]
    sde: SDE
    module: Callable[[nnx.Rngs], nnx.Module]
    network: Functional
    make: Make
    own: Callable[..., Any] | None
    objective: Objective
    sampler: samplers.Sampler
    rule: guidance.Rule
    text: System
    training: TrainingOptions
    optim: OptimOptions
    adapter: Adapter
    rates: width.Factors
    teacher: Any = None
    captions: Any = None

    @property
    def fixed(self) -> Fixed:
        """The arrays that the loss is given beside those of the network: a pytree."""
        return Fixed(self.space, self.teacher, self.captions)

    @property
    def parameters(self) -> int:
        """How many trainable parameters the network has, with those of the objective's own."""
        return sum(array.size for array in self.network.shapes[0].values())

    @property
    def seed(self) -> int:
        """Of everything random in training."""
        return self.config.seed

    @property
    def evaluation_batch_size(self) -> int:
        """Examples a batch of the held-out loss, over all devices."""
        return self.config.evaluation.batch_size

    @property
    def picture_size(self) -> int:
        """Examples in a picture drawn during training."""
        return min(self.space.FEW, self.config.sampling.num_samples)

    def loss(
        self,
        key: jax.Array,
        params: Arrays,
        constants: Arrays,
        fixed: Fixed,
        batch: Mapping[str, jax.Array],
        step: jax.Array | None,
    ) -> jax.Array:
        """The loss of each example of a batch, with augmentation and dropout when it trains.

        See training.step.LossFunction.
        """
        train, (space, teacher, captions) = step is not None, fixed
        key_augment, key_encode, key_loss, key_dropout = jax.random.split(key, 4)
        # A fifth and a sixth, which leave the four as they are.
        key_distort, key_captions = (jax.random.fold_in(key, i) for i in (4, 5))
        examples = batch[self.field.name]
        if train:
            examples = space.augment(key_augment, examples)
        x0 = space.encode(examples, key_encode)
        names = dict.fromkeys((*self.conditions, *self.objective.fields))
        if train:
            objective = self.objective.at(step / self.training.steps)
        else:
            objective = self.objective.held_out()
        if teacher is not None:
            objective = objective.given(teacher)
        own = {"own": functools.partial(self.own, params, constants)} if self.own else {}
        cond = {name: batch[name] for name in names}
        if train:
            seen = (name for name in names if self.data[name].of_pixels)
            cond |= {name: space.alike(key_augment, batch[name]) for name in seen}
        if captions is not None:
            cond |= captions(batch, key_captions if train else None)
        if train and space.told:  # who is told nothing of it takes an example as it is
            x0, cond[AUGMENT] = space.distort(key_distort, x0)
        return objective(
            key_loss,
            self.make(params, constants, key_dropout if train else None),
            self.sde,
            x0,
            cond or None,
            **own,
        )
