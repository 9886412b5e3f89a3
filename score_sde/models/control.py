"""A ControlNet beside a U-Net that is trained here: drawing pictures by sketches, edges or depths.

The equation is (1) of models.controlnet: the U-Net stays as it is, a copy of its encoder sees the
image c too, and what the decoder is shown gets what layers that begin with zeros make of that,

    D(E(x) + Z E'(x + H(c))),    E' = E and Z = 0 at first,                                (1)

so that a run begins with just what the U-Net draws (Zhang et al. 2023, arXiv 2302.05543). c is an
image field of the data beside the one that is drawn. An example without it, whose c is zeros or is
not given, is what the U-Net draws.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde import sections
from score_sde.fields import Field
from score_sde.models.adapter import Adapter
from score_sde.models.added import Added
from score_sde.models.conditions.base import check_value
from score_sde.models.controlnet import Hint, through, zero_layers
from score_sde.models.functional import Arrays, Functional, functional, split
from score_sde.models.unet import UNet
from score_sde.sections import DERIVED
from score_sde.values import Name

COPY = "copy"
_KEY = 0x6374726C  # far from the counts that a network's own keys are folded with


class Branch(nnx.Module):
    """Z E'(x + H(c)) of equation (1).

    Args:
        network: the U-Net, whose encoder becomes E'.
        image: the field c.
        rngs: random stream `params` of the initialisation.

    Raises:
        ValueError: the image is not as large as the U-Net's, or 2, 4, ... times.
    """

    def __init__(self, network: UNet, image: Field, *, rngs: nnx.Rngs):
        self.copy = network.without_decoder()
        self.image = image
        width, layer = network.shown[0], {"param_dtype": jnp.float32, "rngs": rngs}
        self.hint = Hint(image.shape[-1], (width,) * _sizes(image, network.sides), width, **layer)
        self.skips, self.middle = zero_layers(network.shown, network.shown[-1], **layer)

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None,
        image: jax.Array,
        *,
        key: jax.Array | None = None,
    ) -> Added:
        """What the U-Net is called with as `added`.

        Args:
            x: noisy images, [batch, height, width, channels].
            noise_label: of each, [batch].
            cond: what the U-Net is told.
            image: c, uint8 [batch, *image.shape].
            key: of dropout; None for none.
        """
        check_value(self.image.name, image, (len(x), *self.image.shape))
        shown = (image != 0).any(axis=(1, 2, 3), keepdims=True)
        hint = self.hint(image.astype(x.dtype) / (self.image.values - 1))
        h, skips = self.copy.features(x, noise_label, cond, hint=hint, key=key)
        found = through(self.skips, self.middle, skips, h)
        return {name: jnp.where(shown, a, 0) for name, a in found.items()}


def _sizes(image: Field, sides: tuple[int, ...]) -> int:
    """How many sizes H has, from that of c to that of the U-Net's first features."""
    found = 1
    while (image.shape[0] >> (found - 1)) > sides[0]:
        found += 1
    if tuple(side << (found - 1) for side in sides) != image.shape[:2]:
        raise ValueError(
            f"{image.words} steers features of {sides[0]}x{sides[1]} if it is as large, or 2, 4, "
            "... times"
        )
    return found


@dataclasses.dataclass(frozen=True)
class Control(Adapter):
    """The section `training.control` of a config.

    Attributes:
        field: the image of the data that a ControlNet is told, such as "sketch"; "" for none.
        image: that field.
    """

    PREFIX: ClassVar[str] = "control"

    field: Name = ""
    image: Field | None = dataclasses.field(default=None, metadata=DERIVED)

    def __post_init__(self) -> None:
        sections.check(self, "config.training.control.")

    @property
    def said(self) -> str:
        """See Adapter."""
        return f"config.training.control.field={self.field}" if self.field else ""

    @property
    def told(self) -> tuple[str, ...]:
        """See Adapter."""
        return (self.field,) if self.field else ()

    def adapted(self, network: Functional) -> Functional:
        """See Adapter; ValueError if it is another network than a U-Net."""
        if not self.field:
            return network

        def make(rngs: nnx.Rngs) -> Branch:
            made = network.make(rngs)
            if type(made) is not UNet:  # one of videos is a UNet too, of other states
                raise ValueError(f"{self.said} is for the network unet")
            return Branch(made, self.image, rngs=rngs)

        branch = functional(make)

        def init(key: jax.Array) -> tuple[Arrays, Arrays]:
            (params, constants), own = network.init(key), branch.init(jax.random.fold_in(key, _KEY))
            fixed = params | constants
            own = tuple(self._prefixed(arrays) for arrays in own)
            begun = self.begun(fixed)
            found = tuple({path: begun.get(path, a) for path, a in one.items()} for one in own)
            return found[0], fixed | found[1]

        def apply(
            params: Arrays,
            constants: Arrays,
            x: jax.Array,
            noise_label: jax.Array,
            cond: Mapping[str, jax.Array] | None = None,
            *,
            key: jax.Array | None = None,
        ) -> Any:
            fixed, own = split(constants, self.PREFIX)
            of_network = tuple({path: fixed[path] for path in one} for one in network.shapes)
            rest = {name: value for name, value in (cond or {}).items() if name != self.field}
            image, more = (cond or {}).get(self.field), {}
            if image is not None:
                learnt = split(params, self.PREFIX)[1]
                more["added"] = branch.apply(learnt, own, x, noise_label, rest, image, key=key)
            return network.apply(*of_network, x, noise_label, rest, key=key, **more)

        def project(params: Arrays) -> Arrays:
            return self._prefixed(branch.project(split(params, self.PREFIX)[1]))

        ours, theirs = (self._prefixed(one) for one in branch.shapes)
        fixed = network.shapes[0] | network.shapes[1]
        return Functional(init, apply, (ours, fixed | theirs), project)

    def begun(self, found: Arrays) -> Arrays:
        """See Adapter: those of E'."""
        return {f"{self.PREFIX}/{COPY}/{path}": array for path, array in found.items()}

    def _prefixed(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        return {f"{self.PREFIX}/{path}": array for path, array in arrays.items()}
