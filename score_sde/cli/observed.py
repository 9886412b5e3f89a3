"""--task=inpaint, colorize and superres: held-out examples of which something is known."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from score_sde.cli import held_out, masks, methods
from score_sde.cli.flags import Options
from score_sde.cli.question import Question, within
from score_sde.errors import UserError
from score_sde.fields import TOKENS
from score_sde.guidance.methods import Method
from score_sde.guidance.task import Colorize, Inpaint, Observed, Scaffold, SuperResolve
from score_sde.runs import sampling
from score_sde.runs.experiment import Experiment
from score_sde.spaces import Space


def ask(
    options: Options,
    config: ConfigDict,
    experiment: Experiment,
    number: int,
    given: Mapping[str, np.ndarray],
) -> Question:
    """The question; see questions.TASKS."""
    field, regions = experiment.field, experiment.space.REGIONS
    if not regions:
        infills = options.task == "inpaint" and experiment.space.STATES == TOKENS
        raise UserError(
            f"--task={options.task}: this model draws {field.kind.rstrip('s')}s in "
            f"config.space.name={config.space.name}, of which no part can be known"
            f"{': give --task=infill' if infills else ''}"
        )
    examples = held_out.first(config, experiment, number)
    part = None
    if options.task == "inpaint":
        part = _known(options, experiment.space, examples[field.name])
        kind = Scaffold if experiment.space.subspace.centred else Inpaint
        mask = None if len(part) > 1 else jnp.asarray(part)
        task = kind(mask, method=methods.chosen(options, experiment))
    else:
        task = _observing(options, methods.chosen(options, experiment), field.shape)
    given = within(examples[field.name], part)
    states = experiment.space.encode(jnp.asarray(given[:1]))
    sampler = task.sampler(experiment.sampler, states)
    sampling.check_sampler(sampler, experiment.sde, experiment.objective.TRAINS)
    return Question(
        task,
        {name: examples[name] for name in experiment.conditions},
        field.name,
        examples[field.name],
        options.task,
        12,
        _observed(task, experiment.space, given),
        part,
        options.method,
        None if sampler is experiment.sampler else sampler,
    )


def _known(options: Options, space: Space, examples: np.ndarray) -> np.ndarray:
    """Where examples are known, bool of as many axes, of which a part is to be drawn.

    Raises:
        UserError: there is no such part, or it is all or nothing.
    """
    sides = examples.shape[1:-1]
    flag = f"--keep={options.keep}" if options.keep else f"--mask={options.mask}"
    there = space.there(examples)
    there = there.reshape(*there.shape, *(1 for _ in sides))
    if options.keep:
        known = np.zeros_like(there)
        known[:, held_out.kept(options.keep)] = True
        known &= there
    elif options.mask in space.REGIONS:
        known = ~space.region(options.mask, examples) & there
    else:
        known = masks.known(options.mask, *sides, regions=space.REGIONS)
    if not known.any() or not (there & ~known).any():
        what = "nothing" if not known.any() else "everything"
        raise UserError(f"{flag} knows {what} of {'x'.join(map(str, sides))}")
    return known


def _observing(options: Options, method: Method, shape: tuple[int, ...]) -> Observed:
    """The task about images, or videos, of a shape."""
    *sides, channels = shape
    if len(sides) < 2:
        raise UserError(f"--task={options.task} is of images, and this model draws none")
    height, width = sides[-2:]
    if options.task == "superres":
        if options.factor < 2 or height % options.factor or width % options.factor:
            raise UserError(
                f"--factor={options.factor}: give a number of at least 2 that divides the height "
                f"and the width of the images, {height} and {width}"
            )
        return SuperResolve(options.factor, method=method)
    if channels != 3:
        raise UserError(f"--task=colorize needs images with 3 channels; these have {channels}")
    return Colorize(method=method)


def _observed(task: Observed, space: Space, examples: np.ndarray) -> np.ndarray:
    """What is known of examples, and what shows nothing for the rest; of their shape."""
    known = task.observation(space.encode(jnp.asarray(examples)))
    return np.asarray(space.decode(known.finish(space.neutral(jnp.asarray(examples)))))
