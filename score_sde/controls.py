"""Networks that steer another by images: what they add to its features, and when.

The network N is called as

    N(x, label, cond, added = sum_i w_i(t) C_i(x, label, cond, image_i),                    (1)
                      beside = keys of image_j and w_j(t) times its values, of each j),     (2)

C_i a ControlNet or a T2I-adapter (models.controlnet, models.t2i_adapter), j an image that prompts
(models.image_prompt), w(t) a scale s at the times in (low, high], else 0. What each example is
steered by, images (or what an adapter makes of them, once) and scales, are conditions like others,
by names that begin with "control_": so guidance asks about an example with another scale, or none,
in the same batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde.models.added import Added
from score_sde.models.controlnet import weighted
from score_sde.models.spatial_transformer import Beside
from score_sde.parts import Part, called

Cond = dict[str, jax.Array]
PREFIX = "control_"
Network = Callable[..., jax.Array]


class Steers(NamedTuple):
    """What the network is called with; see models.cross_unet.

    Attributes:
        added: arrays that are added to features, by where.
        beside: of each image that prompts, keys and values for each attention to the text.
    """

    added: Added
    beside: tuple[tuple[Beside, ...], ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Control:
    """One network that steers.

    Attributes:
        SAME: options that it and the network that it steers must have the same of.
        CHANNELS: the option that says how many channels its image has.
        EMBEDDED: whether it is shown the embedding of an image, by an encoder of images, of which
            CHANNELS is an option then.
        part: the network.
        low: after this time, and
        high: up to this one it steers.
        guess: whether in guess mode, see models.controlnet.
    """

    SAME: ClassVar[tuple[str, ...]] = ("widths",)
    CHANNELS: ClassVar[str] = "image_channels"
    EMBEDDED: ClassVar[bool] = False

    part: Part
    low: ArrayLike
    high: ArrayLike
    guess: bool = dataclasses.field(default=False, metadata={"static": True})

    def told(self, shown: jax.Array) -> Cond:
        """What of an image it is told in each call, by name.

        Args:
            shown: the image, in [0, 1], [batch, height, width, channels], or its embedding.
        """
        raise NotImplementedError

    def away(self, shown: jax.Array, told: Cond) -> Cond:
        """The same for what a prompt leads away from.

        Args:
            shown: see `told`.
            told: what that gave.
        """
        del shown
        return told

    def steers(
        self, x: jax.Array, label: jax.Array, cond: Cond, told: Cond, weight: jax.Array
    ) -> Steers:
        """Its part of equations (1) and (2).

        Args:
            x: see the network.
            label: likewise.
            cond: likewise.
            told: what `told` gave.
            weight: w, [batch].
        """
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

    def told(self, shown: jax.Array) -> Cond:
        """The image."""
        return {"image": shown}

    def steers(
        self, x: jax.Array, label: jax.Array, cond: Cond, told: Cond, weight: jax.Array
    ) -> Steers:
        """See Control."""
        added = self.part(x, label, cond, told["image"], guess=self.guess)
        return Steers(weighted([(_of_images(weight), added)]))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class ByAdapter(Control):
    """A T2I-adapter, whose features do not depend on the state."""

    def told(self, shown: jax.Array) -> Cond:
        """Its features."""
        return called(self.part, shown)

    def steers(
        self, x: jax.Array, label: jax.Array, cond: Cond, told: Cond, weight: jax.Array
    ) -> Steers:
        """See Control."""
        return Steers(weighted([(_of_images(weight), told)]))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class ByImage(Control):
    """An IP-Adapter: the image prompts, beside the text."""

    SAME: ClassVar[tuple[str, ...]] = ("text_features",)
    EMBEDDED: ClassVar[bool] = True

    def told(self, shown: jax.Array) -> Cond:
        """Tokens of the embedding."""
        return {"tokens": called(self.part, shown)}

    def away(self, shown: jax.Array, told: Cond) -> Cond:
        """Those of an embedding of zeros, as the released adapters learnt to be told no image."""
        del told
        return self.told(jnp.zeros_like(shown))

    def steers(
        self, x: jax.Array, label: jax.Array, cond: Cond, told: Cond, weight: jax.Array
    ) -> Steers:
        """See Control."""
        pairs = self.part(told["tokens"], method="beside")
        scale = weight[:, None, None]
        return Steers({}, (tuple((keys, scale * values) for keys, values in pairs),))


def _of_images(weight: jax.Array) -> jax.Array:
    return weight[:, None, None, None]


def scale_of(number: int) -> str:
    """The name of the condition that is the scale of one of them."""
    return f"{PREFIX}{number}_scale"


CONTROLS: Mapping[str, type[Control]] = {
    "controlnet": ByControlNet,
    "t2i_adapter": ByAdapter,
    "ip_adapter": ByImage,
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Controls:
    """Equations (1) and (2).

    Attributes:
        members: what steers.
    """

    members: tuple[Control, ...]

    def told(self, number: int, shown: jax.Array, scale: ArrayLike) -> tuple[Cond, Cond]:
        """The conditions of one of them: for a prompt, and for what it leads away from.

        Args:
            number: of it, from 0.
            shown: see Control.told.
            scale: s, a number.
        """
        member = self.members[number]
        told = member.told(shown)
        found = []
        for each in (told, member.away(shown, told)):
            named = {f"{PREFIX}{number}_{name}": array for name, array in each.items()}
            found.append({**named, scale_of(number): jnp.full(len(shown), scale, jnp.float32)})
        cond, null = found
        return cond, null

    def around(self, network: Network, t: jax.Array) -> Network:
        """A network that is steered, at times t [batch] or []; it is called as (x, label, cond)."""

        def steered(x: jax.Array, label: jax.Array, cond: Any = None) -> jax.Array:
            cond = dict(cond or {})
            rest = {name: v for name, v in cond.items() if not name.startswith(PREFIX)}
            at = jnp.broadcast_to(t, x.shape[:1])
            found = [self._steers(i, x, at, label, rest, cond) for i in range(len(self.members))]
            added = weighted([(1.0, one.added) for one in found])
            beside = [pairs for one in found for pairs in one.beside]
            return network(x, label, rest, added=added, beside=beside)

        return steered

    def _steers(
        self, number: int, x: jax.Array, t: jax.Array, label: jax.Array, rest: Cond, cond: Cond
    ) -> Steers:
        """By one of them; where no example of the batch is steered, it is not computed."""
        member, prefix = self.members[number], f"{PREFIX}{number}_"
        own = {n.removeprefix(prefix): v for n, v in cond.items() if n.startswith(prefix)}
        scale = own.pop("scale")
        weight = jnp.where((member.low < t) & (t <= member.high), scale, 0)

        def computed() -> Steers:
            return member.steers(x, label, rest, own, weight)

        nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(computed))
        return jax.lax.cond(jnp.any(weight != 0), computed, lambda: nothing)
