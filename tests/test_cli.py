"""The real program: training, resuming after every kind of end, sampling, and bad input."""

import csv
import json
import os
import shutil

import jax
import numpy as np
import pytest
from PIL import Image
from program import SIGINT, SIGKILL, SIGTERM, SMALL, run, run_until

import score_sde


@pytest.fixture(scope="module", autouse=True)
def compilation_cache(tmp_path_factory):
    """The programs of this file compile the same functions: once is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("jax")))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """The digits, prepared once."""
    from score_sde import data

    folder = tmp_path_factory.mktemp("tfds")
    data.load("digits", data_dir=folder)
    return folder


@pytest.fixture(scope="module")
def small(data_dir):
    """Arguments of a small run, but for its folder."""
    return (*SMALL, f"--config.data.dir={data_dir}")


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    """A run that was never interrupted: its folder and what it printed."""
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    result = run(*small, f"--workdir={workdir}", "--config.training.sample_every=6")
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout


def rows(workdir):
    with (workdir / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def assert_same_state(one, other):
    """Parameters and moving averages are the same to the last bit."""
    for weights in ("raw", "ema"):
        a, b = (score_sde.load(w, weights=weights) for w in (one, other))
        assert a.step == b.step
        jax.tree.map(np.testing.assert_array_equal, a.params, b.params)


def files(folder):
    """Every file below a folder, with its content."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_leaves_everything_there_is_to_know(finished):
    workdir, printed = finished
    config = json.loads((workdir / "config.json").read_text())
    assert config["training"]["batch_size"] == 16
    assert config["run"]["data"]["levels"] == 17
    table = rows(workdir)
    assert [int(row["step"]) for row in table] == [2, 4, 6, 8, 10, 12]
    assert all(float(row["loss"]) > 0 for row in table)
    assert [bool(row["eval_loss"]) for row in table] == [False, False, True] * 2
    assert sorted(p.name for p in (workdir / "samples").iterdir()) == ["12.png", "6.png"]
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == ["12", "8"]
    assert list((workdir / "tensorboard").glob("events.*"))
    first, *_, last = printed.splitlines()
    assert "1 x cpu" in first
    assert f"{config['run']['parameters']:,} parameters" in first
    assert "digits: 1,297 training and 500 held-out images, 8x8x1" in first
    assert str(workdir) in first
    assert last.startswith("done: 12 steps")
    assert f"--workdir={workdir} --mode=sample" in last


def test_a_second_run_has_nothing_to_do(finished, small):
    workdir, _ = finished
    before = files(workdir / "checkpoints")
    result = run(*small, f"--workdir={workdir}", "--config.training.sample_every=6")
    assert result.returncode == 0, result.stderr
    assert "nothing left to train" in result.stdout
    assert files(workdir / "checkpoints") == before
    assert len(rows(workdir)) == 6


@pytest.mark.parametrize("at", ["step 2/", "step 6/", "step 8/", "step 12/"])
def test_sigkill_and_resume_is_bit_exact(finished, small, tmp_path, at):
    """Before the first checkpoint, between two, right at one (while it is written), at the end."""
    workdir = tmp_path / "killed"
    code, _ = run_until(at, SIGKILL, *small, f"--workdir={workdir}")
    assert code == -SIGKILL
    result = run(*small, f"--workdir={workdir}")
    assert result.returncode == 0, result.stderr
    assert_same_state(finished[0], workdir)
    columns = ("step", "loss", "grad_norm", "eval_loss")
    expected = [{name: row[name] for name in columns} for row in rows(finished[0])]
    assert [{name: row[name] for name in columns} for row in rows(workdir)] == expected


@pytest.mark.parametrize(("signal", "code"), [(SIGTERM, 0), (SIGINT, 130)])
def test_a_stop_signal_saves_and_resumes(finished, small, tmp_path, signal, code):
    workdir = tmp_path / "stopped"
    returned, printed = run_until("step 6/", signal, *small, f"--workdir={workdir}")
    assert returned == code, printed
    assert f"stopped by {signal.name} at step" in printed
    assert "Traceback" not in printed
    stopped = int(printed.split(f"{signal.name} at step ")[1].split(",")[0])
    assert 6 <= stopped < 12
    assert (workdir / "checkpoints" / str(stopped)).is_dir()
    assert run(*small, f"--workdir={workdir}").returncode == 0
    assert_same_state(finished[0], workdir)


@pytest.mark.parametrize("fsdp", [1, 2])
def test_eight_devices_give_the_losses_of_one(finished, small, tmp_path, fsdp):
    workdir = tmp_path / "eight"
    result = run(
        *small,
        f"--workdir={workdir}",
        f"--config.training.fsdp={fsdp}",
        XLA_FLAGS="--xla_force_host_platform_device_count=8",
    )
    assert result.returncode == 0, result.stderr
    assert f"8 x cpu (mesh: data {8 // fsdp}, fsdp {fsdp})" in result.stdout
    for name in ("loss", "grad_norm", "eval_loss"):
        one, eight = ([float(r[name] or 0) for r in rows(w)] for w in (finished[0], workdir))
        np.testing.assert_allclose(eight, one, rtol=2e-5, err_msg=name)


def test_a_run_goes_on_with_more_steps(finished, small, tmp_path):
    workdir = tmp_path / "longer"
    shutil.copytree(finished[0], workdir)
    result = run(*small, f"--workdir={workdir}", "--config.training.steps=14")
    assert result.returncode == 0, result.stderr
    assert [int(row["step"]) for row in rows(workdir)][-2:] == [12, 14]
    assert score_sde.load(workdir).step == 14


def test_divergence_names_the_step_and_keeps_the_last_good_checkpoint(small, tmp_path):
    workdir = tmp_path / "diverged"
    result = run(
        *small,
        f"--workdir={workdir}",
        "--config.training.checkpoint_every=2",
        "--config.optim.learning_rate=1e18",
        "--config.optim.warmup=0",
        "--config.optim.clip=0.0",
    )
    assert result.returncode == 1
    error = result.stderr.strip().splitlines()[-1]
    assert error.startswith("error: the loss or its gradient is not finite at step ")
    assert "Traceback" not in result.stderr
    folder = workdir / "checkpoints"
    saved = sorted(int(p.name) for p in folder.iterdir()) if folder.exists() else []
    if saved:
        assert f"Last good checkpoint: {folder / str(saved[-1])}" in error
        assert all(np.isfinite(a).all() for a in score_sde.load(workdir).params.values())
    else:
        assert "there is none yet" in error


def test_sample_writes_images_and_a_picture(finished, small):
    workdir, _ = finished
    arguments = (*small, f"--workdir={workdir}", "--mode=sample", "--num_samples=20")
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    samples = np.load(workdir / "samples.npz")["samples"]
    assert samples.shape == (20, 8, 8, 1)
    assert samples.dtype == np.uint8
    assert Image.open(workdir / "samples.png").size[0] > 100
    assert "5 function evaluations" in result.stdout
    assert run(*arguments, "--weights=raw").returncode == 0
    raw = np.load(workdir / "samples.npz")["samples"]
    assert (raw != samples).any()
    assert run(*arguments, "--config.sampling.steps=6").returncode == 0
    assert (np.load(workdir / "samples.npz")["samples"] != raw).any()


def test_load_gives_the_run_to_a_script(finished):
    run = score_sde.load(finished[0])
    assert run.step == 12
    assert run.config.training.ema_decays == (0.999,)
    assert isinstance(run.sde, score_sde.VP)
    x = jax.random.normal(jax.random.key(0), (3, 8, 8, 1))
    pair = run.denoise(x, jax.numpy.full(3, 0.5))
    assert pair.x0.shape == x.shape
    alpha, sigma = run.sde.alpha(0.5), run.sde.sigma(0.5)
    np.testing.assert_allclose(alpha * pair.x0 + sigma * pair.eps, x, atol=1e-5)
    raw = score_sde.load(finished[0], weights="raw").denoise(x, jax.numpy.full(3, 0.5))
    assert (raw.eps != pair.eps).any()
    earlier = score_sde.load(finished[0], step=8)
    assert earlier.step == 8
    sampler = score_sde.samplers.get("predictor_corrector", steps=30)
    out = jax.jit(lambda d: sampler(jax.random.key(1), d, run.sde, shape=(2, 8, 8, 1)).x)(
        run.denoise
    )
    assert np.isfinite(out).all()


def error_of(result):
    """The one line of a refused command."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.model.chanels=64", "did you mean config.model.channels?"),
        ("--config.modle.channels=64", "did you mean config.model?"),
        ("--config.model.channels=many", "invalid literal for int() with base 10: 'many'"),
        ("--config.model.resblock=bigan", "biggan"),
        ("--config.model.parametrization=epsilon", "did you mean 'eps'?"),
        ("--config.training.weighting=simpel", "did you mean 'simple'?"),
        ("--config.sde.name=vpp", "did you mean 'vp'?"),
        ("--config.sde.sigma_max=3", "unknown parameter of sde vp 'sigma_max'"),
        ("--config.sampling.predictor=reverse", "did you mean 'reverse_diffusion'?"),
        ("--config.sampling.steps=0", "steps"),
        ("--config.training.batch_size=0", "training.batch_size=0 must be at least 1"),
        ("--config.data.name=digit", "digits"),
        ("--mode=smaple", "sample"),
        ("--workdri=x", "workdir"),
        ("typo", "unexpected argument 'typo'"),
    ],
)
def test_a_typo_is_one_line(small, tmp_path, argument, message):
    workdir = tmp_path / "none"
    assert message in error_of(run(*small, f"--workdir={workdir}", argument))
    assert not workdir.exists()


def test_a_missing_config_is_one_line():
    assert "give --config=FILE" in error_of(run())
    assert "did you mean configs/digits_vp.py?" in error_of(run("--config=configs/digit_vp.py"))


def test_a_batch_that_the_devices_cannot_share(small, tmp_path):
    workdir = tmp_path / "none"
    result = run(
        *small,
        f"--workdir={workdir}",
        "--config.training.batch_size=12",
        XLA_FLAGS="--xla_force_host_platform_device_count=8",
    )
    assert "config.training.batch_size=12 cannot be divided over 8 devices" in error_of(result)
    assert not workdir.exists()


def test_a_data_set_that_is_not_there(small, tmp_path):
    result = run(
        *small,
        f"--workdir={tmp_path / 'none'}",
        "--config.data.name=mnist",
        f"--config.data.dir={tmp_path}",
    )
    assert "python -m score_sde.data prepare mnist" in error_of(result)
    assert not (tmp_path / "none").exists()


def test_a_workdir_that_cannot_be_written(small, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert "cannot write to" in error_of(run(*small, f"--workdir={blocked / 'run'}"))
    assert blocked.read_text() == "not a folder"
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("years of work")
    assert "holds files but no run" in error_of(run(*small, f"--workdir={full}"))
    assert os.listdir(full) == ["thesis.tex"]


def test_another_config_does_not_touch_a_run(finished, small):
    workdir, _ = finished
    before = files(workdir)
    for mode in ("train", "sample"):
        result = run(
            *small, f"--workdir={workdir}", f"--mode={mode}", "--config.training.batch_size=32"
        )
        assert "config.training.batch_size was 16 and is 32" in error_of(result)
    assert files(workdir) == before


def test_sampling_what_is_not_there(finished, small, tmp_path):
    missing = run(*small, f"--workdir={tmp_path / 'none'}", "--mode=sample")
    assert "no run in" in error_of(missing)
    arguments = (*small, f"--workdir={finished[0]}", "--mode=sample")
    assert "no checkpoint 5 in" in error_of(run(*arguments, "--step=5"))
    assert "choose from ema, raw, 0.999" in error_of(run(*arguments, "--weights=best"))


def test_help_is_worth_reading():
    plain = run("--help")
    assert plain.returncode == 0
    assert "python main.py --config=configs/digits_vp.py" in plain.stdout
    full = run("--config=configs/digits_vp.py", "--help")
    assert full.returncode == 0
    assert "--config.training.batch_size=" in full.stdout
