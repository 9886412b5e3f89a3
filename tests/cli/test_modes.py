"""The real program: what a run leaves, sampling, scripts, and bad input."""

import contextlib
import json
import os
import shlex

import jax
import numpy as np
import pytest
from PIL import Image
from program import called, metrics, run

import score_sde
from score_sde.runs import held

pytestmark = pytest.mark.slow


def files(folder):
    """Every file below a folder, with its content."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(*arguments):
    """The one line of a refused command, called in this process: there are many of them."""
    return error_of(called(*arguments))


def error_of(result):
    """The one line of a refused command."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


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


def about(path):
    return json.loads(str(np.load(path)["about"]))


def test_sample_writes_images_and_a_picture(finished, small):
    workdir, _ = finished
    arguments = (*small, f"--workdir={workdir}", "--mode=sample", "--num_samples=20", "--overwrite")
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    report = (workdir / "report.html").read_text()
    assert "Drawn last with --mode=sample" in report
    assert "20 samples; step 12, ema 0.995 weights; DPMpp2M, 5 evaluations" in report
    assert "16 of 1,297 train examples of digits" in report  # real ones beside them
    samples = np.load(workdir / "samples.npz")["samples"]
    assert samples.shape == (20, 8, 8, 1)
    assert samples.dtype == np.uint8
    assert Image.open(workdir / "samples.png").size[0] > 100
    assert "5 function evaluations" in result.stdout
    assert called(*arguments, "--weights=raw").returncode == 0
    raw = np.load(workdir / "samples.npz")["samples"]
    assert (raw != samples).any()
    assert called(*arguments, "--config.sampling.seed=1").returncode == 0
    assert (np.load(workdir / "samples.npz")["samples"] != samples).any()


def test_the_command_that_a_run_ends_with_works(finished, tmp_path):
    """As printed: all the rest is the run's own, also how it samples, and flags are on top."""
    command = shlex.split(finished[1].splitlines()[-1].split("Next: python main.py ")[1])
    result = called(*command, "--num_samples=2", f"--out={tmp_path / 'a'}")
    assert result.returncode == 0, result.stderr
    assert "5 function evaluations" in result.stdout  # the recipe has 250
    more = called(*command, "--num_samples=2", "--config.sampling.steps=30", "--overwrite")
    assert "30 function evaluations" in more.stdout, more.stderr


def test_a_recipe_says_how_to_sample_and_the_run_what(finished, tmp_path):
    """What it says of the network is not used, and a note says so; a flag that does is refused."""
    arguments = ("--config=configs/digits_vp.py", f"--workdir={finished[0]}", "--mode=sample")
    more = ("--num_samples=2", "--config.sampling.steps=30", f"--out={tmp_path / 'a'}")
    result = called(*arguments, *more)
    assert result.returncode == 0, result.stderr
    (note,) = [line for line in result.stdout.splitlines() if line.startswith("note: ")]
    assert note == (
        f"note: {finished[0]} was trained with another config, which counts: "
        "config.model.attn_resolutions was [] and is [4]"
    )
    message = refused(*arguments, "--config.model.num_res_blocks=3")
    assert "config.model.num_res_blocks was 1 and is 3" in message


def test_samples_say_what_they_are_and_are_not_overwritten(finished, small, tmp_path):
    """Of the same command there is nothing to do; of another, one line and nothing drawn."""
    arguments = (*small, f"--workdir={finished[0]}", "--mode=sample", f"--out={tmp_path / 'a.npz'}")
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    assert f"Wrote {tmp_path / 'a.npz'} and a.png" in result.stdout
    before = files(tmp_path)
    assert [path.name for path in before] == ["a.npz", "a.png"]
    said = about(tmp_path / "a.npz")
    assert said["sampler"]["name"] == "DPMpp2M"
    assert said["sampler"]["steps"] == said["nfe"] == 5
    assert (said["step"], said["weights"], said["of"], said["shown"]) == (12, "ema 0.995", 16, 16)
    assert (said["run"], said["run_seed"], said["sampling_seed"]) == ("finished", 0, 0)
    assert json.loads(Image.open(tmp_path / "a.png").text["score_sde"]) == said
    again = called(*arguments)
    assert again.returncode == 0
    assert "5 function evaluations an example" in again.stdout
    assert f"{tmp_path / 'a.npz'} holds these samples" in again.stdout
    ignored = called(*arguments, "--config.sampling.rk45.rtol=0.1")
    note, held = ignored.stdout.splitlines()[-2:]
    assert note.startswith("note: ")
    assert "rtol" in note
    assert held.endswith("a.npz holds these samples")
    message = refused(*arguments, "--config.sampling.seed=1")
    assert (
        "a.npz holds other samples (config.sampling.seed: 0 there, 1 asked for): --out=FILE puts"
        in message
    )
    assert "other samples (number of samples: 16 there, 17 asked for)" in refused(
        *arguments, "--num_samples=17"
    )
    assert "goes with --mode=sample" in refused(*small, "--overwrite")
    assert files(tmp_path) == before
    message = refused(*arguments, f"--out={tmp_path / ('x' * 250)}")  # before they are drawn
    assert message.endswith(": File name too long. Give another --out")
    message = refused(*arguments, f"--out={tmp_path / 'a.npz' / 'b'}")
    assert message.startswith(f"error: cannot write to {tmp_path / 'a.npz'}: ")
    assert message.endswith(". Give another --out")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:-30])
    assert "a.png cannot be decoded" in (message := refused(*arguments))
    assert message.endswith(": --overwrite draws it again")
    (tmp_path / "a.png").write_bytes(whole)
    whole = bytearray((tmp_path / "a.npz").read_bytes())
    whole[300] ^= 4  # in the middle of the samples
    (tmp_path / "a.npz").write_bytes(whole)
    assert "a.npz holds what does not say what it is: --out=FILE puts" in refused(*arguments)
    (tmp_path / "a.npz").write_text("thesis")
    assert "a.npz holds what does not say what it is: --out=FILE puts" in refused(*arguments)
    assert called(*arguments, "--overwrite").returncode == 0
    assert about(tmp_path / "a.npz") == said


def test_two_programs_that_draw_into_one_place(finished, tmp_path, monkeypatch):
    """The second is told; and what another has finished meanwhile stays, as it does before."""
    more = ("--mode=sample", "--num_samples=2", f"--out={tmp_path / 'a'}")
    arguments = (f"--workdir={finished[0]}", *more)
    drawing = held.drawing
    with drawing(tmp_path / "a.npz"):
        message = refused(*arguments)
        assert f"a.npz is being drawn by process {os.getpid()} on" in message
        assert message.endswith(": wait for it, stop it, or give another --out")
    assert files(tmp_path) == {}

    @contextlib.contextmanager
    def after_another(arrays, *, of=arguments):
        monkeypatch.setattr(held, "drawing", drawing)
        assert called(*of).returncode == 0
        with drawing(arrays):
            yield

    monkeypatch.setattr(held, "drawing", after_another)
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("sampling 2 examples") == 0
    assert "a.npz holds these samples" in result.stdout
    before = files(tmp_path)
    assert [path.name for path in before] == ["a.npz", "a.png"]
    for path in before:
        path.unlink()
    monkeypatch.setattr(held, "drawing", after_another)
    assert "a.npz holds other samples (config.sampling.seed: 0 there, 1 asked for)" in refused(
        *arguments, "--config.sampling.seed=1"
    )
    assert files(tmp_path) == before


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


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.model.chanels=64", "did you mean config.model.channels?"),
        ("--config.modle.channels=64", "did you mean config.model?"),
        ("--config.model.channels=many", "'many': this field takes a whole number, at least"),
        ("--config.objective.stratified=maybe", "='maybe': this field takes True or False"),
        ("--config.model.resblock=bigan", "this field takes one of 'biggan', 'ddpm'"),
        ("--config.model.parametrization=epsilon", "did you mean 'eps'?"),
        ("--config.objective.denoising.weighting=simpel", "did you mean 'simple'?"),
        ("--config.sde.name=vpp", "did you mean 'vp'?"),
        ("--config.sde.sigma_max=3", "unknown parameter of config.sde.name=vp 'sigma_max'"),
        (
            "--config.sampling.predictor_corrector.predictor=reverse",
            "did you mean 'reverse_diffusion'?",
        ),
        ("--config.sampling.steps=0", "config.sampling.steps=0 must be at least 1"),
        ("--config.sampling.steps=0.5", "steps='0.5': this field takes a whole number"),
        ("--config.sampling.batch_size=0", "config.sampling.batch_size=0 must be at least 1"),
        ("--config.evaluation.batch_size=0", "config.evaluation.batch_size=0 must be at least 1"),
        ("--config.seed=-1", "config.seed=-1 must be at least 0"),
        ("--config.sde.beta_min=30.", "need 0 < beta_min <= beta_max"),
        (
            "--config.objective.t_min=5.",
            "config.objective: t_min=5.0 must be above 0 and below t_max=1.0",
        ),
        ("--config.model.dropout=2.", "config.model.dropout=2.0 must be at least 0 and below 1"),
        ("--config.model.channel_mult=(1.5,2)", "this field takes a tuple of whole numbers"),
        ("--config.model.attn_resolutions=(8,4)", "is of 4 pixels; they are of 8"),
        ("--config.training.steps=None", "this field takes a whole number"),
        ("--config=configs/digits_ve.py", "--config is given 2 times"),
        ("--config.training.batch_size=0", "training.batch_size=0 must be at least 1"),
        ("--config.data.name=digit", "digits"),
        ("--mode=smaple", "sample"),
        ("--workdri=x", "workdir"),
        ("typo", "unexpected argument 'typo'"),
    ],
)
def test_a_typo_is_one_line(small, tmp_path, argument, message):
    workdir = tmp_path / "none"
    assert message in refused(*small, f"--workdir={workdir}", argument)
    assert not workdir.exists()


def test_a_typo_in_the_real_program_is_one_line(small, tmp_path):
    result = run(*small, f"--workdir={tmp_path / 'none'}", "--config.model.chanels=64")
    assert "did you mean config.model.channels?" in error_of(result)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("config.space.pixels.flipp = True", 'recipe.py:7: AttributeError: Did you mean "flip"'),
        ("config.sedd = 3", 'recipe.py:7: AttributeError: Did you mean "seed"'),
        ("config.training.steps = 'many'", ":7: TypeError"),
        ("return config.model", "this is not a config of score_sde"),
        ("1 / 0", ":7: ZeroDivisionError: division by zero"),
        ("if", ":7: "),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line(tmp_path, change, message):
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        "from score_sde.runs.config import default\n\n\n"
        f"def get_config():\n    config = default()\n\n    {change}\n    return config\n"
    )
    assert message in refused(f"--config={recipe}", f"--workdir={tmp_path / 'none'}")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.sampling.sampler=dpm", "unknown config.sampling.sampler 'dpm'"),
        (
            "--config.sampling.predictor_corrector.predictor=foo",
            "unknown config.sampling.predictor_corrector.predictor 'foo'",
        ),
        ("--config.sampling.grid=leading", "has no discrete levels"),
    ],
)
def test_a_sampler_that_cannot_work_is_one_line(finished, small, argument, message):
    arguments = (*small, f"--workdir={finished[0]}", "--mode=sample", argument)
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--mode=sample", "--num_samples=30"], "config.sampling.batch_size (a batch of 30)"),
        (["--mode=evaluate"], "config.evaluation.batch_size (a batch of"),
    ],
)
def test_a_batch_that_does_not_fit_is_one_line(finished, small, monkeypatch, arguments, field):
    monkeypatch.setattr("score_sde.training.memory.of_devices", lambda: 1000)
    message = refused(*small, f"--workdir={finished[0]}", *arguments)
    assert f"{field}" in message
    assert "there are 1.0 kB: give smaller batches" in message


def test_a_step_that_does_not_fit_is_one_line(finished, small, tmp_path, monkeypatch):
    """Its activations are counted when it is compiled, before it runs."""
    monkeypatch.setattr("score_sde.training.memory.of_devices", lambda: 25 * 10**5)
    message = refused(*small, f"--workdir={tmp_path}")
    assert "batch_size=16: a step with its activations needs at least" in message
    assert "there are 2.5 MB: give smaller batches" in message
    assert not list((tmp_path / "checkpoints").iterdir())


def test_an_ode_that_is_not_solved_is_one_line(finished, small, tmp_path):
    arguments = (*small, f"--workdir={finished[0]}", "--mode=sample", f"--out={tmp_path / 'a'}")
    result = called(
        *arguments, "--config.sampling.sampler=rk45", "--config.sampling.rk45.max_steps=3"
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: the ODE was not solved in max_steps=3 steps")


def test_a_missing_config_is_one_line():
    assert "give --config=RECIPE" in refused()
    assert "did you mean configs/digits_vp.py?" in refused("--config=configs/digit_vp.py")


def test_a_flag_of_another_mode_is_one_line():
    """It would do nothing: --num_samples is not how many images FID is of."""
    config = "--config=configs/digits_vp.py"
    message = refused(config, "--mode=evaluate", "--num_samples=5")
    assert message == "error: --num_samples goes with --mode=sample"
    for flag in ("--step=5", "--weights=raw"):
        assert "goes with --mode=sample or --mode=evaluate" in refused(config, flag)


def test_a_batch_that_the_devices_cannot_share(eight_devices, small, tmp_path):
    workdir = tmp_path / "none"
    arguments = (*small, f"--workdir={workdir}", "--config.training.batch_size=12")
    code, printed = eight_devices.run("python", "main.py", *arguments)
    assert code == 2, printed
    assert printed.startswith("error: config.training.batch_size=12 cannot be divided over 8 dev")
    assert printed.count("\n") == 1
    assert not workdir.exists()


def test_a_data_set_that_is_not_there(small, tmp_path):
    arguments = (*small, f"--workdir={tmp_path / 'none'}", f"--config.data.dir={tmp_path}")
    message = refused(*arguments, "--config.data.name=mnist")
    assert "python -m score_sde.data prepare mnist" in message
    assert not (tmp_path / "none").exists()


def test_a_workdir_that_cannot_be_written(small, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert "cannot write to" in refused(*small, f"--workdir={blocked / 'run'}")
    assert blocked.read_text() == "not a folder"
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("years of work")
    assert "holds files but no run" in refused(*small, f"--workdir={full}")
    assert os.listdir(full) == ["thesis.tex"]


def test_another_config_does_not_touch_a_run(finished, small):
    workdir, _ = finished
    before = files(workdir)
    for mode in ("train", "sample"):
        arguments = (*small, f"--workdir={workdir}", f"--mode={mode}")
        message = refused(*arguments, "--config.training.batch_size=32")
        assert "config.training.batch_size was 16 and is 32" in message
    assert files(workdir) == before


def test_sampling_what_is_not_there(finished, small, tmp_path):
    missing = refused(*small, f"--workdir={tmp_path / 'none'}", "--mode=sample")
    assert "no run in" in missing
    arguments = (*small, f"--workdir={finished[0]}", "--mode=sample")
    assert "no checkpoint 5 in" in refused(*arguments, "--step=5")
    assert "choose from ema, raw, 0.995, 0.9" in refused(*arguments, "--weights=best")


def test_help_is_worth_reading():
    plain = called("--help")
    assert plain.returncode == 0
    assert "python main.py --config=digits_vp" in plain.stdout
    full = called("--config=configs/digits_vp.py", "--help")
    assert full.returncode == 0
    assert "--config.training.batch_size=" in full.stdout
