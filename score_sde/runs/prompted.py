"""Pictures of prompts: what a model that is told of texts is asked for, from Python."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from score_sde import keys, records
from score_sde.errors import UserError
from score_sde.guidance import classifier_free
from score_sde.runs import build, kept, schedulers
from score_sde.runs import config as configs
from score_sde.samplers import Sampler

if TYPE_CHECKING:
    from score_sde.runs.folder import Run

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
    if not system.ENCODERS:
        raise UserError(f"{run.workdir} is of a model that is told of no text")
    texts = [_texts(prompt) for prompt in prompts]
    if len(texts) > system.ENCODERS:
        raise UserError(f"{len(texts)} prompts, and {system.ENCODERS} encoders to tell of them")
    texts += [texts[0]] * (system.ENCODERS - len(texts))
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
    true_guidance: float = 1.0,
    rescale: float = 0.0,
    sampler: str | Sampler | None = None,
    steps: int | None = None,
    key: jax.Array | None = None,
    start: jax.Array | None = None,
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
        true_guidance: of such a model, the scale of guidance that it is led by besides.
        rescale: see guidance.classifier_free.
        sampler: its name, or a sampler; None for the run's own. A name takes the time grid with
            which it is released for such models.
        steps: how many; None: as the run's config says.
        key: JAX random key; None for that of seed 0. Picture i is drawn with fold_in(key, i). Or a
            vector of keys, one for each picture.
        start: states at t_max over the standard deviation there, [batch, height, width, channels];
            drawn if None.
        height: of the pictures, in pixels; None: as start says, else that of training.
        width: likewise.
        sizes: what a model that is told of sizes is told, in pixels; None: of the picture itself.
        negative_sizes: the same of what it leads away from; None: as sizes.

    Raises:
        UserError: the model is told of no text, or a value cannot work.
    """
    asked = run.config.guidance.scale if guidance is None else guidance
    knows = bool(getattr(run.config.model, "guidance", False))
    scale = true_guidance if knows else asked
    texts = _texts(prompt)
    others = [p for p in (prompt_2, prompt_3) if p is not None]
    count = len(texts)
    if start is not None and start.ndim == 4 and height is None and width is None:
        height, width = (side * run.space.factor for side in start.shape[1:3])
    pixels = size(run, height, width)
    draw = _sampler(run, sampler, steps, pixels)
    cond, null = _both(run, texts, others, negative, scale != 1)
    given = {"guidance": jnp.full(count, asked, jnp.float32)} if knows else {}
    cond |= given | _sizes(run, sizes, pixels, count)
    if null is not None:
        own = sizes if negative_sizes is None else negative_sizes
        null |= given | _sizes(run, own, pixels, count)
    denoise = run.denoise
    if null is not None:
        denoise = classifier_free(denoise, scale, null, rescale=rescale)
    key = jax.random.key(0) if key is None else key
    if not keys.is_vector(key):
        key = keys.of_examples(key, jnp.arange(count))
    shape = (count, *(side // run.space.factor for side in pixels), run.space.shape[-1])
    if start is None:
        start = keys.normal(keys.fold_in(key, _START), shape, jnp.float32)
    elif start.shape != shape:
        raise UserError(f"start is {start.shape}; these pictures begin with {shape}")
    x_init = _scaled(run, draw, start)
    out = draw(key, denoise, run.sde, x_init=x_init, cond=cond)
    return Generated(np.asarray(_decoded(run.space, out.x)), out.x, int(out.nfe))


def _texts(prompts: Prompts) -> list[str]:
    """One or several as a list."""
    found = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(found, Sequence) or not found or not all(isinstance(p, str) for p in found):
        raise UserError(f"a prompt is a text, or several are a list of texts, not {prompts!r:.60}")
    return list(found)


@jax.jit
def _decoded(space: Any, x: jax.Array) -> jax.Array:
    return jnp.clip((space.images(x) + 1) / 2, 0, 1)


def _scaled(run: Run, draw: Sampler, start: jax.Array) -> jax.Array:
    """The state with which a sampler begins."""
    released = _released(run)
    scale = run.sde.prior_std
    if released is not None:
        scale *= schedulers.first(released, draw, run.sde)
    return start * jnp.asarray(scale, start.dtype)


def _sampler(
    run: Run, sampler: str | Sampler | None, steps: int | None, pixels: tuple[int, int]
) -> Sampler:
    """What draws."""
    if isinstance(sampler, Sampler):
        return sampler
    config = run.config.copy_and_resolve_references()
    given = {"sampling.sampler": sampler, "sampling.steps": steps}
    given = {path: value for path, value in given.items() if value is not None}
    try:
        for path, value in given.items():
            configs.set_field(config, path, value)
        return asked(run, config, given, pixels)
    except ValueError as error:
        raise UserError(str(error)) from error


def asked(run: Run, config: ConfigDict, given: Collection[str], pixels: tuple[int, int]) -> Sampler:
    """What a config has a run drawn by.

    Another sampler than the run's takes the time grid with which it is released for such models,
    but for what is given.

    Args:
        run: the run.
        config: its own, with other values.
        given: dotted paths of the fields that have been set.
        pixels: (height, width) of the pictures.

    Raises:
        UserError: there is no such sampler, or an option cannot work.
    """
    released, config = _released(run), config.copy_and_resolve_references()
    if released is not None and "sampling.sampler" in given:
        usual = schedulers.of_sampler(released, config.sampling.sampler)
        for path, value in usual.items():
            if path not in given or path == "sampling.sampler":
                configs.set_field(config, path, value)
    if released is not None and released.get("use_dynamic_shifting"):
        sides = [side // run.space.factor // config.model.patch for side in pixels]
        if "sampling.shift" not in given:
            config.sampling.shift = schedulers.dynamic_shift(released, math.prod(sides))
    found = build.sampler(config.sampling)
    build.check_sampler(found, run.sde, run.experiment.objective.TRAINS)
    return found


def _released(run: Run) -> Mapping[str, Any] | None:
    """The scheduler that an imported run was released with; None of another run."""
    path = run.workdir / kept.FOLDER / schedulers.FILE
    try:
        return records.read(path)
    except ValueError as error:
        raise UserError(f"{path} {error}") from error


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
    away = [""] * count if negative is None else negative
    away = [away] * count if isinstance(away, str) else _texts(away)
    if len(away) not in (1, count):
        raise UserError(f"{count} prompts and {len(away)} negative ones: give one, or as many")
    away = away * count if len(away) == 1 else away
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
    height, width = pixels
    model = run.config.model
    if getattr(model, "added_features", 0):
        usual = (height, width, 0, 0, height, width)
    elif getattr(model, "sized", False):
        usual = (height, width, height / width)
    else:
        return {}
    found = jnp.asarray(usual if sizes is None else tuple(sizes), jnp.float32)
    return {"sizes": jnp.tile(found, (count, 1))}
