"""From a config to what is trained: what a network is told of how an example was augmented."""

import dataclasses

import jax
import numpy as np
import pytest
from filled import quick_jit
from made_info import image_info

from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.objectives import Objective
from score_sde.runs import build
from score_sde.runs.config import default

DIGITS = image_info("digits", "train", 100, (8, 8, 1), classes=10)
IMAGES = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), dtype=np.uint8)


class Recorder(Objective):
    """Whose loss is what it was called with."""

    def __call__(self, key, model, process, x0, cond=None, *, own=None):
        return x0, cond


def config(**fields):
    found = default("unet")
    found.model.update(channels=8, channel_mult=(1,), num_res_blocks=1, attn_resolutions=())
    found.model.early_conditions = ("augment",)
    found.space.pixels.update(augmentations=("yflip", "translate"), **fields)
    return found


def test_in_training_the_network_is_told_and_else_nothing():
    """Three numbers of each example; one that they are zero of, and all held out, is itself."""
    experiment = build.experiment(config(augmentation_probability=0.5), DIGITS)
    kernel = experiment.network.shapes[0]["early_conditions/augment/kernel"]
    assert kernel.shape == (3, 8)
    recorder = dataclasses.replace(experiment, objective=Recorder(), make=lambda *arrays: None)

    def called(step):
        loss = quick_jit(lambda key: recorder.loss(key, {}, {}, recorder.fixed, batch, step))
        return loss(jax.random.key(0))

    batch = {"image": IMAGES}
    encoded = experiment.space.encode(IMAGES)
    x0, cond = called(1)
    same = (x0 == encoded).all((1, 2, 3))
    np.testing.assert_array_equal(same, (cond["augment"] == 0).all(1))
    assert 0 < same.sum() < 64
    x0, cond = called(None)
    np.testing.assert_array_equal(x0, encoded)
    assert cond is None


def test_a_network_that_cannot_be_told_and_a_field_of_the_same_name():
    other = default("ncsnv2")
    other.space.pixels.augmentations = ("scale",)
    other.sde.name = "smld"
    with pytest.raises(UserError, match="this network cannot be told augment: use the network"):
        build.experiment(other, DIGITS)
    twice = config()
    twice.conditions.fields = ("augment",)
    info = dataclasses.replace(DIGITS, fields=(*DIGITS.fields, Field("augment", "number")))
    with pytest.raises(UserError, match="augment is what this space tells the network itself"):
        build.experiment(twice, info)


def test_pictures_that_a_network_is_told_are_flipped_with_the_example():
    """In training; and no held-out example is flipped, nor what is no picture."""
    found = config(flip=True)
    found.space.pixels.augmentations, found.model.early_conditions = (), ()
    found.conditions.fields = ("sketch", "label")
    sketch = Field("sketch", "image", (8, 8, 1), "uint8", 256)
    info = dataclasses.replace(DIGITS, fields=(*DIGITS.fields, sketch))
    experiment = dataclasses.replace(build.experiment(found, info), objective=Recorder())
    batch = {"image": IMAGES, "sketch": 255 - IMAGES, "label": np.arange(64) % 10}
    for step in (0, None):
        x0, cond = experiment.loss(jax.random.key(0), {}, {}, experiment.fixed, batch, step)
        pixels = np.round((np.asarray(x0) + 1) * 127.5)
        np.testing.assert_array_equal(cond["sketch"], 255 - pixels)
        np.testing.assert_array_equal(cond["label"], batch["label"])
        assert (pixels == IMAGES).all() == (step is None)
