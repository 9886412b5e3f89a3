"""A study: what a folder's sweep.py describes."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from score_sde.errors import UserError
from score_sde.sweep.grid import Point
from score_sde.sweep.program import TRAIN, Program

Labels = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number of a row.

    Attributes:
        name: its heading.
        path: where it is in the evaluation, with dots: "fid", "digits.frechet_ratio".
        digits: decimals to print.
        published: what the published number beside it is; the same if empty.
    """

    name: str
    path: str
    digits: int = 2
    published: str = ""


@dataclasses.dataclass(frozen=True)
class Best:
    """A table of the best value along an axis, in place of one line for each value.

    Attributes:
        axis: the axis to choose from.
        metric: the name of the metric that is to be smallest.
    """

    axis: str
    metric: str


@dataclasses.dataclass(frozen=True)
class Plot:
    """A picture, results/NAME.png, with a curve for each combination of the other axes.

    Attributes:
        name: of the file.
        x: name of a metric.
        y: name of a metric.
        along: the axis whose values make up a curve.
        log_x: whether its scale is logarithmic.
        log_y: whether its scale is logarithmic.
        levels: values of y to compare with, by what they are; horizontal lines.
        only: what is drawn: labels by the names of their axes, all of an axis that is not there.
            Of several, what one of them allows; of none, everything.
    """

    name: str
    x: str
    y: str
    along: str
    log_x: bool = False
    log_y: bool = False
    levels: Mapping[str, float] = dataclasses.field(default_factory=dict)
    only: Sequence[Mapping[str, Sequence[str]]] = ()


@dataclasses.dataclass(frozen=True)
class Study:
    """What to run, what to measure and what others measured.

    Attributes:
        title: of its table.
        points: its settings; all have the same axes.
        evaluate: the programs that measure a trained run, before those of the point.
        metrics: the numbers wanted.
        base: changes that all points share; the point's own win.
        note: what a reader of the table must know, a sentence or more.
        seed_fields: the fields that differ between repetitions. These repeat the measurement of one
            trained run; with the field "seed" the training is repeated too.
        seeds: its values; standard errors are over them.
        published: for the labels of a point, the published number of each metric as printed there.
            With `best`, for the labels but that axis, the published best value of it.
        best: see Best.
        plots: see Plot.
        train: the programs that train, but for points that have their own.
    """

    title: str
    points: Sequence[Point]
    evaluate: Sequence[Program]
    metrics: Sequence[Metric]
    base: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    note: str = ""
    seed_fields: Labels = ("sampling.seed", "evaluation.seed")
    seeds: Sequence[int] = (0,)
    published: Mapping[Labels, Labels] = dataclasses.field(default_factory=dict)
    best: Best | None = None
    plots: Sequence[Plot] = ()
    train: Sequence[Program] = (TRAIN,)

    def __post_init__(self) -> None:
        if not self.points or not self.seeds or not self.metrics:
            raise UserError("a study needs points, seeds and metrics")
        for label in (label for labels in self.labels for label in labels):
            if not isinstance(label, str):
                raise UserError(f"the label {label!r} of a point must be text: {str(label)!r}")
        of_points = [program for p in self.points for program in (*p.train, *p.programs)]
        for program in (*self.train, *self.evaluate, *of_points):
            if not isinstance(program, Program):
                raise UserError(f"train and evaluate list programs such as SAMPLE, not {program!r}")
        if any(point.labels.keys() != self.points[0].labels.keys() for point in self.points):
            raise UserError("all points of a study must have the same axes")
        if len(set(self.labels)) < len(self.points):
            raise UserError("two points of a study have the same labels")
        for what, named in (("metrics", self.metrics), ("plots", self.plots)):
            if len({one.name for one in named}) < len(named):
                raise UserError(f"two {what} of a study have the same name")
        names = {metric.name for metric in self.metrics}
        asked = {name for plot in self.plots for name in (plot.x, plot.y)}
        if self.best:
            asked.add(self.best.metric)
        for name in sorted(asked - names):
            raise UserError(f"no metric {name!r} in this study: it has {', '.join(sorted(names))}")
        for axis in [plot.along for plot in self.plots] + ([self.best.axis] if self.best else []):
            if axis not in self.axes:
                raise UserError(f"no axis {axis!r} in this study: it has {', '.join(self.axes)}")
        known = {self.group(point) for point in self.points}
        for labels, numbers in self.published.items():
            if labels not in known:
                raise UserError(f"published numbers of {' | '.join(labels)}, which is no point")
            if len(numbers) != (1 if self.best else len(self.metrics)):
                raise UserError(f"published numbers of {' | '.join(labels)}: one for each metric")

    @property
    def axes(self) -> Labels:
        """The names of the axes."""
        return tuple(self.points[0].labels)

    @property
    def labels(self) -> list[Labels]:
        """The labels of each point."""
        return [tuple(point.labels.values()) for point in self.points]

    @property
    def about(self) -> str:
        """What its numbers are of: its note, and the seeds that repeat them."""
        seeds = f"Seed{'s' * (len(self.seeds) > 1)} {', '.join(map(str, self.seeds))}."
        return f"{self.note} {seeds}".strip()

    def group(self, point: Point) -> Labels:
        """The labels of a point's line in the table: all but the axis that `best` chooses from."""
        chosen = self.best.axis if self.best else None
        return tuple(label for axis, label in point.labels.items() if axis != chosen)


def load(folder: Path, smoke: bool = False) -> Study:
    """The study of a folder: what `study()`, or `smoke()`, of its sweep.py returns.

    Raises:
        UserError: there is none, or its sweep.py has a mistake.
    """
    path = Path(folder) / "sweep.py"
    if not path.is_file():
        raise UserError(f"no {path}: name the folder of a study, such as experiments/table1")
    root = str(root_of(path.parent))
    if root not in sys.path:
        sys.path.insert(0, root)  # its recipes import one another as configs.NAME
    name = "smoke" if smoke else "study"
    try:
        spec = importlib.util.spec_from_file_location(f"sweep_of_{path.parent.name}", path)
        assert spec is not None, path  # it ends in .py
        assert spec.loader is not None, path
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found = getattr(module, name)()
    except UserError:
        raise
    except Exception as error:  # it is a program: anything can happen in it
        raise mistake(error, path) from error
    if not isinstance(found, Study):
        raise UserError(f"{path}: {name}() must return a score_sde.sweep.Study")
    return found


def mistake(error: Exception, path: Path) -> UserError:
    """What went wrong in a file of Python, in one line with its place."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    line = f":{frames[-1].lineno}" if frames else ""
    message = " ".join(str(error).split())
    return UserError(f"{path}{line}: {type(error).__name__}: {message}")


def root_of(folder: Path) -> Path:
    """Where its commands run: the nearest folder above it with a main.py, or the current one."""
    for parent in Path(folder).resolve().parents:
        if (parent / "main.py").is_file():
            return parent
    return Path.cwd()
