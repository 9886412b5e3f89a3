"""Networks that steer another by images: what they add to its features, and when.

The network N is called as

    N(x, label, cond, added = sum_i w_i(t) C_i(x, label, cond, image_i)),                   (1)

C_i a ControlNet or a T2I-adapter (models.controlnet, models.t2i_adapter), w_i(t) its scale s_i at
the times in (low, high], else 0. What each example is steered by, images (or what an adapter makes
of them, once) and scales, are conditions like others, by names that begin with "control_": so
guidance asks about an example with another scale, or none, in the same batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde.models.controlnet import weighted
from score_sde.models.cross_encoder import Added
from score_sde.parts import Part

Cond = dict[str, jax.Array]
PREFIX = "control_"
Network = Callable[..., jax.Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Control:
    """One network that steers.

    Attributes:
        SAME: options that it and the network that it steers must have the same of.
        CHANNELS: its option that says how many channels its image has.
        part: the network.
        low: after this time, and
        high: up to this one it steers.
        guess: whether in guess mode, see models.controlnet.
    """

    SAME: ClassVar[tuple[str, ...]] = ("widths",)
    CHANNELS: ClassVar[str] = "image_channels"

    part: Part
    low: ArrayLike
    high: ArrayLike
    guess: bool = dataclasses.field(default=False, metadata={"static": True})

    def told(self, image: jax.Array) -> Cond:
        """What of an image it is told in each call, by name.

        Args:
            image: in [0, 1], [batch, height, width, channels].
        """
        raise NotImplementedError

    def added(self, x: jax.Array, label: jax.Array, cond: Cond, told: Cond) -> Added:
        """C_i of equation (1): arguments of the network, and what `told` gave."""
        raise NotImplementedError


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class ByControlNet(Control):
    """A ControlNet, which looks at the state too."""

    SAME: ClassVar[tuple[str, ...]] = (
        "widths",
        "num_res_blocks",
        "text_features",
        "added_features",
    )
    CHANNELS: ClassVar[str] = "control_channels"

    def told(self, image: jax.Array) -> Cond:
        """The image."""
        return {"image": image}

    def added(self, x: jax.Array, label: jax.Array, cond: Cond, told: Cond) -> Added:
        """See Control."""
        return self.part(x, label, cond, told["image"], guess=self.guess)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class ByAdapter(Control):
    """A T2I-adapter, whose features do not depend on the state."""

    def told(self, image: jax.Array) -> Cond:
        """Its features."""
        return _features(self.part, image)

    def added(self, x: jax.Array, label: jax.Array, cond: Cond, told: Cond) -> Added:
        """See Control."""
        return told


@jax.jit
def _features(part: Part, image: jax.Array) -> Added:
    return part(image)


def scale_of(number: int) -> str:
    """The name of the condition that is the scale of one of them."""
    return f"{PREFIX}{number}_scale"


CONTROLS: Mapping[str, type[Control]] = {"controlnet": ByControlNet, "t2i_adapter": ByAdapter}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Controls:
    """Equation (1).

    Attributes:
        members: the C_i.
    """

    members: tuple[Control, ...]

    def told(self, number: int, image: jax.Array, scale: ArrayLike) -> Cond:
        """The conditions of one of them.

        Args:
            number: i, from 0.
            image: in [0, 1], [batch, height, width, channels].
            scale: s_i, a number.
        """
        told = self.members[number].told(image)
        found = {f"{PREFIX}{number}_{name}": array for name, array in told.items()}
        return {**found, scale_of(number): jnp.full(len(image), scale, jnp.float32)}

    def around(self, network: Network, t: jax.Array) -> Network:
        """A network that is steered, at times t [batch] or []; it is called as (x, label, cond)."""

        def steered(x: jax.Array, label: jax.Array, cond: Any = None) -> jax.Array:
            cond = dict(cond or {})
            rest = {name: v for name, v in cond.items() if not name.startswith(PREFIX)}
            at = jnp.broadcast_to(t, x.shape[:1])
            found = [self._added(i, x, at, label, rest, cond) for i in range(len(self.members))]
            return network(x, label, rest, added=weighted([(1.0, added) for added in found]))

        return steered

    def _added(
        self, number: int, x: jax.Array, t: jax.Array, label: jax.Array, rest: Cond, cond: Cond
    ) -> Added:
        """w_i C_i; where no example of the batch is steered, it is not computed."""
        member, prefix = self.members[number], f"{PREFIX}{number}_"
        own = {n.removeprefix(prefix): v for n, v in cond.items() if n.startswith(prefix)}
        scale = own.pop("scale")
        weight = jnp.where((member.low < t) & (t <= member.high), scale, 0)[:, None, None, None]

        def computed() -> Added:
            return weighted([(weight, member.added(x, label, rest, own))])

        nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(computed))
        return jax.lax.cond(jnp.any(weight != 0), computed, lambda: nothing)
