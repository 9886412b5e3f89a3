"""Autoencoders through the real program: train, resume, pictures, evaluate, what is refused."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from program import called, called_command, metrics

import score_sde
import score_sde.data
from score_sde.data.__main__ import main as data_command
from score_sde.evaluation import engine
from score_sde.report import facts

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

TINY = (
    "--config=configs/emoji_autoencoder.py",
    "--config.data.name=digits",
    "--config.data.image_size=0",
    "--config.model.widths=(4,8)",
    "--config.model.groups=2",
    "--config.model.latent_channels=2",
    "--config.model.middle_attention=False",
    "--config.objective.autoencoding.adversarial=0.5",
    "--config.objective.autoencoding.adversarial_from=0",
    "--config.objective.autoencoding.discriminator_width=4",
    "--config.objective.autoencoding.discriminator_halvings=1",
    "--config.training.batch_size=8",
    "--config.training.log_every=2",
    "--config.training.eval_every=0",
    "--config.training.sample_every=4",
    "--config.training.checkpoint_every=2",
    "--config.optim.warmup=1",
    "--config.optim.decay=constant",
    "--config.sampling.num_samples=8",
    "--config.evaluation.num_examples=20",
)


@pytest.fixture(scope="module")
def arguments(data_dir):
    return (*TINY, f"--config.data.dir={data_dir}")


@pytest.fixture(scope="module")
def trained(arguments, tmp_path_factory):
    """A run of 4 steps: its folder and what it printed."""
    workdir = tmp_path_factory.mktemp("runs") / "autoencoder"
    result = called(*arguments, f"--workdir={workdir}", "--config.training.steps=4")
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout


def test_a_picture_shows_examples_before_their_reconstructions(trained):
    """Of the moving average and the mean of q(z | x)."""
    workdir, printed = trained
    assert printed.splitlines()[-1].endswith("--mode=evaluate")
    path = workdir / "samples" / "4.png"
    about = facts.about(path)
    assert facts.of_picture(about) == (
        "4 of 500 test examples of digits, each before its reconstruction; "
        "step 4, ema 0.995 weights"
    )
    run = score_sde.load_autoencoder(workdir)
    source = score_sde.data.load("digits", "test", data_dir=run.config.data.dir)
    rows = np.linspace(0, 499, 4).astype(int)
    x = source.gather(rows)["image"]
    again = run.space.decode(run.decode(run.encode(run.space.encode(jnp.asarray(x))).mean))
    pairs = np.stack([x, again], axis=1).reshape(8, *x.shape[1:])
    expected = workdir / "expected.png"
    run.space.show(expected, pairs, 8)
    np.testing.assert_array_equal(Image.open(path), Image.open(expected))


def interrupted(workdir, copy):
    """A copy of a run of 4 steps, as a kill had left it before the last of them were saved."""
    shutil.copytree(workdir, copy)
    shutil.rmtree(copy / "checkpoints" / "4")


def test_a_resumed_run_takes_the_same_steps(trained, arguments, tmp_path):
    workdir = tmp_path / "resumed"
    interrupted(trained[0], workdir)
    again = called(*arguments, f"--workdir={workdir}", "--config.training.steps=4")
    assert again.returncode == 0, again.stderr
    assert "going on from step 2" in again.stdout
    for weights in ("raw", "ema"):
        one, other = (score_sde.load_autoencoder(w, weights=weights) for w in (trained[0], workdir))
        assert one.step == other.step == 4
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
        own = {name.split("/")[1] for name in one.params if name.startswith("objective/")}
        assert own == {"log", "discriminator"}  # the scale of the likelihood is learnt with it
    assert [row["loss"] for row in metrics(workdir)] == [row["loss"] for row in metrics(trained[0])]


def test_evaluation_measures_error_and_rate(trained):
    """PSNR, MSE and KL by hand; a metric of denoisers is refused, and so are samples."""
    workdir = trained[0]
    result = called(f"--workdir={workdir}", "--mode=evaluate")
    assert result.returncode == 0, result.stderr
    entries = engine.read(workdir / "evaluation.json")
    run = score_sde.load_autoencoder(workdir)
    x = score_sde.data.load("digits", "test", data_dir=run.config.data.dir).gather(np.arange(20))
    found = run.encode(run.space.encode(jnp.asarray(x["image"])))
    again = np.asarray(run.space.decode(run.decode(found.mean)), np.float64)
    mse = np.mean(((again - x["image"]) / 255) ** 2, axis=(1, 2, 3))
    value = {name: entry["value"] for name, entry in entries.items()}
    np.testing.assert_allclose(value["reconstruction_mse"], mse.mean(), rtol=1e-5)
    np.testing.assert_allclose(value["reconstruction"], -10 * np.log10(mse).mean(), rtol=1e-5)
    np.testing.assert_allclose(value["latent_bits"], found.kl().mean() / np.log(2), rtol=1e-5)
    for more, message in (
        (("--mode=evaluate", "--config.evaluation.metrics=('bits_per_dim',)"), "holds an autoenc"),
        (("--mode=sample",), "holds an autoencoder, which draws no samples: score_sde.load_autoe"),
    ):
        result = called(f"--workdir={workdir}", *more)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)
        assert message in result.stderr


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.model.widths=(4,8,8,8,8)", "8 x 8 pixels: both sides must be multiples of 16"),
        ("--config.space.pixels.centered=False", "images must be in [-1, 1]"),
        ("--config.conditions.fields=('label',)", "this network cannot be told label"),
        ("--config.objective.name=denoising", "model.name=autoencoder does not go with this space"),
        ("--config.objective.autoencoding.scale=0", "scale=0"),
    ],
)
def test_what_cannot_be_trained_is_refused(arguments, tmp_path, argument, message):
    result = called(*arguments, f"--workdir={tmp_path / 'run'}", argument)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr


LATENT = (
    "--config=configs/emoji_latent.py",
    "--config.data.image_size=0",
    "--config.space.autoencoded.channels=2",
    "--config.space.autoencoded.factor=2",
    "--config.conditions.fields=()",
    "--config.guidance.scale=1",
    "--config.model.channels=8",
    "--config.model.channel_mult=(1,)",
    "--config.model.attn_resolutions=()",
    "--config.training.batch_size=8",
    "--config.training.log_every=2",
    "--config.training.eval_every=0",
    "--config.training.sample_every=0",
    "--config.training.checkpoint_every=2",
    "--config.optim.warmup=1",
    "--config.optim.decay=constant",
    "--config.sampling.steps=2",
    "--config.sampling.num_samples=4",
)


@pytest.fixture(scope="module")
def latent(trained, data_dir, tmp_path_factory):
    """A run of its latents, of 4 steps, as of the digits; and what trains another one."""
    workdir = tmp_path_factory.mktemp("latent") / "run"
    digits = ("--config.data.name=digits", f"--config.data.dir={data_dir}")
    arguments = (*LATENT, *digits, f"--config.space.autoencoded.autoencoder={trained[0]}")
    result = called(*arguments, f"--workdir={workdir}", "--config.training.steps=4")
    assert result.returncode == 0, result.stderr
    return workdir, arguments


def test_a_latent_run_keeps_its_autoencoder(trained, latent):
    """Of the moving average; what it measured is recorded, and states have deviation 1 by it."""
    run, of = score_sde.load(latent[0]), score_sde.load_autoencoder(trained[0])
    for name, array in run.space.part.params.items():
        np.testing.assert_array_equal(array, of.params[name])
    source = score_sde.data.load("digits", "train", data_dir=run.config.data.dir)
    images = jnp.asarray(source.gather(np.arange(len(source)))["image"])
    x = jax.jit(lambda space, images: space.encode(images, jax.random.key(0)))(run.space, images)
    assert x.shape[1:] == (4, 4, 2)
    np.testing.assert_allclose([np.mean(x), np.std(x)], [0, 1], atol=0.03)
    record = json.loads((latent[0] / "config.json").read_text())["run"]["space"]
    assert record == {name: list(run.space.states[name]) for name in ("scale", "shift")}


def test_a_latent_run_resumes_bit_for_bit_and_alone(trained, latent, tmp_path):
    """When the run of its autoencoder is gone; and it draws images."""
    workdir, arguments = tmp_path / "resumed", latent[1]
    interrupted(latent[0], workdir)
    hidden = trained[0].rename(tmp_path / "hidden")
    try:
        result = called(*arguments, f"--workdir={workdir}", "--config.training.steps=4")
        assert result.returncode == 0, result.stderr
        assert "going on from step 2" in result.stdout
        one, other = (score_sde.load(w, weights="raw") for w in (latent[0], workdir))
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
        result = called(f"--workdir={workdir}", "--mode=sample")
        assert result.returncode == 0, result.stderr
    finally:
        hidden.rename(trained[0])
    with np.load(workdir / "samples.npz") as file:
        assert (file["samples"].dtype, file["samples"].shape) == (np.uint8, (4, 8, 8, 1))


def test_videos_are_drawn_as_its_latents_frame_by_frame(trained, tmp_path):
    """It was trained on images of 8 x 8 pixels, and the frames have 16 x 16.

    Latents that are written once train the same, and draw videos when they are gone.
    """
    clips = tmp_path / "clips.npz"
    np.savez(clips, video=np.random.default_rng(0).integers(0, 256, (24, 4, 16, 16, 1), np.uint8))
    space = "--config.space.video_latents."
    kept = ("data.image_size", "autoencoded.", "conditions.fields")
    own = [word for word in LATENT[1:] if not any(part in word for part in kept)]
    own += ["--config.conditions.fields=()", "--config.model.time_heads=1"]
    own += ["--config.model.patch=1", "--config.model.time_patch=1", "--config.training.steps=2"]
    own += ["--config.training.steps_per_call=1"]
    ways = {
        "each": [
            *("--config.data.name=arrays", f"--config.data.dir={clips}"),
            *("--config.space.name=video_latents", f"{space}autoencoder={trained[0]}"),
            *(f"{space}channels=2", f"{space}factor=2"),
        ]
    }
    of = (f"--data_dir={clips}", f"--autoencoder={trained[0]}", f"--out={tmp_path / 'latents'}")
    result = called_command(data_command, "encode", "arrays", *of)
    assert result.returncode == 0, result.stderr
    assert "examples with latent of 4x8x8x4. Train on it with" in result.stdout
    ways["once"] = [word for word in result.stdout.split() if word.startswith("--config.")]
    losses = {}
    for name, way in ways.items():
        workdir = tmp_path / name
        given = ("--config=configs/digits_video.py", *own, *way, f"--workdir={workdir}")
        result = called(*given)
        assert result.returncode == 0, result.stderr
        assert score_sde.load(workdir).space.shape == (4, 8, 8, 2)
        losses[name] = [float(row["loss"]) for row in metrics(workdir)]
    np.testing.assert_allclose(losses["once"], losses["each"], rtol=2e-4)
    clips.unlink()
    shutil.rmtree(tmp_path / "latents")
    result = called(f"--workdir={tmp_path / 'once'}", "--mode=sample")
    assert result.returncode == 0, result.stderr
    with np.load(tmp_path / "once" / "samples.npz") as file:
        assert (file["samples"].dtype, file["samples"].shape) == (np.uint8, (4, 4, 16, 16, 1))
    assert (tmp_path / "once" / "samples.gif").exists()


def test_latents_that_are_written_once_train_the_same(trained, latent, data_dir, tmp_path):
    """As those that are encoded in each step; fields stay, and samples are images."""
    folder, workdir = tmp_path / "latents", tmp_path / "run"
    of = (f"--data_dir={data_dir}", f"--autoencoder={trained[0]}", f"--out={folder}")
    result = called_command(data_command, "encode", "digits", *of)
    assert result.returncode == 0, result.stderr
    assert "1,297 train, 500 test examples with latent of 4x4x4. Train on it with" in result.stdout
    for more, message in (
        (of, "latents is there already. Give another --out"),
        ((of[0], "--autoencoder=nowhere", f"--out={tmp_path / 'x'}"), "no run in nowhere"),
    ):
        refused = called_command(data_command, "encode", "digits", *more)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert message in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latents"]
    given = [word for word in result.stdout.split() if word.startswith("--config.")]
    assert f"--config.data.dir={folder}" in given
    own = [word for word in LATENT if "autoencoded" not in word]
    result = called(*own, *given, f"--workdir={workdir}", "--config.training.steps=4")
    assert result.returncode == 0, result.stderr
    ours, theirs = ([float(row["loss"]) for row in metrics(w)] for w in (workdir, latent[0]))
    np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    run, other = score_sde.load(workdir), score_sde.load(latent[0])
    np.testing.assert_allclose(run.space.states["scale"], other.space.states["scale"], rtol=1e-4)
    assert run.experiment.data["label"].values == 10
    source = score_sde.data.load("encoded", "test", data_dir=folder)
    plain = score_sde.data.load("digits", "test", data_dir=data_dir)
    rows = np.array([3, 499])
    np.testing.assert_array_equal(source.gather(rows)["label"], plain.gather(rows)["label"])
    x = (jnp.asarray(s.gather(rows)[name]) for s, name in ((source, "latent"), (plain, "image")))
    key = jax.random.key(1)
    latents, images = x
    np.testing.assert_allclose(
        run.space.encode(latents, key), other.space.encode(images, key), atol=1e-4
    )
    again = np.asarray(other.space.decode(other.space.encode(images)), int)
    assert np.abs(run.space.viewed(latents) - again).max() <= 16  # one of 17 levels
    assert np.mean(run.space.viewed(latents) == again) > 0.99
    result = called(f"--workdir={workdir}", "--mode=sample")
    assert result.returncode == 0, result.stderr
    with np.load(workdir / "samples.npz") as file:
        assert (file["samples"].dtype, file["samples"].shape) == (np.uint8, (4, 8, 8, 1))
    result = called(*own, *given, f"--workdir={tmp_path / 'x'}", "--config.space.encoded.factor=4")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "makes images 2 times as large as latents" in result.stderr


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.space.autoencoded.channels=3", "give --config.space.autoencoded.channels=2"),
        ("--config.space.autoencoded.autoencoder=", "is empty: give the folder of the run"),
        ("--config.space.autoencoded.autoencoder=nowhere", "no run in nowhere"),
    ],
)
def test_what_cannot_be_encoded_is_refused(latent, tmp_path, argument, message):
    result = called(*latent[1], f"--workdir={tmp_path / 'run'}", argument)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
    assert not (tmp_path / "run").exists()
