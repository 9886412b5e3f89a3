"""The real program: what a run leaves, what it trains on, scripts and help."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from program import called, files, metrics

import score_sde

pytestmark = pytest.mark.slow


def test_a_run_leaves_everything_there_is_to_know(finished):
    workdir, printed = finished
    config = json.loads((workdir / "config.json").read_text())
    assert config["training"]["batch_size"] == 16
    image, label = config["run"]["data"]["fields"]
    assert (image["name"], image["values"]) == ("image", 17)
    assert (label["name"], label["values"]) == ("label", 10)
    table = metrics(workdir)
    assert [int(row["step"]) for row in table] == [2, 4, 6, 8, 10, 12]
    assert all(float(row["loss"]) > 0 for row in table)
    assert [bool(row["eval_loss"]) for row in table] == [False, False, True] * 2
    assert sorted(p.name for p in (workdir / "samples").iterdir()) == ["12.png", "6.png"]
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == ["12", "8"]
    assert list((workdir / "tensorboard").glob("events.*"))
    report = (workdir / "report.html").read_text()
    assert "of 12: finished" in report
    assert "Step 12" in report
    first, *_, last = printed.splitlines()
    assert "1 x cpu" in first
    assert f"{config['run']['parameters']:,} parameters" in first
    assert "digits: 1,297 training and 500 held-out examples, image of 8x8x1" in first
    assert "| 12 steps of 16 examples |" in first
    assert str(workdir) in first
    assert last.startswith("done: 12 steps")
    assert last.endswith(f"Next: python main.py --workdir={workdir} --mode=sample")


def test_a_second_run_has_nothing_to_do(finished, small):
    workdir, _ = finished
    before = files(workdir / "checkpoints")
    result = called(*small, f"--workdir={workdir}", "--config.training.sample_every=6")
    assert result.returncode == 0, result.stderr
    assert "nothing left to train" in result.stdout
    assert files(workdir / "checkpoints") == before
    assert len(metrics(workdir)) == 6


def test_cifar_trains_on_real_images(shared, tmp_path, quick_compile):
    """The recipe at reduced size; the full network is measured in the config's docstring."""
    result = called(
        "--config=configs/cifar_ve.py",
        f"--config.data.dir={shared / 'data' / 'tfds'}",
        f"--workdir={tmp_path / 'cifar'}",
        "--config.model.channels=8",
        "--config.model.channel_mult=(1,)",
        "--config.model.num_res_blocks=1",
        "--config.model.attn_resolutions=()",
        "--config.training.batch_size=4",
        "--config.training.steps=2",
    )
    assert result.returncode == 0, result.stderr
    assert "cifar10: 49,927 training and 9,980 held-out examples, image of 32x32x3" in result.stdout
    assert score_sde.load(tmp_path / "cifar").step == 2


def test_classes_folders_and_low_precision_train(small, tmp_path, quick_compile):
    """One run that turns on what the others leave off, on a folder of images of odd sizes."""
    for index in range(40):
        pixels = np.random.RandomState(index).randint(0, 255, (9 + index % 3, 12, 3))
        path = tmp_path / "images" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    arguments = (
        *(a for a in small if not a.startswith("--config.data.dir")),
        f"--workdir={tmp_path / 'run'}",
        "--config.data.name=folder",
        f"--config.data.dir={tmp_path / 'images'}",
        "--config.data.image_size=8",
        "--config.space.pixels.flip=True",
        "--config.space.pixels.dequantize=True",
        "--config.conditions.fields=('label',)",
        "--config.conditions.label.dropout=0.1",
        "--config.model.dropout=0.1",
        "--config.model.init_scale=1.0",  # else a young network is told nothing
        "--config.model.dtype=bfloat16",
        "--config.model.remat=True",
        "--config.training.accumulate=2",
        "--config.training.ema_decays=(0.9,)",
        "--config.training.steps=2",
        "--config.training.eval_every=2",
        "--config.evaluation.batch_size=4",
    )
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    assert "folder: 36 training and 4 held-out examples, image of 8x8x3" in result.stdout
    assert metrics(tmp_path / "run")[0]["eval_loss"]
    assert called(*arguments, "--mode=sample").returncode == 0
    one, other = ({"label": np.full(2, label)} for label in (0, 1))
    loaded = score_sde.load(tmp_path / "run")
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    assert (loaded.denoise(x, 0.5, one).eps != loaded.denoise(x, 0.5, other).eps).any()


def test_load_gives_the_run_to_a_script(finished):
    run = score_sde.load(finished[0])
    assert run.step == 12
    assert run.config.training.ema_decays == (0.995, 0.9)
    assert isinstance(run.sde, score_sde.VP)
    x = jax.random.normal(jax.random.key(0), (3, 8, 8, 1))
    pair = run.denoise(x, jax.numpy.full(3, 0.5))
    assert pair.x0.shape == x.shape
    alpha, sigma = run.sde.alpha(0.5), run.sde.sigma(0.5)
    np.testing.assert_allclose(alpha * pair.x0 + sigma * pair.eps, x, atol=1e-5)
    raw = score_sde.load(finished[0], weights="raw")
    assert raw.denoise.function is run.denoise.function  # what is compiled of one is of both
    assert (raw.denoise(x, jax.numpy.full(3, 0.5)).eps != pair.eps).any()
    earlier = score_sde.load(finished[0], step=8)
    assert earlier.step == 8
    sampler = score_sde.samplers.get("predictor_corrector", steps=30)
    out = jax.jit(lambda d: sampler(jax.random.key(1), d, run.sde, shape=(2, 8, 8, 1)).x)(
        run.denoise
    )
    assert np.isfinite(out).all()


def test_help_is_worth_reading():
    plain = called("--help")
    assert plain.returncode == 0
    assert "python main.py --config=digits_vp" in plain.stdout
    full = called("--config=configs/digits_vp.py", "--help")
    assert full.returncode == 0
    assert "--config.training.batch_size=" in full.stdout
