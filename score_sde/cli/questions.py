"""From the flags of `--mode=sample` to a task, its inputs, and what its picture shows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from score_sde import images
from score_sde.checks import check_name
from score_sde.cli import conditions, motifs, redrawn
from score_sde.cli.defined import OBSERVED
from score_sde.cli.flags import Options
from score_sde.data import Source, SplitError
from score_sde.data.base import Examples, Info
from score_sde.errors import UserError
from score_sde.guidance.methods import METHODS, Method
from score_sde.guidance.task import (
    Colorize,
    Guided,
    Infill,
    Inpaint,
    Observed,
    Redraw,
    Scaffold,
    SuperResolve,
    Task,
)
from score_sde.processes import MASK
from score_sde.runs import folder, sampling, sources
from score_sde.runs.experiment import Experiment
from score_sde.runs.generate import at_random, borrowed
from score_sde.samplers.sample import Sampler
from score_sde.spaces import Pixels, Space, parts

Regions = Mapping[str, tuple[slice, ...]]
_WHO = "the model"
_TEXT = "text"  # what encoders are asked of
_PAIRED = 8  # columns of samples with real examples
HEADS = ("what is known", "drawn", "as it was")
REAL = "real"
ANEW = ("predicted", "drawn", "real")


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
        part: where examples are known of which a part is, bool [1 or number, ...]; else None.
        method: how what is known is used, in a word; empty if nothing is.
        sampler: what draws, if it is not the run's.
        text: what encoders tell the model of, or "".
        encoded: what they tell it, [number, ...] each.
        real: examples that said what the samples are told, as they are shown, or None.
        predicted: examples that are drawn anew, of the shape of `known`, or None; `known` is then
            what they are predictions of, if that is known.
    """

    task: Task
    cond: dict[str, np.ndarray]
    field: str
    known: np.ndarray | None = None
    name: str = "samples"
    columns: int | None = None
    observed: np.ndarray | None = None
    part: np.ndarray | None = None
    method: str = ""
    sampler: Sampler | None = None
    text: str = ""
    encoded: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    real: np.ndarray | None = None
    predicted: np.ndarray | None = None

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
        if self.predicted is not None:
            arrays |= {"predicted": self.predicted}
        return arrays

    @property
    def given(self) -> np.ndarray | None:
        """The examples that the model is asked about, of which the task knows what is known."""
        return _given(self.known, self.part) if self.predicted is None else self.predicted

    def fit(self, space: Space, samples: np.ndarray) -> dict[str, np.ndarray]:
        """How well samples go with the part that was known; see Space.fit."""
        return {} if self.part is None else space.fit(samples, self.known, self.part)

    def picture(self, samples: np.ndarray, most: int) -> np.ndarray:
        """What its picture shows: what was given, the sample and the truth; or samples.

        Those stand beside real examples, if there are some.

        Args:
            samples: [number, ...].
            most: at most so many examples, but for a row of them, which is whole.
        """
        if self.heads:
            before = self.observed if self.predicted is None else self.predicted
            rows = [before, samples, self.known][: len(self.heads)]
            samples = np.stack(rows, axis=1).reshape(-1, *samples.shape[1:])
        elif self.real is not None:
            samples = np.stack([samples, self.real], axis=1).reshape(-1, *samples.shape[1:])
        columns = self.columns or 1
        return samples[: max(1, most // columns) * columns]

    def examples(self, shown: np.ndarray) -> int:
        """Of how many examples a picture is, from what it shows."""
        if self.real is not None:
            return len(shown) // 2
        return len(shown) // (len(self.heads) or 1)

    def titles(self, shown: np.ndarray, captions: Sequence[str]) -> list[str]:
        """What stands above what a picture shows.

        Args:
            shown: as of `picture`.
            captions: of each example, or none.
        """
        count = self.examples(shown)
        if self.real is not None:
            asked = captions or count * [""]
            return [title for text in asked[:count] for title in (text, REAL)]
        return [*self.heads] * count if self.heads else [*captions[:count]]

    @property
    def heads(self) -> tuple[str, ...]:
        """What the examples of a row of its picture are; () where they are samples all."""
        if self.predicted is not None and self.columns:
            return ANEW if self.known is not None else ANEW[:2]
        return () if self.observed is None else HEADS

    def captions(self, data: Info) -> list[str]:
        """What was asked for of each example, in words; or none, if nothing was.

        Args:
            data: the fields that conditions are of.
        """
        asked = [conditions.words(data[name], of) for name, of in self.cond.items()]
        if self.encoded:
            asked = [[self.text] * len(next(iter(self.encoded.values()))), *asked]
        return list(map(", ".join, zip(*filter(None, asked), strict=True)))

    def identity(self, options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
        """What determines the answer, beside the model: the flags, and arrays by name."""
        words = {**dataclasses.asdict(options), "conditions": dict(options.conditions)}
        leaves = {f"task {n}": leaf for n, leaf in enumerate(jax.tree.leaves(self.task))}
        examples = {"known": self.known, "predicted": self.predicted, "real": self.real}
        beside = {name: array for name, array in examples.items() if array is not None}
        return words, {**leaves, **self.cond, **beside}


def number(options: Options, asked: int | None, config: ConfigDict, experiment: Experiment) -> int:
    """How many examples: as many as are asked for, or are to be drawn anew, or as the config says.

    Raises:
        UserError: the file of predictions cannot be read, or has fewer.
    """
    if options.predictions:
        return redrawn.number(options.predictions, asked, experiment)
    return config.sampling.num_samples if asked is None else asked


def ask(
    options: Options,
    config: ConfigDict,
    experiment: Experiment,
    number: int,
    texts: Callable[[str], Mapping[str, Any]] | None = None,
) -> Question:
    """Make the question.

    Args:
        options: what the flags say.
        config: where the section `data` says where examples are.
        experiment: of the model that is asked.
        number: how many examples.
        texts: what tells the model of a text by encoders; None for none.

    Raises:
        UserError: the model, the classifier or the data cannot answer it.
    """
    if experiment.sampler.JUMPS and (options.task in OBSERVED or options.classifier is not None):
        raise UserError(
            "config.sampling.sampler=jump takes a path in one step, and what is asked bends it on "
            "the way: give --config.sampling.sampler=dpmpp_2m, of a model that is a denoiser too"
        )
    said = dict(options.conditions)
    text = said.pop(_TEXT, "") if texts else ""
    given = {
        name: np.repeat(conditions.value(experiment, name, value)[None], number, axis=0)
        for name, value in said.items()
    }
    if options.task == "class":
        question = _class(options, experiment, number)
    elif options.task == "infill":
        question = _infill(options, config, experiment, number)
    elif options.task == "motif":
        question = _motif(options, experiment, number)
    elif options.task == "shallow":
        question = _shallow(options, config, experiment, number, given)
    elif options.task in OBSERVED:
        question = _held_out(options, config, experiment, number)
    else:
        question = Question(Task(), {}, experiment.field.name)
    twice = sorted(given.keys() & question.cond.keys())
    if twice and options.label is not None:
        raise UserError(f"--condition={twice[0]}=... and --label={options.label}: give one of them")
    split = config.sampling.told_of
    lenders = functools.partial(sources.matching, config, split, experiment, _WHO)
    missing = set(experiment.conditions) - question.cond.keys() - given.keys()
    if config.sampling.beside:
        question = _beside(question, given, experiment, lenders, number, config.sampling.seed)
    elif missing:
        found = borrowed(experiment, lenders, number, config.sampling.seed)
        question = dataclasses.replace(question, cond={**found, **question.cond})
    asked = dataclasses.replace(question, cond={**question.cond, **given})
    if texts:
        told = {name: np.repeat(np.asarray(a), number, axis=0) for name, a in texts(text).items()}
        asked = dataclasses.replace(asked, text=text, encoded=told)
    _check_room(asked, experiment)
    return asked


def _beside(
    question: Question,
    given: Mapping[str, np.ndarray],
    experiment: Experiment,
    lenders: Callable[[], Source],
    number: int,
    seed: int,
) -> Question:
    """The question of samples that are told what some examples are, which stand beside them.

    Raises:
        UserError: something else says what they are told, or nothing does.
    """
    something = any(array is not None for array in (question.known, question.predicted))
    if given or question.cond or something or not experiment.conditions:
        raise UserError(
            "config.sampling.beside=True is of samples that are told what examples of the data "
            "are: leave out --task and --condition, of a model that is told something"
        )
    found = at_random(lenders(), number, seed)
    real = np.asarray(experiment.space.viewed(found[experiment.field.name]))
    cond = {name: found[name] for name in experiment.conditions}
    return dataclasses.replace(question, cond=cond, real=real, columns=_PAIRED)


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
        kept[motifs.kept(options.keep)] = True
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


def _motif(options: Options, experiment: Experiment, number: int) -> Question:
    known, part = motifs.read(options.motif, options.at, experiment, number)
    task = Scaffold(jnp.asarray(part), method=_method(options, experiment))
    return Question(
        task, {}, experiment.field.name, known, "motif", part=part, method=options.method
    )


def _shallow(
    options: Options,
    config: ConfigDict,
    experiment: Experiment,
    number: int,
    given: Mapping[str, np.ndarray],
) -> Question:
    found = redrawn.read(options, config.sampling, experiment, number, given)
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


def _check_room(question: Question, experiment: Experiment) -> None:
    """Raise UserError if examples are smaller than what is known of them says."""
    if question.part is None or not experiment.space.subspace.conditions:
        return
    shape = (len(question.known), *experiment.space.shape)
    there = experiment.space.subspace.there(jax.ShapeDtypeStruct(shape, np.float32), question.cond)
    known = question.part.reshape(*question.part.shape[:2], -1).any(axis=-1)
    if (over := known & ~np.asarray(there)).any():
        (size,) = experiment.space.subspace.conditions
        least = 1 + int(np.nonzero(over.any(axis=0))[0].max())
        raise UserError(
            f"--task={question.name}: {least} are asked for, and samples that are told {size} have "
            f"less: give --condition={size}=N of at least {least}"
        )


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
    examples = _first_held_out(config, experiment, number)
    part = None
    if options.task == "inpaint":
        part = _known(options, experiment.space, examples[field.name])
        kind = Scaffold if experiment.space.subspace.centred else Inpaint
        mask = None if len(part) > 1 else jnp.asarray(part)
        task = kind(mask, method=_method(options, experiment))
    else:
        task = _observing(options, _method(options, experiment), field.shape)
    given = _given(examples[field.name], part)
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


def _method(options: Options, experiment: Experiment) -> Method:
    """How what is known is used, with what its options say."""
    if options.method == "gibbs" and experiment.space.subspace.centred:
        raise UserError("--method=gibbs is not for sets without a centre of mass: take another")
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
        known[:, motifs.kept(options.keep)] = True
        known &= there
    elif options.mask in space.REGIONS:
        known = ~space.region(options.mask, examples) & there
    else:
        known = mask(options.mask, *sides, regions=space.REGIONS)
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
        known = ~parts.region(regions[name], sides)
        if not known.any():
            raise UserError(f"--mask={name} knows nothing of {'x'.join(map(str, sides))} pixels")
        return known[None, ..., None]
    if not Path(name).is_file() or len(sides) < 2:
        try:
            check_name("--mask", name, regions)
        except ValueError as error:
            more = ", or a PNG file" if len(sides) > 1 else ", or --keep=START:STOP"
            raise UserError(f"{error}{more}") from error
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


def _given(examples: np.ndarray | None, part: np.ndarray | None) -> np.ndarray | None:
    """Examples with zeros where they are not known, if another part of each is; see Scaffold."""
    return examples if part is None or len(part) == 1 else np.where(part, examples, 0)


def _observed(task: Observed, space: Space, examples: np.ndarray) -> np.ndarray:
    """What is known of examples, and what shows nothing for the rest; of their shape."""
    known = task.observation(space.encode(jnp.asarray(examples)))
    return np.asarray(space.decode(known.finish(space.neutral(jnp.asarray(examples)))))
