"""Masked words, through the command line: trained, measured, drawn, refused."""

import json

import jax
import numpy as np
import program
import pytest

import score_sde
from score_sde.runs.generate import Generator
from score_sde.training.sharding import make_mesh

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

SMALL = (
    "--config=configs/words_masked.py",
    "--config.model.channels=8",
    "--config.model.depth=1",
    "--config.model.heads=1",
    "--config.training.steps=4",
    "--config.training.steps_per_call=4",
    "--config.training.log_every=4",
    "--config.training.checkpoint_every=4",
    "--config.training.batch_size=8",
    "--config.training.eval_every=4",
    "--config.training.sample_every=4",
    "--config.evaluation.batch_size=4",
    "--config.evaluation.token_bound.draws=2",
    "--config.sampling.num_samples=6",
)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "list"
    path.write_text("".join(f"wo{a}{b}\n" for a in "abcdefgh" for b in "vwxyz"))
    return f"--config.data.dir={path}"


@pytest.fixture(scope="module")
def trained(words, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "words"
    done = program.called(*SMALL, words, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


def test_it_is_trained_and_measured(trained, words):
    """The loss is in nats a token, near that of a network that knows nothing; so is the measure."""
    rows = np.genfromtxt(trained / "metrics.csv", delimiter=",", names=True)
    assert 2 < np.atleast_1d(rows["loss"])[0] < 5  # log 27 is 3.3
    assert (trained / "samples" / "4.png").exists()
    done = program.called(*SMALL, words, f"--workdir={trained}", "--mode=evaluate")
    assert done.returncode == 0, done.stderr
    entries = json.loads((trained / "evaluation.json").read_text())
    assert 3 < entries["bits_per_token"]["value"] < 7
    assert entries["bits_per_example"]["value"] > 13 * 3


@pytest.mark.parametrize("sampler", ["unmasking", "ordered", "remasking", "blocks"])
def test_it_is_drawn(trained, sampler, tmp_path):
    """By each sampler, as tokens and a picture; first_hitting drew that of the training."""
    out, name = tmp_path / "drawn", f"--config.sampling.sampler={sampler}"
    asked = ("--mode=sample", name, "--config.sampling.steps=3", f"--out={out}")
    done = program.called(f"--workdir={trained}", *asked, "--num_samples=5")
    assert done.returncode == 0, done.stderr
    with np.load(f"{out}.npz") as arrays:
        samples = arrays["samples"]
    assert samples.shape == (5, 13)
    assert ((samples >= 0) & (samples < 27)).all()
    assert (tmp_path / "drawn.png").exists()


def test_what_draws_tokens_is_compiled_once(trained):
    """The first piece, of no steps, stands for all that come: their time holds no compilation."""
    run = score_sde.load(trained)
    generator = Generator(run.experiment, make_mesh(), batch_size=2)
    generator(run.params, run.constants, jax.random.key(0), 4)
    assert run.experiment.sampler.pieces(run.sde) > 1
    assert generator._advance._cache_size() == 1


def test_it_is_filled_in(trained, tmp_path):
    """What is given stays, the end too; the file says what that was."""
    asked = ("--mode=sample", "--task=infill", "--text=w_v\\n", f"--out={tmp_path / 'drawn'}")
    done = program.called(f"--workdir={trained}", *asked, "--num_samples=5")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "drawn.npz") as arrays:
        samples, given = arrays["samples"], arrays["tokens"]
    assert given.tolist() == [[23, -1, 22, 0] + [-1] * 9] * 5
    np.testing.assert_array_equal(samples[:, [0, 2, 3]], given[:, [0, 2, 3]])
    assert (samples >= 0).all()
    assert len(set(samples[:, 1].tolist())) > 1


def test_places_of_held_out_examples_are_kept(trained, words, tmp_path):
    """Every second token of the first test examples; their file has what was hidden too."""
    asked = ("--mode=sample", "--task=infill", "--keep=1::2", f"--out={tmp_path / 'drawn'}")
    done = program.called(f"--workdir={trained}", words, *asked, "--num_samples=3")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "drawn.npz") as arrays:
        samples, truth, seen = (arrays[name] for name in ("samples", "tokens", "observed"))
    assert (truth >= 0).all()
    np.testing.assert_array_equal(seen[:, 1::2], truth[:, 1::2])
    assert (seen[:, ::2] == -1).all()
    np.testing.assert_array_equal(samples[:, 1::2], truth[:, 1::2])
    assert (samples != truth).any()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--mode=sample", "--task=infill", "--keep=a"], "give START:STOP or START:STOP:STEP"),
        (["--mode=sample", "--task=infill"], "--text=TEXT"),
        (["--mode=sample", "--text=a"], "--text goes with --mode=sample --task=infill"),
        (["--mode=sample", "--task=infill", "--text=A"], "no token begins with 'A'"),
        (
            ["--mode=sample", "--out=drawn", "--config.sampling.sampler=ddim"],
            "the sampler DDIM draws numbers",
        ),
        (["--mode=evaluate", "--config.evaluation.metrics=('bits_per_dim',)"], "token predictor"),
        (["--mode=sample", "--task=inpaint", "--mask=left"], "can be known: give --task=infill\n"),
    ],
)
def test_what_is_of_numbers_is_refused(trained, words, flags, said):
    done = program.called(f"--workdir={trained}", words, *flags)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
