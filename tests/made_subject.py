"""A subject of evaluation that needs no network and no files: made-up images, an exact model."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from score_sde.data import Info, Source
from score_sde.evaluation.subject import Subject
from score_sde.training.sharding import make_mesh


def made_subject(folder, sde, denoise, level, levels, batch_size=4, tiled=False, seed=0):
    """A subject, and what it is told.

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
    info = Info("made", "test", len(images), images.shape[1:], 0, levels)
    experiment = SimpleNamespace(
        denoiser=lambda params, constants: denoise,
        data=info,
        centered=True,
        dequantized=tiled,
        conditional=False,
    )
    run = SimpleNamespace(
        workdir=folder,
        step=7,
        sde=sde,
        experiment=experiment,
        params={"w": jnp.ones(3)},
        constants={},
        weights="ema 0.9",
        config=SimpleNamespace(model=SimpleNamespace(dtype="float32")),
    )
    source = Source(info, lambda rows: (images[rows], np.full(len(rows), -1, np.int32)))
    said = []
    what = Subject(
        run, source, len(images), make_mesh(), batch_size, seed, said.append, lambda: source
    )
    return what, said
