"""A model of images of four pixels that draws them exactly, and statistics of what they are of."""

import jax
import jax.numpy as jnp
import numpy as np
from made_subject import made_source, subject_of

import score_sde
from score_sde import fields, keys
from score_sde.evaluation.moments import moments
from score_sde.evaluation.reference import Reference
from score_sde.spaces import Pixels

FIELD = fields.image((2, 2, 1))
SPACE = Pixels.of(FIELD)
REAL = np.random.default_rng(0).normal(0.5, 0.1, (120, 4)).astype(np.float32)
REFERENCE = Reference(*moments(REAL), len(REAL), REAL, {"extractor": "pixels", "split": "train"})


def training(values=REAL):
    """The real images themselves."""
    images = np.round(values * 255).clip(0, 255).astype(np.uint8).reshape(-1, 2, 2, 1)
    return made_source({"image": images}, [FIELD], split="train")


def subject(folder, batch_size=32, sampling_seed=0, **changes):
    """It draws pixels N(0, 0.2^2), which are N(0.5, 0.1^2) / 255, each image from its own key."""

    def draw(batch_size, number, first, on_progress):
        for start in range(first, number, batch_size):
            each = keys.of_examples(jax.random.key(sampling_seed), start + jnp.arange(batch_size))
            x = 0.2 * keys.normal(each, (batch_size, 2, 2, 1), jnp.float32)
            yield np.asarray(SPACE.decode(x))[: number - start], 30

    sampling = {"sampler": {"name": "Made"}, "run_seed": 0, "sampling_seed": sampling_seed}
    told = {"draw": draw, "sampling": sampling, "training": training}
    return subject_of(
        folder, score_sde.VP(), None, SPACE, training(), batch_size=batch_size, **(told | changes)
    )
