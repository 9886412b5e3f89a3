"""What every objective is: a frozen dataclass of options that gives each example its loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import jax

from score_sde.fields import Field
from score_sde.prediction import Denoiser
from score_sde.processes import SDE

Network = Callable[..., jax.Array]

# What a network becomes, by what its objective trains: see prediction.Denoiser, classifier.
DENOISER, CLASSIFIER = "denoiser", "classifier"


@dataclasses.dataclass(frozen=True)
class Objective:
    """Subclasses are the sections of a config that they share a name with.

    Attributes:
        TRAINS: what the network becomes, DENOISER or CLASSIFIER.
    """

    TRAINS: ClassVar[str]

    @property
    def draws(self) -> bool:
        """Whether samples can be drawn from what it trains."""
        return self.TRAINS == DENOISER

    def model(self, network: Network, process: SDE, denoiser: Callable[[Network], Denoiser]) -> Any:
        """What is trained, made of a network.

        Args:
            network: (state [batch, *data], noise label [batch], cond) to its output.
            process: the forward process.
            denoiser: reads the output of a network as a prediction.
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
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that it needs in `cond` beside the model's conditions."""
        return ()

    def check(self, process: SDE) -> None:
        """Raise ValueError if these options cannot work for a process; nothing is computed."""

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
        """The loss of each example.

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
