"""--task=shallow: examples of a file, which something else predicted, that are drawn anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from score_sde.cli.conditions import check_sizes
from score_sde.cli.flags import Options
from score_sde.cli.question import Question
from score_sde.data import Source, arrays
from score_sde.errors import UserError
from score_sde.fields import NUMBERS, Field
from score_sde.formats import npz
from score_sde.guidance import shallow
from score_sde.guidance.task import Redraw, Task
from score_sde.runs import sampling
from score_sde.runs.experiment import Experiment
from score_sde.runs.pictured import STRENGTH
from score_sde.samplers.sample import Sampler
from score_sde.spaces import Space
from score_sde.subspace import Support

_SAMPLES = "samples"  # as what is drawn is written


class Redrawn(NamedTuple):
    """What is drawn anew, and how.

    Attributes:
        predicted: the predictions, [number, *shape of the field].
        cond: what their file says that the model is told, [number, ...] each.
        real: what they are predictions of, of their shape; or None.
        sampler: the last steps of the run's sampler.
        noised: whether these are not all of them: then it begins with noised predictions.
        words: what draws, in words.
    """

    predicted: np.ndarray
    cond: dict[str, np.ndarray]
    real: np.ndarray | None
    sampler: Sampler
    noised: bool
    words: str


class Apart(NamedTuple):
    """How far predictions are from what they are predictions of; means over examples.

    Attributes:
        error: |x_0 - x~|^2 of states.
        squares: |x_0|^2.
        size: numbers of a state.
    """

    error: float
    squares: float
    size: float


def number(path: str, asked: int | None, experiment: Experiment) -> int:
    """How many predictions are drawn anew: as many as are asked for, or all of the file.

    Raises:
        UserError: it cannot be read, or has fewer.
    """
    there = len(_predictions(path, experiment))
    if asked is not None and asked > there:
        raise UserError(f"--num_samples={asked}: --from={path} has {there}")
    return there if asked is None else asked


def ask(
    options: Options,
    config: ConfigDict,
    experiment: Experiment,
    number: int,
    given: Mapping[str, np.ndarray],
) -> Question:
    """The question; see questions.TASKS."""
    found = read(options, config.sampling, experiment, number, given)
    return Question(
        Redraw(found.sampler) if found.noised else Task(),
        found.cond,
        experiment.field.name,
        found.real,
        "shallow",
        None if experiment.space.OVERLAID else 6,
        method=found.words,
        sampler=found.sampler,
        predicted=found.predicted,
    )


def read(
    options: Options,
    section: ConfigDict,
    experiment: Experiment,
    number: int,
    given: Mapping[str, np.ndarray],
) -> Redrawn:
    """Read the predictions, and find where to begin.

    Args:
        options: what the flags say.
        section: `sampling` of the config.
        experiment: of the model that draws.
        number: of predictions, at most as many as there are.
        given: what it is told besides, in place of what the file says, [number, ...] each.

    Raises:
        UserError: a file is none of such examples, or the sampler cannot begin later.
    """
    sde, whole = experiment.sde, experiment.sampler
    source = _predictions(options.predictions, experiment)
    told = [field.name for field in source.info.fields[1:]]
    if missing := [n for n in experiment.conditions if n not in told and n not in given]:
        raise UserError(
            f"--from={options.predictions} does not say {missing[0]}, which this model is told: "
            f"give --condition={missing[0]}=..., or the array {missing[0]} beside the predictions"
        )
    held = source.gather(np.arange(len(source)))
    predicted, cond = held[experiment.field.name], {name: held[name] for name in told}
    for name, values in cond.items():
        check_sizes(f"array {name!r} of --from={options.predictions}", experiment, name, values)
    real, t, said = None, None, ""
    if options.real:
        real = _real(options.real, experiment, len(source))
        sized = {n: np.resize(a, (len(source), *a.shape[1:])) for n, a in given.items()}
        found = apart(experiment.space, real, predicted, cond | sized, section.batch_size)
        nats = shallow.of_prior(sde, found.squares, found.size)
        t = shallow.boundary(sde, found.error, nats)
        said = f" (t_K = {t:.4g}: |x_0 - x~|^2 is {found.error:.4g} where |x_0|^2 is "
        said += f"{found.squares:.4g})"
    strength = STRENGTH if options.strength is None else options.strength
    try:
        later = whole.later(sde, strength) if t is None else shallow.later(whole, sde, t)
    except ValueError as error:
        flag = "--task=shallow" if options.strength is None else f"--strength={strength:g}"
        raise UserError(f"{flag}: {error}") from error
    sampling.check_sampler(later, sde, experiment.objective.TRAINS)
    noised = later.pieces(sde) < whole.pieces(sde)
    where = f"from t = {later.begins(sde):.4g}" if noised else "all steps, from noise alone"
    return Redrawn(
        predicted[:number],
        {name: array[:number] for name, array in cond.items()},
        None if real is None else real[:number],
        later,
        noised,
        f"{section.sampler}, {where}{said}",
    )


def apart(
    space: Space,
    real: np.ndarray,
    predicted: np.ndarray,
    cond: Mapping[str, np.ndarray],
    batch_size: int,
) -> Apart:
    """How far predictions are from the truth, as states; in float64.

    Args:
        space: from examples to states.
        real: examples, [n, *shape of the field].
        predicted: predictions of them, likewise.
        cond: what says which part of a state there is, if anything does, [n, ...] each.
        batch_size: examples at a time.
    """
    cond, sums = {name: cond[name] for name in space.subspace.conditions}, np.zeros(3)
    for start in range(0, len(real), batch_size):
        parts = jax.tree.map(lambda a, s=start: a[s : s + batch_size], (real, predicted, cond))
        x, other, size = map(np.asarray, _states(space, *parts))
        x, other = x.astype(np.float64), other.astype(np.float64)
        sums += np.sum((x - other) ** 2), np.sum(x**2), np.sum(np.broadcast_to(size, len(x)))
    return Apart(*(sums / len(real)).tolist())


@jax.jit
def _states(
    space: Space, real: jax.Array, predicted: jax.Array, cond: dict[str, jax.Array]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """States of examples and of predictions, and the numbers of each."""
    where = Support(space.subspace, cond)
    x, other = (where.project(space.encode(examples)) for examples in (real, predicted))
    return x, other, jnp.asarray(where.dimension(x))


def _predictions(path: str, experiment: Experiment) -> Source:
    """The predictions, the first field, and what the model is told that their file says.

    Raises:
        UserError: there are none, or the model's states cannot be noised.
    """
    if (states := experiment.sde.STATES) != NUMBERS:
        raise UserError(f"--task=shallow adds noise to numbers, and this model draws {states}")
    conditions = tuple(experiment.data[name] for name in experiment.conditions)
    names = (_SAMPLES, experiment.field.name)
    return _opened(f"--from={path}", path, names, experiment, conditions)


def _real(path: str, experiment: Experiment, number: int) -> np.ndarray:
    """So many examples, or a UserError."""
    names = (experiment.field.name, _SAMPLES)
    source = _opened(f"--real={path}", path, names, experiment, ())
    if len(source) != number:
        raise UserError(
            f"--real={path} has {len(source)} examples, and there are {number} predictions: give "
            "what each is a prediction of, in their order"
        )
    return source.gather(np.arange(number))[experiment.field.name]


def _opened(
    what: str,
    path: str,
    names: tuple[str, ...],
    experiment: Experiment,
    conditions: tuple[Field, ...],
) -> Source:
    """What a file holds of examples, the array of the first of the names that it has, and more.

    Raises:
        UserError: it is no such file, or an array is not of the shape or type of its field.
    """
    with npz.opened(Path(path), "a file of examples") as held:
        name = next((name for name in names if name in held), None)
        if name is None:
            raise UserError(
                f"{what} has no array {' or '.join(names)}, but {', '.join(held) or 'none':.80}"
            )
        told = [field for field in conditions if field.name in held]
        found = {field.name: held[field.name] for field in told}
        found[experiment.field.name] = held[name]
    fields = (experiment.field, *told)
    return arrays.source(found, name=what, split="test", fields=fields, hold_out=1)
