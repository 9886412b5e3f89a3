"""Controls of pictures: what is asked of networks that steer, and what a run is told of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from score_sde import files
from score_sde.checks import present
from score_sde.controls import CONTROLS, Controls, scale_of
from score_sde.errors import UserError, first_line
from score_sde.models.clip_image import prepared
from score_sde.parts import Part, called
from score_sde.runs import arguments, kept, pictured, spans
from score_sde.samplers import Sampler

if TYPE_CHECKING:
    from score_sde.runs.opened import Run


class Opened(NamedTuple):
    """A network that steers.

    Attributes:
        name: of its folder.
        kind: a key of controls.CONTROLS.
        options: of the network.
        part: the network.
        encoder: the options of what makes the embedding of an image that it is shown, and itself;
            None of one that is shown images.
    """

    name: str
    kind: str
    options: dict[str, Any]
    part: Part
    encoder: tuple[dict[str, Any], Part] | None = None

    @property
    def channels(self) -> int:
        """Of its image."""
        options = self.options if self.encoder is None else self.encoder[0]
        channels: int = options[CONTROLS[self.kind].CHANNELS]
        return channels

    def shown(self, image: ArrayLike, pixels: tuple[int, int], count: int) -> jax.Array:
        """What it is shown of an image; see controls.Control.told.

        Args:
            image: see Control.
            pixels: (height, width) of the pictures.
            count: how many.

        Raises:
            UserError: the image cannot be.
        """
        what = f"the image of {self.name}"
        if self.encoder is not None:
            return self._embedding(image, what, count)
        found = pictured.of_channels(image, self.channels, what, count)
        if found.shape[1:3] != pixels:
            raise UserError(
                f"{what} is of {found.shape[1]} x {found.shape[2]} pixels, the pictures of "
                f"{pixels[0]} x {pixels[1]}: resize it"
            )
        return jnp.asarray(found)

    def _embedding(self, image: ArrayLike, what: str, count: int) -> jax.Array:
        """[count, features]; of one image for all pictures it is made once."""
        options, encoder = present("encoder", self.encoder)
        one_for_all = np.ndim(image) == 3
        found = pictured.of_channels(image, self.channels, what, 1 if one_for_all else count)
        levels = np.round(255 * found).astype(np.uint8)
        made = called(encoder, np.stack([prepared(one, options["side"]) for one in levels]))
        return jnp.broadcast_to(made, (count, *made.shape[1:]))


class Control(NamedTuple):
    """One network that steers, and how.

    Attributes:
        network: its folder, as --mode=import makes it of a released ControlNet, T2I-adapter or
            IP-Adapter; or what `opened` read there.
        image: what it is shown, uint8 or numbers in [0, 1], [height, width, channels], or one for
            each picture; of the size of the pictures, but of an IP-Adapter of any.
        scale: how much; 0 for nothing.
        start: the share of the steps after which it begins,
        end: and at which it ends.
        guess: whether it steers what is drawn of the prompt alone, and the less the coarser: for
            prompts that say nothing (guess mode).
    """

    network: str | os.PathLike[str] | Opened
    image: ArrayLike
    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0
    guess: bool = False


class Steering(NamedTuple):
    """What a run is drawn with.

    Attributes:
        controls: the networks; None for none.
        cond: what it is told of the images.
        null: the same of what leads away.
    """

    controls: Controls | None
    cond: dict[str, jax.Array]
    null: dict[str, jax.Array]


def steering(
    run: Run, asked: Sequence[Control], draw: Sampler, pixels: tuple[int, int], count: int
) -> Steering:
    """What steers pictures.

    Args:
        run: the run.
        asked: the controls.
        draw: the sampler, whose steps `start` and `end` are shares of.
        pixels: (height, width) of the pictures.
        count: how many.

    Raises:
        UserError: a network cannot be read or is for another base, or an image or number is wrong.
    """
    if not asked:
        return Steering(None, {}, {})
    members: list[Any] = []
    cond: dict[str, jax.Array] = {}
    null: dict[str, jax.Array] = {}
    for i, one in enumerate(checked(run, asked, draw)):
        network = cast(Opened, one.network)  # by `checked`
        low, high = _times(run, one, draw)
        # A network that shows means over all positions steers the prompt alone, as released.
        guess = one.guess or bool(network.options.get("pooled", False))
        members.append(CONTROLS[network.kind](network.part, low, high, guess))
        shown = network.shown(one.image, pixels, count)
        try:
            told, away = Controls(tuple(members)).told(i, shown, one.scale)
        except ValueError as error:
            raise UserError(f"{network.name}: {first_line(error)}") from error
        cond |= told
        null |= away | ({scale_of(i): jnp.zeros(count)} if guess else {})
    return Steering(Controls(tuple(members)), cond, null)


def checked(run: Run, asked: Sequence[Control], draw: Sampler) -> list[Control]:
    """The same with networks that are opened, if they steer such a run.

    Raises:
        UserError: a network cannot be read or is for another base, or a number is wrong.
    """
    found = []
    every = asked if isinstance(asked, Sequence) else [asked]
    for one in every:
        if not isinstance(one, Control) or isinstance(asked, Control):
            raise UserError("controls: give a list of score_sde.Control(FOLDER, image, 0.8)")
        arguments.check(scale=one.scale, start=one.start, end=one.end)
        if not isinstance(one.network, Opened):
            one = one._replace(network=opened(one.network))
        _check(run, one)
        _times(run, one, draw)
        found.append(one)
    return found


def opened(network: str | os.PathLike[str]) -> Opened:
    """A network that steers, from its folder.

    Raises:
        UserError: it cannot be read.
    """
    if not isinstance(network, str | os.PathLike):
        raise UserError(f"controls: {network!r:.60} is no folder of a network that steers")
    folder = files.expanded(network)
    kind, options, part = kept.control(folder)
    encoder = kept.image_encoder(folder) if CONTROLS[kind].EMBEDDED else None
    return Opened(str(network), kind, options, part, encoder)


def check_fits(
    asked: Sequence[Control], denoise: Any, x: jax.Array, cond: dict[str, jax.Array]
) -> None:
    """Raise UserError unless what is added fits the network that it is added to.

    Args:
        asked: the controls.
        denoise: the denoiser that is steered.
        x: a state, [batch, *data].
        cond: all that it is told.
    """
    try:
        jax.eval_shape(denoise, x, jnp.zeros(len(x), x.dtype), cond)
    except (TypeError, ValueError) as error:
        names = ", ".join(getattr(one.network, "name", str(one.network)) for one in asked)
        raise UserError(f"{names} does not fit this model: {first_line(error)}") from error


def _check(run: Run, one: Control) -> None:
    """Raise UserError unless a network steers ones like the run's, and the numbers can be."""
    model, network = run.config.model, cast(Opened, one.network)
    if model.name != "cross_unet":
        raise UserError(f"{network.name} steers a U-Net, and this model is {model.name}")
    for name in CONTROLS[network.kind].SAME:
        theirs, ours = network.options[name], model[name]
        if tuple(np.ravel(theirs)) != tuple(np.ravel(ours)):
            raise UserError(
                f"{network.name} is for a network with {name}={theirs}, and this one has {ours}"
            )


def _times(run: Run, one: Control, draw: Sampler) -> tuple[float, float]:
    """(low, high]: the times of the steps of which the whole lies between start and end."""
    try:
        return spans.times(run.sde, draw, one.start, one.end)
    except ValueError as error:
        raise UserError(f"{cast(Opened, one.network).name}: {error}") from error
