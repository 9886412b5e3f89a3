"""A model that learns its variance, through the command line: trained, drawn from, refused."""

import jax
import numpy as np
import program
import pytest
from flax import nnx
from untrained import untrained_run

from score_sde.cli import flags
from score_sde.models.unet import UNet

pytestmark = pytest.mark.slow

SMALL = (
    "--config=configs/toy_moons.py",
    "--config.model.channels=16",
    "--config.model.depth=1",
    "--config.sde.name=ddpm",
    "--config.sde.schedule=cosine",
    "--config.sde.scales=50",
    "--config.objective.denoising.times=discrete",
    "--config.training.steps=4",
    "--config.training.steps_per_call=4",
    "--config.training.log_every=4",
    "--config.training.checkpoint_every=4",
    "--config.training.batch_size=16",
    "--config.training.eval_every=0",
    "--config.training.sample_every=0",
    "--config.sampling.num_samples=8",
    "--config.sampling.batch_size=8",
    "--config.sampling.steps=5",
)
LEARNT = "--config.objective.denoising.learned_variance=True"
SAMPLE = ("--mode=sample", "--config.sampling.sampler=improved_ddpm")


def test_it_is_trained_and_drawn_from(tmp_path):
    workdir = f"--workdir={tmp_path / 'run'}"
    done = program.called(*SMALL, LEARNT, workdir)
    assert done.returncode == 0, done.stderr
    done = program.called(*SMALL, LEARNT, workdir, *SAMPLE)
    assert done.returncode == 0, done.stderr
    samples = np.load(tmp_path / "run" / "samples.npz")["samples"]
    assert samples.shape == (8, 2)
    assert np.isfinite(samples).all()


def test_one_that_does_not_learn_it_has_another_sampler(tmp_path):
    folder = untrained_run(tmp_path / "run", flags.parse(["main.py", *SMALL]).config)
    done = program.called(*SMALL, f"--workdir={folder}", *SAMPLE)
    assert done.returncode == 2
    assert "the network has 2 output channels: a learned variance takes 4" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_unet_has_twice_the_channels():
    network = nnx.eval_shape(
        lambda: UNet(
            shape=(8, 8, 3), channels=8, channel_mult=(1,), num_res_blocks=1,
            attn_resolutions=(), learn_variance=True, rngs=nnx.Rngs(0),
        )
    )  # fmt: skip
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), np.float32)
    out = jax.eval_shape(
        lambda n, x, t: n(x, t), network, x, jax.ShapeDtypeStruct((2,), np.float32)
    )
    assert out.shape == (2, 8, 8, 6)
    with pytest.raises(ValueError, match="a learned variance goes with scale_by_sigma=False and"):
        UNet(progressive_output="output_skip", learn_variance=True, rngs=nnx.Rngs(0))
