"""An image is a function of its number: the same for any batch size and any number of devices."""

import numpy as np
import pytest

pytestmark = pytest.mark.slow

CODE = """
import dataclasses
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType
from score_sde import analytic
from score_sde.runs import build, config as configs
from made_info import image_info
from score_sde.runs.generate import Generator
from score_sde.prediction import Prediction
from score_sde.processes import expand
from score_sde.training.sharding import AXES, replicated

config = configs.default()
config.conditions.fields = ("label",)
config.sampling.predictor_corrector.corrector, config.sampling.steps = "ald", 22
experiment = build.experiment(config, image_info("digits", "train", 10, (8, 8, 1), 10, 17))
sde = experiment.sde

def denoiser(params, constants):
    exact = analytic.gaussian_mixture(sde, params["means"], np.full(3, 0.3), np.ones(3) / 3)

    def denoise(x, t, cond):  # a class moves the data by label / 10
        shift = expand(cond["label"] / 10, x)
        pair = exact(x - expand(sde.alpha(t), x) * shift, t)
        return Prediction(pair.x0 + shift, pair.eps)

    return denoise

experiment = dataclasses.replace(experiment, make=denoiser)
means = {"means": jax.random.uniform(jax.random.key(0), (3, 8, 8, 1), minval=-1)}

def draw(devices, batch_size):
    mesh = jax.make_mesh(
        (devices, 1, 1), AXES, (AxisType.Auto,) * 3, devices=jax.devices()[:devices]
    )
    generator = Generator(experiment, mesh, batch_size)
    params = jax.device_put(means, replicated(mesh))
    return generator(params, {}, jax.random.key(1), 10)[0]

np.savez(PATH, four=draw(1, 4), seven=draw(1, 7), eight_devices=draw(8, 8))
"""


@pytest.fixture(scope="module")
def images(eight_devices, tmp_path_factory):
    """Ten images from batches of 4 and 7 on one device, and of 8 on eight devices."""
    path = tmp_path_factory.mktemp("images") / "images.npz"
    eight_devices.execute(CODE.replace("PATH", repr(str(path))), "images")
    with np.load(path) as file:
        return dict(file)


def test_images_do_not_depend_on_batch_size_or_devices(images):
    """Equal, but for float32 rounding, which may move a pixel by a level (16 of 255) here."""
    four, seven, eight_devices = (drawn.astype(int) for drawn in images.values())
    assert four.shape == (10, 8, 8, 1)
    assert np.abs(np.diff(four, axis=0)).mean() > 10  # images that differ
    for other in (seven, eight_devices):
        assert np.abs(four - other).max() <= 16
        assert (four != other).mean() < 0.01
