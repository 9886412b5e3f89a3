"""Motion of a released U-Net (AnimateDiff): golden videos, and what does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from components import relative
from filled import quick_jit

from score_sde.interop.components import base, folder, motion
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow


def frames_last(video):
    """[batch, channels, frames, height, width] as ours."""
    return jnp.asarray(video.transpose(0, 2, 3, 4, 1))


@pytest.fixture(scope="module")
def unet(shared):
    """Its config, and a function of it with motion."""
    latent = shared / "golden" / "latent"
    unet = folder.config(latent / "pipelines" / "sd15" / "unet")
    config = motion.joined(unet, folder.config(latent / "motion_adapter"))
    arrays = folder.arrays(latent / "pipelines" / "sd15" / "unet")
    arrays |= folder.arrays(latent / "motion_adapter")
    component = motion.COMPONENT
    _, placed = base.place(component, config, arrays)
    network = functional(lambda rngs: component.make(**component.options(config), rngs=rngs))
    apply = quick_jit(network.apply)

    def run(*args):
        with jax.default_matmul_precision("highest"):
            return apply(*placed, *args)

    return run


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden" / "latent" / "golden" / "animatediff.npz")


def test_numbers_with_motion_and_without(unet, golden):
    """A video; and its frames as images, which motion does not concern."""
    x, text = frames_last(golden["sample_ncfhw"]), golden["encoder_hidden_states"]
    time = golden["timestep"].astype(np.float32)
    found = unet(x, time, {"text": text})
    assert relative(found, frames_last(golden["unet_out"])) < 3e-5
    frames = x.shape[1]
    alone = unet(x[0], np.repeat(time, frames), {"text": np.repeat(text, frames, axis=0)})
    expected = frames_last(golden["unet_out_without_motion_ncfhw"])
    assert relative(alone, expected[0]) < 3e-5
    with pytest.raises(ValueError, match="17 frames, and this network knows at most 16"):
        unet(jnp.zeros((1, 17, *x.shape[2:])), time, {"text": text})


def test_an_adapter_of_another_unet_is_refused(shared):
    """By the sizes of both."""
    latent = shared / "golden" / "latent"
    adapter = folder.config(latent / "motion_adapter")
    other = folder.config(latent / "pipelines" / "sdxl" / "unet")
    with pytest.raises(ValueError, match="which this one has not"):
        motion.COMPONENT.options(motion.joined(other, adapter))
    with pytest.raises(ValueError, match="needs a MotionAdapter"):
        motion.joined(other, other)
    with pytest.raises(ValueError, match="give its folder as --motion"):
        motion.COMPONENT.options(adapter)
