"""From the flags of `--mode=sample` to a task, its inputs, and what its picture shows."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from score_sde import images
from score_sde.checks import check_name
from score_sde.cli import conditions
from score_sde.cli.defined import OBSERVED
from score_sde.cli.flags import Options
from score_sde.data import SplitError
from score_sde.data.base import Examples
from score_sde.errors import UserError
from score_sde.guidance.methods import METHODS, Method
from score_sde.guidance.task import Colorize, Guided, Infill, Inpaint, Observed, SuperResolve, Task
from score_sde.processes import MASK
from score_sde.runs import folder, sampling, sources
from score_sde.runs.experiment import Experiment
from score_sde.runs.generate import borrowed
from score_sde.samplers.sample import Sampler
from score_sde.spaces import Pixels, Space

Regions = Mapping[str, tuple[slice, ...]]
_WHO = "the model"


@dataclasses.dataclass(frozen=True)
class Question:
    """A task and what it is asked about.

    Attributes:
        task: the task.
        cond: conditions, on the host, [number, ...] each; those that are asked for.
        field: the name of the field that is modelled.
        known: examples that the task is about, [number, *shape of the field], or None.
            Without `observed`, what is known of them.
        name: of the files with the answer.
        columns: examples a row of the picture; None for as square as possible.
        observed: what is known of these examples, of their shape, or None.
        method: how what is known is used, in a word; empty if nothing is.
        sampler: what draws, if it is not the run's.
    """

    task: Task
    cond: dict[str, np.ndarray]
    field: str
    known: np.ndarray | None = None
    name: str = "samples"
    columns: int | None = None
    observed: np.ndarray | None = None
    method: str = ""
    sampler: Sampler | None = None

    def drawn_by(self, sampler: str) -> str:
        """What draws, in words: the run's sampler, of this name, by the method; or the method."""
        return self.method if self.sampler else ", ".join(filter(None, (sampler, self.method)))

    def arrays(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of the file with the answer, from the samples, [number, ...]."""
        arrays = {"samples": samples, **self.cond}
        if self.known is not None:
            arrays |= {self.field: self.known}
        if self.observed is not None:
            arrays |= {"observed": self.observed}
        return arrays

    def picture(self, samples: np.ndarray, most: int) -> np.ndarray:
        """What its picture shows: what is known, the sample and the truth, or samples only.

        Args:
            samples: [number, ...].
            most: at most so many examples, but for a row of them, which is whole.
        """
        if self.observed is not None:
            threes = np.stack([self.observed, samples, self.known], axis=1)
            samples = threes.reshape(-1, *samples.shape[1:])
        columns = self.columns or 1
        return samples[: max(1, most // columns) * columns]

    def examples(self, shown: np.ndarray) -> int:
        """Of how many examples a picture is, from what it shows."""
        return len(shown) // (1 if self.observed is None else 3)

    def identity(self, options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
        """What determines the answer, beside the model: the flags, and arrays by name."""
        words = {**dataclasses.asdict(options), "conditions": dict(options.conditions)}
        leaves = {f"task {n}": leaf for n, leaf in enumerate(jax.tree.leaves(self.task))}
        known = {} if self.known is None else {"known": self.known}
        return words, {**leaves, **self.cond, **known}


def ask(options: Options, config: ConfigDict, experiment: Experiment, number: int) -> Question:
    """Make the question.

    Args:
        options: what the flags say.
        config: where the section `data` says where examples are.
        experiment: of the model that is asked.
        number: how many examples.

    Raises:
        UserError: the model, the classifier or the data cannot answer it.
    """
    if experiment.sampler.JUMPS and (options.task in OBSERVED or options.classifier is not None):
        raise UserError(
            "config.sampling.sampler=jump takes a path in one step, and what is asked bends it on "
            "the way: give --config.sampling.sampler=dpmpp_2m, of a model that is a denoiser too"
        )
    given = {
        name: np.repeat(conditions.value(experiment, name, text)[None], number, axis=0)
        for name, text in options.conditions.items()
    }
    if options.task == "class":
        question = _class(options, experiment, number)
    elif options.task == "infill":
        question = _infill(options, config, experiment, number)
    elif options.task in OBSERVED:
        question = _held_out(options, config, experiment, number)
    else:
        question = Question(Task(), {}, experiment.field.name)
    twice = sorted(given.keys() & question.cond.keys())
    if twice and options.label is not None:
        raise UserError(f"--condition={twice[0]}=... and --label={options.label}: give one of them")
    training = functools.partial(sources.matching, config, "train", experiment, _WHO)
    missing = set(experiment.conditions) - question.cond.keys() - given.keys()
    found = borrowed(experiment, training, number, config.sampling.seed) if missing else {}
    return dataclasses.replace(question, cond={**found, **question.cond, **given})


def _class(options: Options, experiment: Experiment, number: int) -> Question:
    labels = [n for n in experiment.conditions if experiment.data[n].kind == "label"]
    if options.classifier is None:
        if not labels:
            raise UserError(
                "--task=class: this model does not know classes. Train a classifier, such as "
                "configs/digits_classifier.py, and give its folder as --classifier=DIR"
            )
        task, field = Task(), experiment.data[labels[0]]
    else:
        guide = folder.load_classifier(options.classifier)
        _check_guide(options.classifier, guide.experiment, experiment)
        field = guide.label
        task = Guided(guide.log_prob, options.scale, field.name, field.name in labels)
    if options.label is not None and not 0 <= options.label < field.values:
        raise UserError(
            f"--label={options.label}: {experiment.data.name} has labels 0 to {field.values - 1}"
        )
    if options.label is None:
        classes, columns = np.arange(number) % field.values, field.values
    else:
        classes, columns = np.full(number, options.label), None
    cond = {field.name: classes.astype(field.dtype)}
    return Question(task, cond, experiment.field.name, name="class", columns=columns)


def _check_guide(path: str, guide: Experiment, experiment: Experiment) -> None:
    """Raise UserError unless a classifier knows the noisy examples of a model."""
    label = guide.objective.field
    ours = experiment.data[label].values if label in experiment.data else None
    facts = [
        (e.sde, e.space.shape, classes, e.space.states)
        for e, classes in ((guide, guide.data[label].values), (experiment, ours))
    ]
    for theirs, mine in zip(*facts, strict=True):
        if theirs != mine:
            raise UserError(
                f"--classifier={path} was trained for {theirs}, the model for {mine}: "
                "train a classifier with the model's config.sde, config.space and config.data"
            )
    if differs := guide.data[label].differs(experiment.data[label]):
        theirs, mine = differs
        raise UserError(f"--classifier={path} was trained on {theirs}, the model on {mine}")


def _infill(options: Options, config: ConfigDict, experiment: Experiment, number: int) -> Question:
    field = experiment.field
    if field.kind != "tokens":
        raise UserError(f"--task=infill is of tokens, and this model draws {field.kind}s")
    if options.keep:
        kept = np.zeros(field.shape, bool)
        kept[_places(options.keep)] = True
        examples = _first_held_out(config, experiment, number)
        cond = {name: examples[name] for name in experiment.conditions}
        known = examples[field.name].astype(np.int32)
        observed = np.where(kept, known, MASK)
        return Question(Infill(kept), cond, field.name, known, "infill", 3, observed)
    try:
        row = experiment.space.partly(options.text)
    except ValueError as error:
        raise UserError(f"--text={options.text!r:.80}: {error}") from error
    known = np.repeat(row[None], number, axis=0)
    return Question(Infill(row != MASK), {}, field.name, known, "infill")


def _places(text: str) -> slice:
    found = re.fullmatch(r"(\d{0,9}):(\d{0,9})(?::([1-9]\d{0,8})?)?", text)
    if found is None:
        raise UserError(f"--keep={text!r:.80}: give START:STOP or START:STOP:STEP, as 0::4")
    return slice(*(int(part) if part else None for part in found.groups()))


def _first_held_out(config: ConfigDict, experiment: Experiment, number: int) -> Examples:
    """The first so many held-out examples; of training where there are none."""
    try:
        source = sources.matching(config, "test", experiment, _WHO)
    except SplitError:
        source = sources.matching(config, "train", experiment, _WHO)
    if number > len(source):
        raise UserError(
            f"--num_samples={number}: there are {len(source)} {source.info.split} "
            f"{experiment.field.kind.rstrip('s')}s"
        )
    return source.gather(np.arange(number))


def _held_out(
    options: Options, config: ConfigDict, experiment: Experiment, number: int
) -> Question:
    field, regions = experiment.field, experiment.space.REGIONS
    if not regions:
        raise UserError(
            f"--task={options.task} is of images, and this model draws {field.kind.rstrip('s')}s"
        )
    task = _observing(options, _method(options, experiment), field.shape, regions)
    examples = _first_held_out(config, experiment, number)
    states = experiment.space.encode(jnp.asarray(examples[field.name][:1]))
    sampler = task.sampler(experiment.sampler, states)
    sampling.check_sampler(sampler, experiment.sde, experiment.objective.TRAINS)
    return Question(
        task,
        {name: examples[name] for name in experiment.conditions},
        field.name,
        examples[field.name],
        options.task,
        12,
        _observed(task, experiment.space, examples[field.name]),
        options.method,
        None if sampler is experiment.sampler else sampler,
    )


def _method(options: Options, experiment: Experiment) -> Method:
    """How what is known is used, with what its options say."""
    if options.method == "gibbs":
        return METHODS["gibbs"](options.sweeps)
    if options.method != "dps":
        return METHODS[options.method]()
    steps = experiment.sampler.pieces(experiment.sde)
    if steps == 1:
        raise UserError(
            "--method=dps goes a certain way in each step of a sampler, and this one is solved for "
            "in one piece: give --config.sampling.sampler=ddim, for example, or --method=pigdm"
        )
    return METHODS["dps"](steps)


def _observing(
    options: Options, method: Method, shape: tuple[int, ...], regions: Regions
) -> Observed:
    """The task about images, or videos, of a shape."""
    *sides, channels = shape
    height, width = sides[-2:]
    if options.task == "inpaint":
        return Inpaint(jnp.asarray(mask(options.mask, *sides, regions=regions)), method=method)
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


def mask(name: str, *sides: int, regions: Regions = Pixels.REGIONS) -> np.ndarray:
    """True where pixels are known, [1, *sides, 1], or 1 in the place of a side but the last two.

    Args:
        name: the part that is not known; or a PNG file of the last two sides, white, or 1 if all
            are 0 or 1, where pixels are known.
        sides: height and width of an image in pixels; frames before them.
        regions: the parts that there are; see Space.REGIONS.

    Raises:
        UserError: there is no such part or file, or it is of another size, or knows no pixel.
    """
    if name in regions:
        known = np.ones(sides, bool)
        part = zip(regions[name], sides, strict=False)
        known[tuple(slice(s.start * n // 8, s.stop * n // 8) for s, n in part)] = False
        if not known.any():
            raise UserError(f"--mask={name} knows nothing of {'x'.join(map(str, sides))} pixels")
        return known[None, ..., None]
    if not Path(name).is_file():
        try:
            check_name("--mask", name, regions)
        except ValueError as error:
            raise UserError(f"{error}, or a PNG file") from error
    known = _mask_file(Path(name), *sides[-2:])
    return known.reshape(1, *(1 for _ in sides[:-2]), *known.shape[1:])


def _mask_file(path: Path, height: int, width: int) -> np.ndarray:
    """See `mask`. Nothing is known where an image is transparent; 0 and 1 are black and white."""
    try:
        values = np.asarray(images.read(path, f"--mask={path}", images.BLACK).convert("L"))
    except images.ImageError as error:
        raise UserError(f"{error}: give a PNG file, white where pixels are known") from error
    if values.shape != (height, width):
        raise UserError(
            f"--mask={path} is {values.shape[1]}x{values.shape[0]}, the images {width}x{height}"
        )
    known = values > (0 if values.max() <= 1 else 127)
    if not known.any():
        raise UserError(
            f"--mask={path} knows no pixel: its values are {values.min()} to {values.max()}, and "
            "pixels of at least 128, white, are known"
        )
    return known[None, :, :, None]


def _observed(task: Observed, space: Space, examples: np.ndarray) -> np.ndarray:
    """What is known of examples, and what shows nothing for the rest; of their shape."""
    known = task.observation(space.encode(jnp.asarray(examples)))
    return np.asarray(space.decode(known.finish(space.neutral(jnp.asarray(examples)))))
