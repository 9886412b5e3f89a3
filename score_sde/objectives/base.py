"""What every objective is: a frozen dataclass of options that gives each example its loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Self

import jax
from flax import nnx

from score_sde.fields import NUMBERS, Field
from score_sde.prediction import Denoiser, PredictionOptions
from score_sde.processes import SDE

Network = Callable[..., jax.Array]

OWN = "objective"  # before the paths of the arrays of an objective's own

# What a network becomes, by what its objective trains: see prediction.Denoiser, classifier,
# autoencoder, token_prediction and flow_map: a flow map of any two times is a denoiser too, and one
# to the data alone is none.
DENOISER, CLASSIFIER = "denoiser", "classifier"
FLOW_MAP, CONSISTENCY = "flow map", "consistency model"
AUTOENCODER = "autoencoder"
TOKEN_PREDICTOR = "token predictor"


def is_a(trained: str, needed: str) -> bool:
    """Whether what was trained is of a kind that is needed, or is that too."""
    return trained == needed or (trained, needed) == (FLOW_MAP, DENOISER)


def with_article(trained: str) -> str:
    """What was trained, with its article."""
    return f"{'an' if trained == AUTOENCODER else 'a'} {trained}"


@dataclasses.dataclass(frozen=True)
class Objective:
    """Subclasses are the sections of a config that they share a name with.

    Attributes:
        TRAINS: what the network becomes: DENOISER, CLASSIFIER, FLOW_MAP, CONSISTENCY, AUTOENCODER
            or TOKEN_PREDICTOR.
        STATES: what its states are, as of processes.Process.
        REFUSES: parametrisations that it cannot train: a consistency model that is compared with
            itself alone has to be the identity at t = 0 by what its output means.
        NUMBERS: names of what the network is told beside its conditions, a number each.
        SAME_PROCESS: whether a teacher is asked as a denoiser, and so has to be of its process;
            the flow of any other process is followed by that one's own sampler.
        IN_NETWORK: the method of a network that is the model of `module` itself, of noise labels,
            where a network has one; "" for none.
        STARTS_FROM: whose weights it is made to start from, by --init_from; "" for nobody's.
    """

    TRAINS: ClassVar[str]
    STATES: ClassVar[str] = NUMBERS
    REFUSES: ClassVar[tuple[str, ...]] = ()
    NUMBERS: ClassVar[tuple[str, ...]] = ()
    SAME_PROCESS: ClassVar[bool] = False
    IN_NETWORK: ClassVar[str] = ""
    STARTS_FROM: ClassVar[str] = ""

    @property
    def draws(self) -> bool:
        """Whether samples can be drawn from what it trains."""
        return self.TRAINS not in (CLASSIFIER, AUTOENCODER)

    @property
    def sampling(self) -> Mapping[str, Any]:
        """Fields of the section `sampling` that what it trains was made for; none for most."""
        return {}

    def module(self) -> Callable[[nnx.Rngs], nnx.Module] | None:
        """What makes a model of the objective's own, which it is given as `own`; None for none.

        Its arrays are trained, averaged and saved beside those of the network, under OWN.
        """
        return None

    def reader(self, predicts: PredictionOptions, process: SDE) -> Callable[[Network], Any]:
        """What reads the output of a network, for `model`: as a prediction of numbers.

        Args:
            predicts: what the output means.
            process: the forward process.

        Raises:
            ValueError: it can mean nothing for this process.
        """
        return predicts.denoiser(process)

    def model(self, network: Network, process: SDE, denoiser: Callable[[Network], Denoiser]) -> Any:
        """What is trained, made of a network.

        Args:
            network: (state [batch, *data], noise label [batch], cond) to its output.
            process: the forward process.
            denoiser: what `reader` gave.
        """
        return denoiser(network)

    def facts(self, fields: Mapping[str, Field]) -> dict[str, Any]:
        """What a network must be told for this objective, by the name of its argument.

        Args:
            fields: those of the data set that it needs, by name.

        Raises:
            ValueError: a field is of a kind that does not go.
        """
        return {}

    @property
    def answers(self) -> str:
        """The name of the field that it learns to tell; "" where that is not what it does."""
        return ""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that it needs in `cond` beside the model's conditions."""
        return ()

    def check(self, process: SDE) -> None:
        """Raise ValueError if these options cannot work for a process; nothing is computed."""

    def check_conditions(self, told: Mapping[str, tuple[str, float]]) -> None:
        """Raise ValueError if it cannot train a model that is told these conditions.

        Args:
            told: of each condition, by name, its kind and the share of examples that are not told.
        """

    def at(self, done: jax.Array) -> Self:
        """The objective when a share of the training is done, from 0 to 1, []."""
        return self

    def check_teacher(self, taught: Objective, conditions: Collection[str]) -> None:
        """Raise ValueError if a model cannot be the teacher of this objective.

        Args:
            taught: what the teacher was trained with.
            conditions: names of what it is told.
        """

    def given(self, teacher: Any) -> Self:
        """The objective with the teacher that it names; see runs.teacher."""
        return self

    def held_out(self) -> Self:
        """The objective that held-out examples are measured with."""
        return self

    def __call__(
        self,
        key: jax.Array,
        model: Any,
        process: SDE,
        x0: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
    ) -> jax.Array:
        """The loss of each example. One that has a `module` is also given its model, as `own`.

        Args:
            key: JAX random key.
            model: the model to train, as TRAINS says.
            process: the forward process.
            x0: data, [batch, *data].
            cond: conditions of the model, and `fields`, [batch, ...] each; or None.

        Returns:
            [batch]; its mean is the training loss.
        """
        raise NotImplementedError
