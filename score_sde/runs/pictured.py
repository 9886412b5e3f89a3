"""What a picture is drawn from beside a prompt: an image, of which a part may be known.

Known pixels are known latents where a latent stands for no other pixel, and what is known of these
is used as for any model, see guidance.methods. A network that was made to draw what is missing, a
U-Net of 9 channels, is told instead: which latents are to be drawn, and those of the image without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from score_sde.checks import check_name
from score_sde.errors import UserError
from score_sde.guidance.methods import METHODS, Method
from score_sde.guidance.task import Inpaint, Redraw, Task
from score_sde.runs import drawing, upscaling
from score_sde.samplers import Sampler

if TYPE_CHECKING:
    from score_sde.runs.opened import Run

STRENGTH = 0.6


class Given(NamedTuple):
    """What is given, and what is asked about it.

    Attributes:
        image: float32 in [0, 1], [batch, height, width, channels], or None.
        mask: true where it is known, bool [batch, height, width, 1]; None where nothing is.
        strength: the share of the steps that are made.
        method: how what is known is used, a key of guidance.methods.METHODS.
        level: of the noise on a small image, of which the pictures are larger ones; None of others.
        factor: how many times larger.
    """

    image: np.ndarray | None = None
    mask: np.ndarray | None = None
    strength: float = 1.0
    method: str = "replacement"
    level: int | None = None
    factor: int = 1

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the pictures that go with it."""
        if self.image is None:
            return None
        height, width = self.image.shape[1:3]
        return self.factor * height, self.factor * width

    def pasted(self, drawn: np.ndarray) -> np.ndarray:
        """Pictures that were drawn, with the pixels that are known."""
        return drawn if self.mask is None else np.where(self.mask, self.image, drawn)


class Question(NamedTuple):
    """The same for a run.

    Attributes:
        task: what is asked.
        known: states of the image, or None.
        start: what the sampler begins with.
        cond: what the network is told besides.
    """

    task: Task
    known: jax.Array | None
    start: jax.Array
    cond: dict[str, jax.Array]


def given(
    run: Run,
    count: int,
    image: ArrayLike | None,
    mask: ArrayLike | None,
    strength: float | None,
    method: str,
    level: int | None = None,
) -> Given:
    """What arguments say; see prompted.generate.

    Args:
        run: the run.
        count: of pictures.
        image: or None.
        mask: or None.
        strength: or None.
        method: a key of METHODS.
        level: or None.

    Raises:
        UserError: it cannot be.
    """
    if upscaling.upscales(run):
        return _small(run, count, image, {"mask": mask, "strength": strength}, level)
    if level is not None:
        raise UserError(f"noise_level={level}: this model does not make small images larger")
    if mask is None and method != "replacement":
        raise UserError(f"method={method} is how what is known of an image is used: give mask too")
    if image is None:
        for name, value in (("strength", strength), ("mask", mask)):
            if value is not None:
                raise UserError(f"{name} is about an image: give image too")
        if told_of_masks(run):
            raise UserError(
                f"{run.workdir} draws what is missing of an image: give image and mask "
                "(--task=inpaint --image=FILE --mask=FILE)"
            )
        return Given()
    found = of_channels(image, run.space.image[-1], "image", count)
    if mask is None:
        if told_of_masks(run):
            raise UserError(f"{run.workdir} draws what is missing of an image: give mask too")
        return Given(found, strength=STRENGTH if strength is None else strength)
    known = np.asarray(mask)
    known = known[..., None] if known.shape[-1:] != (1,) else known
    known = of_channels(known, 1, "mask", count) > 0.5
    if known.shape[1:3] != found.shape[1:3]:
        raise UserError(
            f"mask is of {known.shape[1]} x {known.shape[2]} pixels, image of {found.shape[1]} x "
            f"{found.shape[2]}: resize one of them"
        )
    if known.all() or not known.any():
        what = "nothing is left to draw" if known.all() else "nothing is known"
        raise UserError(f"mask is true where pixels are known, and {what}")
    try:
        check_name("method", method, [name for name in METHODS if name != "gibbs"])
    except ValueError as error:
        raise UserError(str(error)) from error
    if told_of_masks(run):
        if method != "replacement":
            raise UserError(
                f"method={method}: {run.workdir} is told of what is known: leave method out"
            )
    elif not _latent(known, run.space.factor).any():
        side = run.space.factor
        raise UserError(f"mask leaves no square of {side} x {side} pixels, of which latents are")
    return Given(found, known, 1.0 if strength is None else strength, method)


def _small(
    run: Run, count: int, image: ArrayLike | None, others: dict[str, Any], level: int | None
) -> Given:
    """The same for a model that makes small images larger."""
    if image is None:
        raise UserError(
            f"{run.workdir} makes small images larger: give image (--task=superres --image=FILE)"
        )
    for name, value in others.items():
        if value is not None:
            raise UserError(f"{run.workdir} makes small images larger: leave out {name}")
    level = upscaling.LEVEL if level is None else level
    upscaling.check(run, level)
    found = of_channels(image, run.space.image[-1], "image", count)
    return Given(found, level=level, factor=run.space.factor)


def told_of_masks(run: Run) -> bool:
    """Whether a network is told which latents are to be drawn, and those of the rest."""
    extra = getattr(run.config.model, "extra_channels", 0)
    return extra == 1 + run.space.shape[-1]


def of_channels(image: ArrayLike, channels: int, name: str, count: int) -> np.ndarray:
    """An image for each picture, float32 in [0, 1], [count, height, width, channels].

    Args:
        image: uint8, or numbers in [0, 1]; [height, width, channels] or a batch of such.
        channels: that it must have.
        name: for messages.
        count: of pictures.

    Raises:
        UserError: it is something else.
    """
    found = np.asarray(image)
    found = found[None] if found.ndim == 3 else found
    fits = found.ndim == 4 and found.size > 0 and found.dtype.kind not in "cOSUMm"
    if not fits or found.shape[-1] != channels or len(found) not in (1, count):
        raise UserError(
            f"{name} is {np.shape(image)}: give [height, width, {channels}] for all pictures, or "
            f"[{count}, height, width, {channels}] with one for each"
        )
    found = found.astype(np.float32) / (255 if found.dtype == np.uint8 else 1)
    if not (found.min() >= 0 and found.max() <= 1):
        raise UserError(f"{name} must be uint8, or hold numbers from 0 to 1 only")
    return np.broadcast_to(found, (count, *found.shape[1:]))


def question(run: Run, asked: Given, draw: Sampler, noise: jax.Array, key: jax.Array) -> Question:
    """What is asked of a run.

    Args:
        run: the run.
        asked: what is given.
        draw: what draws, see `later`.
        noise: of deviation 1, [batch, *shape of a state].
        key: a key for each picture.
    """
    plain = Question(Task(), None, drawing.first_state(run, draw, noise), {})
    if asked.image is None:
        return plain
    if asked.level is not None:
        return plain._replace(cond=upscaling.told(run, asked.image, asked.level, key))
    known = encoded(run.space, jnp.asarray(asked.image))
    task, cond = Redraw(), {}
    if asked.mask is not None and told_of_masks(run):
        cond = {"concat": _told(run.space, asked.image, asked.mask)}
        if asked.strength == 1:
            return plain._replace(cond=cond)
    elif asked.mask is not None:
        latents = jnp.asarray(_latent(asked.mask, run.space.factor))
        task = Inpaint(latents, method=_method(run, asked.method, draw))
    t = draw.begins(run.sde)
    first, last = (run.sde.sigma(jnp.asarray(at, noise.dtype)) for at in (t, run.sde.t_max))
    x = noise * run.sde.prior_std * (first / last)
    begin = task if asked.strength == 1 else Redraw()
    return Question(task, known, begin.start(run.sde, x, t, known), cond)


def _method(run: Run, name: str, draw: Sampler) -> Method:
    return METHODS[name](*([draw.pieces(run.sde)] if name == "dps" else []))


def _latent(mask: np.ndarray, factor: int) -> np.ndarray:
    """Where latents are known: where all of their pixels are, [batch, h, w, 1]."""
    b, height, width = (n // f for n, f in zip(mask.shape, (1, factor, factor), strict=False))
    squares = mask[:, : height * factor, : width * factor].reshape(b, height, factor, width, factor)
    return squares.all(axis=(2, 4))[..., None]


def _told(space: Any, image: np.ndarray, mask: np.ndarray) -> jax.Array:
    """1 where a latent is to be drawn, by its first pixel, and those of the image, gray there."""
    draws = 1 - mask[:, :: space.factor, :: space.factor].astype(np.float32)
    rest = encoded(space, jnp.asarray(np.where(mask, image, np.float32(0.5))))
    return jnp.concatenate([jnp.asarray(draws), rest], axis=-1)


def extended(
    image: np.ndarray, *, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """An image with more room, to be drawn: the new image and mask of Run.generate.

    Args:
        image: [height, width, channels].
        top: pixels above it; its first row is there meanwhile.
        bottom: below it; likewise.
        left: to its left.
        right: to its right.

    Returns:
        The larger image, and where it is known, bool [height, width].
    """
    room = (top, bottom), (left, right)
    known = np.pad(np.ones(image.shape[:2], bool), room)
    return np.pad(image, (*room, (0, 0)), mode="edge"), known


def later(run: Run, draw: Sampler, strength: float) -> Sampler:
    """What makes that share of the steps, the last ones.

    Raises:
        UserError: the sampler makes no steps that could be left out, or too few.
    """
    if strength == 1:
        return draw
    try:
        return draw.later(run.sde, strength)
    except ValueError as error:
        raise UserError(f"strength={strength:g}: {error}") from error


@jax.jit
def encoded(space: Any, image: jax.Array) -> jax.Array:
    """States of images in [0, 1]."""
    return space.of_images(2 * image - 1)
