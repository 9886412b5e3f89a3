"""The real program, asked for what cannot be: one line, and nothing has changed."""

import os

import pytest
from program import called, error_of, files, refused, run

pytestmark = pytest.mark.slow


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
