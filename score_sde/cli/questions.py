"""From the flags of `--mode=sample` to a task, its inputs, and what its picture shows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from score_sde.checks import check_name
from score_sde.cli.flags import Options
from score_sde.data import SplitError
from score_sde.errors import UserError
from score_sde.folder.build import Experiment
from score_sde.guidance.task import Colorize, Guided, Inpaint, Observed, Task
from score_sde.runs import build, folder

# Each names the part that is drawn, as rows and columns in eighths of the image.
_UNKNOWN = {
    "left": (slice(0, 8), slice(0, 4)),
    "right": (slice(0, 8), slice(4, 8)),
    "top": (slice(0, 4), slice(0, 8)),
    "bottom": (slice(4, 8), slice(0, 8)),
    "center": (slice(2, 6), slice(2, 6)),
}


@dataclasses.dataclass(frozen=True)
class Question:
    """A task and what it is asked about.

    Attributes:
        task: the task.
        inputs: of each image, on the host: "image" as uint8 [number, H, W, C], "label" as int32
            [number]; those that the task needs.
        name: of the files with the answer.
        columns: images a row of the picture; None for as square as possible.
        observed: what is known of the images in the inputs, uint8 [number, H, W, C], or None.
    """

    task: Task
    inputs: dict[str, np.ndarray]
    name: str = "samples"
    columns: int | None = None
    observed: np.ndarray | None = None

    def arrays(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of the file with the answer, from the samples, uint8 [number, H, W, C]."""
        arrays = {"samples": samples, **self.inputs}
        return arrays if self.observed is None else {**arrays, "observed": self.observed}

    def picture(self, samples: np.ndarray) -> np.ndarray:
        """The images of its picture: what is known, the sample and the truth, or samples only."""
        if self.observed is not None:
            threes = np.stack([self.observed, samples, self.inputs["image"]], axis=1)
            samples = threes.reshape(-1, *samples.shape[1:])
        columns = self.columns or 1
        return samples[: max(1, 256 // columns) * columns]  # whole rows


def ask(options: Options, config: ConfigDict, experiment: Experiment, number: int) -> Question:
    """Make the question.

    Args:
        options: what the flags say.
        config: where the section `data` says where the held-out images are.
        experiment: of the model that is asked.
        number: how many images.

    Raises:
        UserError: the model, the classifier or the data cannot answer it.
    """
    if options.task == "class":
        return _class(options, experiment, number)
    if options.task in ("inpaint", "colorize"):
        return _held_out(options, config, experiment, number)
    return Question(Task(), {})


def _class(options: Options, experiment: Experiment, number: int) -> Question:
    data = experiment.data
    if options.classifier is None and not experiment.conditional:
        raise UserError(
            "--task=class: this model does not know classes. Train a classifier, such as "
            "configs/digits_classifier.py, and give its folder as --classifier=DIR"
        )
    if options.label is not None and not 0 <= options.label < data.num_classes:
        raise UserError(
            f"--label={options.label}: {data.name} has labels 0 to {data.num_classes - 1}"
        )
    if options.classifier is None:
        task = Task()
    else:
        guide = folder.load_classifier(options.classifier)
        _check_guide(options.classifier, guide.experiment, experiment)
        task = Guided(guide.log_prob, options.scale, experiment.conditional)
    if options.label is None:
        labels, columns = np.arange(number) % data.num_classes, data.num_classes
    else:
        labels, columns = np.full(number, options.label), None
    return Question(task, {"label": labels.astype(np.int32)}, "class", columns)


def _check_guide(folder: str, guide: Experiment, experiment: Experiment) -> None:
    """Raise UserError unless a classifier knows the noisy images of a model."""
    facts = [
        (
            e.sde,
            e.data.shape,
            e.data.num_classes,
            "values from -1 to 1" if e.centered else "values from 0 to 1",
        )
        for e in (guide, experiment)
    ]
    for theirs, ours in zip(*facts, strict=True):
        if theirs != ours:
            raise UserError(
                f"--classifier={folder} was trained for {theirs}, the model for {ours}: "
                "train a classifier with the model's config.sde and config.data"
            )


def _held_out(
    options: Options, config: ConfigDict, experiment: Experiment, number: int
) -> Question:
    height, width, channels = experiment.data.shape
    if options.task == "inpaint":
        task = Inpaint(jnp.asarray(mask(options.mask, height, width)))
    elif channels == 3:
        task = Colorize()
    else:
        raise UserError(f"--task=colorize needs images with 3 channels; these have {channels}")
    try:
        source = build.source(config, "test")
    except SplitError:
        source = build.source(config, "train")
    if number > len(source):
        raise UserError(
            f"--num_samples={number}: there are {len(source)} {source.info.split} images"
        )
    if source.info.shape != experiment.data.shape:
        raise UserError(
            f"the images of {source.info.name} are {source.info.shape}, the model's "
            f"{experiment.data.shape}: set config.data.image_size"
        )
    inputs = source.gather(np.arange(number))
    if not experiment.conditional:
        del inputs["label"]
    observed = _observed(task, experiment, inputs["image"])
    return Question(task, inputs, options.task, 12, observed)


def mask(name: str, height: int, width: int) -> np.ndarray:
    """True where pixels are known, [1, height, width, 1].

    Args:
        name: left, right, top, bottom or center, the part that is not known; or a PNG file of this
            size, white where pixels are known.
        height: in pixels.
        width: in pixels.

    Raises:
        UserError: there is no such mask or file, or it is of another size.
    """
    if name in _UNKNOWN:
        known = np.ones((height, width), bool)
        rows, columns = _UNKNOWN[name]
        known[
            rows.start * height // 8 : rows.stop * height // 8,
            columns.start * width // 8 : columns.stop * width // 8,
        ] = False
        return known[None, :, :, None]
    if not Path(name).is_file():
        try:
            check_name("--mask", name, _UNKNOWN)
        except ValueError as error:
            raise UserError(f"{error}, or a PNG file") from error
    return _mask_file(Path(name), height, width)


def _mask_file(path: Path, height: int, width: int) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            known = np.asarray(image.convert("L")) >= 128
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"--mask={path} is not an image") from error
    if known.shape != (height, width):
        raise UserError(
            f"--mask={path} is {known.shape[1]}x{known.shape[0]}, the images {width}x{height}"
        )
    return known[None, :, :, None]


def _observed(task: Observed, experiment: Experiment, images: np.ndarray) -> np.ndarray:
    """What is known of images, and gray for the rest; uint8 [number, H, W, C] both."""
    gray = experiment.from_images(jnp.full_like(images, 128))
    known = task.observation(experiment.from_images(jnp.asarray(images)))
    return np.asarray(experiment.to_images(known.finish(gray)))
