"""What a model is told of prompts, of its data and of sizes: conditions by name."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from ml_collections import ConfigDict

from score_sde import prompting
from score_sde.errors import UserError
from score_sde.prompting import Skipping, System
from score_sde.runs import config as configs
from score_sde.runs.experiment import Experiment

if TYPE_CHECKING:
    from score_sde.runs.opened import Run

Prompts = str | Sequence[str]
Cond = dict[str, jax.Array]


def told(run: Run, *prompts: Prompts, skip: int | None = None) -> Cond:
    """What a network is told of prompts.

    Args:
        run: of a model that is told of texts.
        prompts: a text for each example; then, if they are to be others, those of the other
            encoders, in order.
        skip: layers of its encoders that are left out, see prompting.Skipping; None: as its config
            says.

    Raises:
        UserError: the model is told of no text, a prompt is none, or there are no such layers.
    """
    return _told(run, _skipping(run.experiment.text, skip), prompts)


def as_given(run: Run, config: ConfigDict, given: Collection[str]) -> System:
    """How a run is told of prompts, with other options of its section `text`.

    Args:
        run: of a model that is told of texts.
        config: with the options.
        given: dotted paths of the fields that have been set, others among them.

    Raises:
        UserError: they are options of another way to tell of prompts, or cannot work.
    """
    paths = [path for path in given if path.startswith("text.")]
    if not paths:
        return run.experiment.text
    if not run.experiment.text.ENCODERS:
        raise UserError(f"config.{paths[0]}: no encoder tells this model of prompts: leave it out")
    own = run.config.copy_and_resolve_references()
    for path in paths:
        configs.set_field(own, path, operator.attrgetter(path)(config))
    if own.text.name != run.config.text.name:
        raise UserError(
            f"{run.workdir} is told of prompts by config.text.name={run.config.text.name}"
        )
    try:
        return prompting.read(own.text)
    except ValueError as error:
        raise UserError(str(error)) from error


def _skipping(system: System, skip: int | None) -> System:
    if skip is None:
        return system
    if not isinstance(system, Skipping):
        raise UserError(f"clip_skip={skip} is of models that are told the tokens of CLIP encoders")
    try:
        return dataclasses.replace(system, skip=skip)
    except ValueError as error:
        raise UserError(str(error)) from error


def _told(run: Run, system: System, prompts: Sequence[Prompts]) -> Cond:
    """The same by a way to tell of prompts."""
    if not system.prompts:
        raise UserError(f"{run.workdir} is of a model that is told of no text")
    texts = [texts_of(prompt) for prompt in prompts]
    if len(texts) > system.prompts:
        raise UserError(f"{len(texts)} prompts, and {system.prompts} encoders to tell of them")
    texts += [texts[0]] * (system.prompts - len(texts))
    if len({len(one) for one in texts}) > 1:
        raise UserError("there must be as many prompts for each encoder")
    try:
        return system(run.encoders, texts)
    except ValueError as error:
        raise UserError(str(error)) from error


def both(
    run: Run,
    texts: Sequence[str],
    others: Sequence[Prompts],
    negative: Prompts | None,
    guided: bool,
    skip: int | None = None,
) -> tuple[Cond, Cond | None]:
    """What is told of prompts, and of what leads away; both of equally many tokens.

    Args:
        run: of a model that is told of texts.
        texts: the prompts.
        others: those of the other encoders, if they are to be others.
        negative: what to lead away from, one or as many, or None.
        guided: whether anything is led away from; else the second is None.
        skip: see `told`.

    Raises:
        UserError: see `told`.
    """
    if not guided:
        return told(run, texts, *others, skip=skip), None
    count = len(texts)
    away = as_many("" if negative is None else negative, count, "negative")
    more = [[*texts_of(o), *away] for o in others]
    system, every = _skipping(run.experiment.text, skip), ([*texts, *away], *more)
    found = _told(run, system, every)
    apart = found if system.leading_away == system else _told(run, system.leading_away, every)
    cond = {name: array[:count] for name, array in found.items()}
    null = {name: array[count:] for name, array in apart.items()}
    if negative is None and getattr(run.experiment.text, "empty_is_zero", False):
        null = jax.tree.map(jnp.zeros_like, null)
    return cond, null


def texts_of(prompts: Prompts) -> list[str]:
    """One or several as a list."""
    found = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(found, Sequence) or not found or not all(isinstance(p, str) for p in found):
        raise UserError(f"a prompt is a text, or several are a list of texts, not {prompts!r:.60}")
    return list(found)


def as_many(prompts: Prompts, count: int, name: str) -> list[str]:
    """One prompt as many, or as many as there are."""
    found = texts_of(prompts)
    if len(found) not in (1, count):
        raise UserError(f"{count} prompts and {len(found)} {name} ones: give one, or as many")
    return found * count if len(found) == 1 else found


def of_data(run: Run, values: Mapping[str, ArrayLike], count: int) -> Cond:
    """Values of fields of the data, [count, *shape] each.

    Args:
        run: the run.
        values: by name, for all examples, or one for each.
        count: of examples.

    Raises:
        UserError: the model is not told it, or it is of another shape or kind.
    """
    told = [n for n in run.experiment.conditions if run.experiment.data[n].kind != "text"]
    found = {}
    if not isinstance(values, Mapping):
        raise UserError(f"conditions={values!r:.60}: give values by the names of fields")
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


def sizes_of(
    run: Run,
    sizes: Sequence[float] | None,
    pixels: tuple[int, int],
    count: int,
    away: bool = False,
) -> dict[str, jax.Array]:
    """What a model is told of the sizes of a picture, if it is.

    Args:
        run: the run.
        sizes: what it is told; None: of the picture itself.
        pixels: (height, width) of the picture.
        count: of pictures.
        away: whether it is of what pictures are led away from.

    Raises:
        UserError: it is told more, or fewer.
    """
    usual = usual_sizes(run.experiment, pixels, away)
    if not usual and sizes is not None:
        raise UserError(f"sizes={tuple(sizes)}: {run.workdir} is told no sizes: leave them out")
    if not usual:
        return {}
    found = usual if sizes is None else tuple(sizes)
    if len(found) != len(usual):
        raise UserError(
            f"sizes={found}: this model is told {len(usual)} numbers, {usual} of a picture as it is"
        )
    return {"sizes": jnp.tile(jnp.asarray(found, jnp.float32), (count, 1))}


def guidance_of(experiment: Experiment, scale: float, count: int) -> Cond:
    """What a network is told of a scale of guidance, if it has learnt to be told one."""
    if not getattr(experiment.config.model, "guidance", False):
        return {}
    return {"guidance": jnp.full(count, scale, jnp.float32)}


def led_from(run: Run, sizes: Sequence[float] | None) -> Sequence[float] | None:
    """Sizes of what pictures are led away from, if none are given: theirs, but for a score."""
    text = run.experiment.text
    if sizes is None or not getattr(text, "scored", False):
        return sizes
    return (*sizes[:-1], text.negative_score)


def usual_sizes(
    experiment: Experiment, pixels: tuple[int, int] | None = None, away: bool = False
) -> tuple[float, ...]:
    """What a network is told of the sizes of a picture as it is; () if it is told none.

    Of Stable Diffusion XL the original size, where it was cut, and the size that it was cut to
    (Podell et al. 2023, arXiv 2307.01952, Section 2.2), or a score, of its refiner.

    Args:
        experiment: what its config names.
        pixels: (height, width) of the picture; None for those of the data.
        away: whether it is of what pictures are led away from.
    """
    model, text = experiment.config.model, experiment.text
    if not (getattr(model, "added_features", 0) or getattr(model, "sized", False)):
        return ()
    height, width = experiment.space.image[:2] if pixels is None else pixels
    if getattr(model, "added_features", 0):
        if getattr(text, "scored", False):
            return (height, width, 0, 0, text.negative_score if away else text.score)
        return (height, width, 0, 0, height, width)
    return (height, width, height / width)
