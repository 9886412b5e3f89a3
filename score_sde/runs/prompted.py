"""Pictures of prompts: what a model that is told of texts is asked for, from Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from ml_collections import ConfigDict

from score_sde import keys
from score_sde.errors import UserError, first_line
from score_sde.guidance import classifier_free
from score_sde.guidance.rule import Interval
from score_sde.runs import controlled, drawing, editing, pictured
from score_sde.runs.controlled import Control
from score_sde.runs.pictured import Given
from score_sde.samplers import Sampler
from score_sde.training.sharding import split_batch

if TYPE_CHECKING:
    from score_sde.runs.opened import Run

_START = 0x73746172  # folded into a picture's key, for what it begins with
Prompts = str | Sequence[str]
Cond = dict[str, jax.Array]


class Generated(NamedTuple):
    """What was drawn.

    Attributes:
        images: in [0, 1], float32 NumPy [batch, height, width, channels].
        x: the states that they are decoded from.
        nfe: evaluations of the network for each.
    """

    images: np.ndarray
    x: jax.Array
    nfe: int


def told(run: Run, *prompts: Prompts) -> Cond:
    """What a network is told of prompts.

    Args:
        run: of a model that is told of texts.
        prompts: a text for each example; then, if they are to be others, those of the other
            encoders, in order.

    Raises:
        UserError: the model is told of no text, or a prompt is none.
    """
    system = run.experiment.text
    if not system.prompts:
        raise UserError(f"{run.workdir} is of a model that is told of no text")
    texts = [_texts(prompt) for prompt in prompts]
    if len(texts) > system.prompts:
        raise UserError(f"{len(texts)} prompts, and {system.prompts} encoders to tell of them")
    texts += [texts[0]] * (system.prompts - len(texts))
    if len({len(one) for one in texts}) > 1:
        raise UserError("there must be as many prompts for each encoder")
    try:
        return system(run.encoders, texts)
    except ValueError as error:
        raise UserError(str(error)) from error


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
    rescale: float = 0.0,
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
    conditions: Mapping[str, ArrayLike] | None = None,
    height: int | None = None,
    width: int | None = None,
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
        rescale: see guidance.classifier_free.
        sampler: its name, or a sampler; None for the run's own. A name takes the time grid with
            which it is released for such models.
        steps: how many; None: as the run's config says.
        key: JAX random key; None for that of seed 0. Picture i is drawn with fold_in(key, i). Or a
            vector of keys, one for each picture.
        start: states at t_max over the standard deviation there, [batch, height, width, channels];
            drawn if None.
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
        conditions: what the model is told of its data beside the text, by the name of the field,
            for all pictures, or one for each: of what it leads away from too.
        height: of the pictures, in pixels; None: as start or the image says, else that of training.
        width: likewise.
        sizes: what a model that is told of sizes is told, in pixels; None: of the picture itself.
        negative_sizes: the same of what it leads away from; None: as sizes.

    Raises:
        UserError: the model is told of no text, or a value cannot work.
    """
    texts = _texts(prompt)
    others = [p for p in (prompt_2, prompt_3) if p is not None]
    count = len(texts)
    edits = prompt_from is not None
    if edits and (image is None or mask is not None or strength is not None):
        raise UserError("prompt_from says what an image shows: give image, and no mask or strength")
    given = pictured.given(run, count, image, mask, 1.0 if edits else strength, method, noise_level)
    pixels = _pixels(run, given, start, height, width)
    draw = editing.sampler(sampler) if edits else drawing.sampler(run, sampler, steps, pixels)
    draw = pictured.later(run, draw, given.strength)
    key = jax.random.key(0) if key is None else key
    key = key if keys.is_vector(key) else keys.of_examples(key, jnp.arange(count))
    start = _noise(run, key, start, pixels)
    asked = pictured.question(run, given, draw, start, key)
    steers = controlled.steering(run, controls, draw, pixels, count)
    interval = run.config.guidance.interval if interval is None else interval
    told_scale = run.config.guidance.scale if guidance is None else guidance
    knows = bool(getattr(run.config.model, "guidance", False))
    scale = true_guidance if knows else told_scale
    cond, null = _both(run, texts, others, negative, scale != 1)
    also = {"guidance": jnp.full(count, told_scale, jnp.float32)} if knows else {}
    also |= asked.cond | _of_data(run, conditions or {}, count)
    cond |= also | steers.cond | _sizes(run, sizes, pixels, count)
    denoise = run.denoise
    if steers.controls is not None:
        denoise = dataclasses.replace(denoise, controls=steers.controls)
        controlled.check_fits(controls, denoise, start, cond)
    x_init, spent = asked.start, 0
    if edits:
        source = cond | told(run, _as_many(prompt_from, count, "prompt_from"))
        x_init, spent = editing.inverted(denoise, run.sde, asked.known, source, draw)
    if null is not None:
        own = sizes if negative_sizes is None else negative_sizes
        null |= also | steers.null | _sizes(run, own, pixels, count)
        denoise = classifier_free(denoise, scale, null, interval=interval or None, rescale=rescale)
    if pixels != tuple(run.space.image[:2]):
        _check_size(run, start, cond)
    if run.mesh is not None:
        key, x_init, cond = split_batch(run.mesh, (key, x_init, cond))
    x, nfe = drawing.drawn(draw, run.sde, denoise, asked.task, asked.known, key, x_init, cond)
    images = given.pasted(np.asarray(_decoded(run.space, x)))
    return Generated(images, x, nfe + spent)


def _of_data(run: Run, values: Mapping[str, ArrayLike], count: int) -> Cond:
    """Values of fields of the data, [count, *shape] each."""
    told = [n for n in run.experiment.conditions if run.experiment.data[n].kind != "text"]
    found = {}
    for name, value in values.items():
        if name not in told:
            raise UserError(
                f"conditions: {name} is none of what this model is told beside texts: "
                f"{', '.join(told) or 'nothing'}"
            )
        field, array = run.experiment.data[name], np.asarray(value)
        if array.shape not in (field.shape, (count, *field.shape)):
            raise UserError(
                f"conditions: {name} is {array.shape}: give {field.shape}, or as many as pictures"
            )
        if not np.can_cast(array.dtype, field.dtype, "same_kind") and array.dtype.kind != "i":
            raise UserError(f"conditions: {name} is of {array.dtype}: give {field.dtype}")
        found[name] = jnp.broadcast_to(jnp.asarray(array, field.dtype), (count, *field.shape))
    return found


def _pixels(
    run: Run, given: Given, start: jax.Array | None, height: int | None, width: int | None
) -> tuple[int, int]:
    """(height, width) of the pictures."""
    if height is None and width is None:
        if given.size is not None:
            height, width = given.size
        elif start is not None and start.ndim == 4:
            height, width = (side * run.space.factor for side in start.shape[1:3])
    pixels = size(run, height, width)
    if given.size not in (None, pixels):
        raise UserError(
            f"the image is of {given.size[0]} x {given.size[1]} pixels, the pictures of "
            f"{pixels[0]} x {pixels[1]}: leave out height and width, or resize it"
        )
    return pixels


def _noise(run: Run, key: jax.Array, start: jax.Array | None, pixels: tuple[int, int]) -> jax.Array:
    """What pictures begin with, of deviation 1, if it is not given."""
    height, width = (side // run.space.factor for side in pixels)
    shape = (len(key), height, width, run.space.shape[-1])
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


def _texts(prompts: Prompts) -> list[str]:
    """One or several as a list."""
    found = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(found, Sequence) or not found or not all(isinstance(p, str) for p in found):
        raise UserError(f"a prompt is a text, or several are a list of texts, not {prompts!r:.60}")
    return list(found)


def _as_many(prompts: Prompts, count: int, name: str) -> list[str]:
    """One prompt as many, or as many as there are."""
    found = _texts(prompts)
    if len(found) not in (1, count):
        raise UserError(f"{count} prompts and {len(found)} {name} ones: give one, or as many")
    return found * count if len(found) == 1 else found


@jax.jit
def _decoded(space: Any, x: jax.Array) -> jax.Array:
    return jnp.clip((space.images(x) + 1) / 2, 0, 1)


def _both(
    run: Run,
    texts: Sequence[str],
    others: Sequence[Prompts],
    negative: Prompts | None,
    guided: bool,
) -> tuple[Cond, Cond | None]:
    """What is told of prompts, and of what leads away; both of equally many tokens."""
    if not guided:
        return told(run, texts, *others), None
    count = len(texts)
    away = _as_many("" if negative is None else negative, count, "negative")
    more = [[*_texts(o), *away] for o in others]
    both = told(run, [*texts, *away], *more)
    cond, null = (
        {n: part(a) for n, a in both.items()} for part in (lambda a: a[:count], lambda a: a[count:])
    )
    if negative is None and getattr(run.experiment.text, "empty_is_zero", False):
        null = jax.tree.map(jnp.zeros_like, null)
    return cond, null


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


def _sizes(
    run: Run, sizes: Sequence[float] | None, pixels: tuple[int, int], count: int
) -> dict[str, jax.Array]:
    """What a model is told of the sizes of a picture, if it is."""
    usual = usual_sizes(run.config.model, pixels)
    if not usual:
        return {}
    found = jnp.asarray(usual if sizes is None else tuple(sizes), jnp.float32)
    return {"sizes": jnp.tile(found, (count, 1))}


def usual_sizes(model: ConfigDict, pixels: tuple[int, int]) -> tuple[float, ...]:
    """What a network is told of the sizes of a picture as it is; () if it is told none.

    Args:
        model: the section `model` of its config.
        pixels: (height, width) of the picture.
    """
    height, width = pixels
    if getattr(model, "added_features", 0):
        return (height, width, 0, 0, height, width)
    return (height, width, height / width) if getattr(model, "sized", False) else ()
