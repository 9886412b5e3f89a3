"""A variational diffusion model, through the command line: trained, measured, refused."""

import json

import numpy as np
import program
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

SMALL = (
    "--config=configs/digits_vdm.py",
    "--config.model.channels=4",
    "--config.model.channel_mult=(1,)",
    "--config.model.num_res_blocks=1",
    "--config.model.attn_resolutions=()",
    "--config.training.steps=4",
    "--config.training.steps_per_call=4",
    "--config.training.log_every=4",
    "--config.training.checkpoint_every=4",
    "--config.training.batch_size=8",
    "--config.training.eval_every=0",
    "--config.training.sample_every=0",
    "--config.evaluation.num_examples=8",
    "--config.evaluation.continuous_bound.draws=4",
)


def test_it_is_trained_and_measured(tmp_path):
    """The loss is in bits/dim, near that of a network that knows nothing; so is the measure."""
    workdir = f"--workdir={tmp_path / 'run'}"
    done = program.called(*SMALL, workdir)
    assert done.returncode == 0, done.stderr
    rows = np.genfromtxt(tmp_path / "run" / "metrics.csv", delimiter=",", names=True)
    assert 5 < rows["loss"] < 20
    done = program.called(*SMALL, workdir, "--mode=evaluate")
    assert done.returncode == 0, done.stderr
    entries = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert 5 < entries["continuous_bound"]["value"] < 20


def test_discrete_levels_have_another_objective(tmp_path):
    workdir = f"--workdir={tmp_path / 'run'}"
    done = program.called(*SMALL, workdir, "--config.sde.name=ddpm")
    assert done.returncode == 2
    assert (
        "config.objective: the variational bound is of continuous time: use the sde vp"
        in done.stderr
    )
    assert done.stderr.count("\n") == 1
