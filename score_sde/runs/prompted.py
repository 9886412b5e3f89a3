"""Pictures of prompts: what a model that is told of texts is asked for, from Python."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from score_sde import keys
from score_sde.errors import UserError, first_line
from score_sde.guidance import classifier_free
from score_sde.guidance.pairs import RESCALED, X0
from score_sde.guidance.rule import Interval
from score_sde.runs import (
    arguments,
    controlled,
    drawing,
    editing,
    pictured,
    telling,
    videos,
    weakened,
)
from score_sde.runs.controlled import Control
from score_sde.runs.pictured import Given
from score_sde.runs.telling import Cond, Prompts
from score_sde.runs.weakened import SkipLayers
from score_sde.samplers import Sampler
from score_sde.training import memory
from score_sde.training.sharding import split_batch

if TYPE_CHECKING:
    from score_sde.runs.opened import Run

_START = 0x73746172  # folded into a picture's key, for what it begins with


class Generated(NamedTuple):
    """What was drawn.

    Attributes:
        images: in [0, 1], float32 NumPy [batch, height, width, channels]; of videos [batch, frames,
            height, width, channels].
        x: the states that they are decoded from.
        nfe: evaluations of the network for each.
    """

    images: np.ndarray
    x: jax.Array
    nfe: int


def generate(
    run: Run,
    prompt: Prompts,
    negative: Prompts | None = None,
    *,
    prompt_2: Prompts | None = None,
    prompt_3: Prompts | None = None,
    guidance: float | None = None,
    interval: Interval | None = None,
    true_guidance: float = 1.0,
    rescale: float | None = None,
    clip_skip: int | None = None,
    sampler: str | Sampler | None = None,
    steps: int | None = None,
    key: jax.Array | None = None,
    start: jax.Array | None = None,
    image: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    method: str = "replacement",
    strength: float | None = None,
    noise_level: int | None = None,
    prompt_from: Prompts | None = None,
    controls: Sequence[Control] = (),
    skip_layers: SkipLayers | None = None,
    until: float = 1.0,
    after: float = 0.0,
    conditions: Mapping[str, ArrayLike] | None = None,
    height: int | None = None,
    width: int | None = None,
    frames: int | None = None,
    sizes: Sequence[float] | None = None,
    negative_sizes: Sequence[float] | None = None,
) -> Generated:
    """Pictures of prompts.

    Args:
        run: of a model that is told of texts.
        prompt: one or several.
        negative: what to lead away from, one or as many; None: nothing, as the model was trained to
            be told it.
        prompt_2: for the second encoder, if it is another one.
        prompt_3: for the third.
        guidance: scale of classifier-free guidance; 1 for none; None: as the run's config says. A
            model that has learnt to be told a scale, such as FLUX.1-dev, is told this one.
        interval: (low, high) of sigma / alpha where it guides; None: as the run's config says.
        true_guidance: of such a model, the scale of guidance that it is led by besides.
        rescale: see guidance.classifier_free; None: as the run's config says. What is rescaled is
            the noise or the v that the network predicts, else the data.
        clip_skip: how many of the last layers of CLIP encoders are left out, beside those that
            always are; None: as the run's config says. See prompting.Skipping.
        sampler: its name, or a sampler; None for the run's own. A name takes the time grid with
            which it is released for such models.
        steps: how many; None: as the run's config says.
        key: JAX random key; None for that of seed 0. Picture i is drawn with fold_in(key, i). Or a
            vector of keys, one for each picture.
        start: states at t_max over the standard deviation there, [batch, height, width, channels],
            of videos [batch, frames, height, width, channels]; drawn if None.
        image: what to begin with in place of noise alone, uint8 or numbers in [0, 1], [height,
            width, channels] or one for each picture.
        mask: true where the image is known and stays, [height, width] or one for each picture.
        method: how what is known is used, a key of guidance.methods.METHODS but "gibbs"; a network
            that is told of masks is told.
        strength: how far it is changed: that share of the steps is made, the last ones, from the
            image with the noise of that time (Meng et al. 2021, arXiv 2108.01073). None: 0.6, and
            with a mask 1, with which what is drawn begins with noise alone.
        noise_level: of a model that makes small images larger, of which `image` is one: how much
            noise is put on it, 20 if None; more leaves more to the prompt.
        prompt_from: what the image shows, to be drawn under `prompt`: see editing. Then the sampler
            is "rk45", and nfe counts the way from the image too.
        controls: networks that steer by images.
        skip_layers: blocks of the model without which it is one to lead away from; None for none.
        until: the share of the steps that is made, the first ones; below 1, x is a state with
            noise, and images is what the autoencoder makes of that.
        after: the share of the steps that were made before: `start` is the state then, such as x of
            pictures with this `until`, of this model or of one that refines another's.
        conditions: what the model is told of its data beside the text, by the name of the field,
            for all pictures, or one for each: of what it leads away from too.
        height: of the pictures, in pixels; None: as start or the image says, else that of training.
        width: likewise.
        frames: of a video of each prompt, by a network that knows motion; None for a picture.
        sizes: what a model that is told of sizes is told, in pixels; None: of the picture itself.
            Of Stable Diffusion XL: the original height and width, top and left of the cut, height
            and width that it was cut to; of its refiner an aesthetic score in place of the last
            two, if None that of the run's config.
        negative_sizes: the same of what it leads away from; None: as sizes, but for the score.

    Raises:
        UserError: the model is told of no text, or a value cannot work.
    """
    arguments.check(
        guidance=guidance,
        true_guidance=true_guidance,
        rescale=rescale,
        strength=strength,
        until=until,
        after=after,
        sizes=sizes,
        negative_sizes=negative_sizes,
    )
    texts, start = telling.texts_of(prompt), arguments.start_of(start)
    others = [p for p in (prompt_2, prompt_3) if p is not None]
    count = len(texts)
    before = videos.leading(run, frames)
    if before and (image is not None or controls):
        raise UserError("frames is of videos of a prompt alone: leave out image and controls")
    edits = prompt_from is not None
    if edits and (image is None or mask is not None or strength is not None):
        raise UserError("prompt_from says what an image shows: give image, and no mask or strength")
    if after and (start is None or image is not None):
        raise UserError("after: give start, the state with which the steps go on, and no image")
    given = pictured.given(run, count, image, mask, 1.0 if edits else strength, method, noise_level)
    pixels = _pixels(run, given, start, height, width)
    check_memory(run, (count, *before, *pixels))
    draw = editing.sampler(sampler) if edits else drawing.sampler(run, sampler, steps, pixels)
    draw = pictured.later(run, drawing.part(run, draw, after, until), given.strength)
    key = arguments.keys_of(key, count)
    key = key if keys.is_vector(key) else keys.of_examples(key, jnp.arange(count))
    start = _noise(run, key, start, (*before, *pixels))
    asked = pictured.question(run, given, draw, start, key)
    steers = controlled.steering(run, controls, draw, pixels, count)
    interval = run.config.guidance.interval if interval is None else interval
    told_scale = run.config.guidance.scale if guidance is None else guidance
    also = telling.guidance_of(run.experiment, told_scale, count)
    if true_guidance != 1 and not also:
        raise UserError(
            f"true_guidance={true_guidance} is of models that are told a scale of guidance, and "
            f"{run.workdir} is told none: give guidance"
        )
    scale = true_guidance if also else told_scale
    cond, null = telling.both(run, texts, others, negative, scale != 1, clip_skip)
    also |= asked.cond | telling.of_data(run, conditions or {}, count)
    cond |= also | steers.cond | telling.sizes_of(run, sizes, pixels, count)
    denoise = plain = drawing.denoiser(run, draw)
    if steers.controls is not None:
        denoise = dataclasses.replace(denoise, controls=steers.controls)
        controlled.check_fits(controls, denoise, start, cond)
    x_init, spent = asked.start if not after else start, 0
    if edits:
        shows = telling.as_many(prompt_from, count, "prompt_from")
        source = cond | telling.told(run, shows, skip=clip_skip)
        x_init, spent = editing.inverted(denoise, run.sde, asked.known, source, draw)
    if null is not None:
        own = telling.led_from(run, sizes) if negative_sizes is None else negative_sizes
        null |= also | steers.null | telling.sizes_of(run, own, pixels, count, away=True)
        how = _rescaling(run, rescale)
        try:
            denoise = classifier_free(denoise, scale, null, interval=interval or None, **how)
        except ValueError as error:
            raise UserError(str(error)) from error
    if skip_layers is not None:
        denoise = weakened.led(run, denoise, plain, skip_layers, draw)
    if pixels != tuple(run.space.image[:2]):
        _check_size(run, start, cond)
    if run.mesh is not None:
        key, x_init, cond = split_batch(run.mesh, (key, x_init, cond))
    x, nfe = drawing.drawn(draw, run.sde, denoise, asked.task, asked.known, key, x_init, cond)
    images = np.asarray(_decoded(run.space, x))
    if bad := count - int(np.isfinite(images).reshape(count, -1).all(axis=1).sum()):
        raise UserError(
            f"{bad} of {count} pictures are not of finite numbers: give another sampler, more "
            "steps or a smaller scale of guidance"
        )
    return Generated(given.pasted(images), x, nfe + spent)


def _rescaling(run: Run, rescale: float | None) -> dict[str, Any]:
    """Arguments of guidance.classifier_free: how much is rescaled, and of what."""
    of, usual = run.config.model.parametrization, getattr(run.experiment.rule, "rescale", 0.0)
    return {
        "rescale": usual if rescale is None else rescale,
        "rescales": of if of in RESCALED else X0,
    }


def _pixels(
    run: Run, given: Given, start: jax.Array | None, height: int | None, width: int | None
) -> tuple[int, int]:
    """(height, width) of the pictures."""
    if height is None and width is None:
        if given.size is not None:
            height, width = given.size
        elif start is not None and start.ndim > 3:
            height, width = (side * run.space.factor for side in start.shape[-3:-1])
    pixels = size(run, height, width)
    if given.size not in (None, pixels):
        raise UserError(
            f"the image is of {given.size[0]} x {given.size[1]} pixels, the pictures of "
            f"{pixels[0]} x {pixels[1]}: leave out height and width, or resize it"
        )
    return pixels


def _noise(run: Run, key: jax.Array, start: jax.Array | None, size: tuple[int, ...]) -> jax.Array:
    """What pictures begin with, of deviation 1, if it is not given; size: (frames,) height, width.

    Raises:
        UserError: it is given, and of another shape.
    """
    *before, height, width = size
    sides = (side // run.space.factor for side in (height, width))
    shape = (len(key), *before, *sides, run.space.shape[-1])
    if start is None:
        return keys.normal(keys.fold_in(key, _START), shape, jnp.float32)
    if start.shape != shape:
        raise UserError(f"start is {start.shape}; these pictures begin with {shape}")
    return start


def _check_size(run: Run, x: jax.Array, cond: Cond) -> None:
    """Raise UserError if a network is not for states of this size."""
    try:
        jax.eval_shape(run.denoise, x, jnp.ones(len(x)), cond)
    except ValueError as error:
        raise UserError(first_line(error)) from error


@jax.jit
def _decoded(space: Any, x: jax.Array) -> jax.Array:
    return jnp.clip((videos.images(space, x) + 1) / 2, 0, 1)


def size(run: Run, height: int | None, width: int | None) -> tuple[int, int]:
    """(height, width) of pictures, in pixels; None for that of training.

    Raises:
        UserError: a run cannot draw such pictures.
    """
    found = tuple(
        own if asked is None else asked
        for asked, own in zip((height, width), run.space.image, strict=False)
    )
    for name, side in zip(("height", "width"), found, strict=True):
        if type(side) is not int or side < run.space.factor or side % run.space.factor:
            raise UserError(f"{name}={side}: give a multiple of {run.space.factor}")
    return found


def check_memory(run: Run, shape: tuple[int, ...]) -> None:
    """Raise UserError if pictures do not fit into the memory.

    Args:
        run: the run.
        shape: (count, height, width), or (count, frames, height, width), in pixels.
    """
    memory.check(
        f"a batch of {shape[0]} pictures of {shape[-2]} x {shape[-1]} pixels",
        np.dtype(np.float32).itemsize * math.prod(shape) * run.space.image[-1],
        memory.of_devices(),
        "give smaller ones, or fewer at a time, config.sampling.batch_size",
    )
