"""Subjects of evaluation that need no network and no files: made-up examples, exact models."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from score_sde import fields
from score_sde.data import Info, Source
from score_sde.evaluation.subject import Subject
from score_sde.objectives import DENOISER
from score_sde.spaces import Pixels
from score_sde.training.sharding import make_mesh


def made_source(arrays, described, split="test", log_density=None):
    """A source of arrays, which are not copied.

    Args:
        arrays: [n, ...] by the names of their fields.
        described: a Field for each.
        split: of the set "made".
        log_density: see Source.
    """
    info = Info("made", split, len(arrays[described[0].name]), tuple(described))

    def read(rows):
        return {field.name: arrays[field.name][rows] for field in described}

    return Source(info, read, log_density=log_density)


def subject_of(folder, sde, model, space, source, *, batch_size=4, seed=0, **changes):
    """A subject, and what it is told.

    Args:
        folder: of the run.
        sde: the process.
        model: the denoiser or classifier.
        space: its space.
        source: the examples, of which it models the first field.
        batch_size: of the evaluation.
        seed: of the evaluation.
        **changes: other attributes of the subject.
    """
    said = []

    def draw(batch_size, number, first, on_progress):
        raise AssertionError("nothing is to be drawn")

    what = Subject(
        workdir=folder,
        sde=sde,
        space=space,
        make=lambda params, constants: model,
        trains=DENOISER,
        params={"w": jnp.ones(3)},
        constants={},
        conditions=(),
        identity={
            "step": 7,
            "weights": "ema 0.9",
            "precision": "float32",
            "versions": {"score_sde": "1", "jax": "2"},
        },
        draw=draw,
        asked=lambda number: {},
        sampling={"sampler": {"name": "Made"}, "run_seed": 0, "sampling_seed": 0},
        coupling="",
        source=source,
        field=source.info.fields[0].name,
        label="",
        number=changes.pop("number", len(source)),
        mesh=make_mesh(),
        batch_size=batch_size,
        seed=seed,
        say=said.append,
        training=lambda: source,
    )
    return dataclasses.replace(what, **changes), said


def made_subject(folder, sde, denoise, level, levels, batch_size=4, tiled=False, seed=0):
    """A subject of images, and what it is told.

    Args:
        folder: of the run.
        sde: the process.
        denoise: the model.
        level: the levels of all images, [n, H, W, C].
        levels: how many there are.
        batch_size: of the evaluation.
        tiled: whether the model was trained on dequantised data.
        seed: of the evaluation.
    """
    images = np.round(level * (255 / (levels - 1))).astype(np.uint8)
    field = fields.image(images.shape[1:], levels)
    space = Pixels.of(field, dequantize=tiled)
    source = made_source({"image": images}, [field])
    return subject_of(folder, sde, denoise, space, source, batch_size=batch_size, seed=seed)
