"""The command that tunes a run's times, and sampling with them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from program import called, called_command

import score_sde
from score_sde import analytic, guidance, records, samplers
from score_sde.cli import tune
from score_sde.errors import UserError
from score_sde.runs import config as configs
from score_sde.runs import tuned as tuned_for

pytestmark = pytest.mark.slow

FEW = ("--trajectories=6", "--held_out=4", "--batch_size=4", "--iterations=2")
SAMPLE = ("--mode=sample", "--num_samples=4", "--config.sampling.grid=tuned")


@pytest.fixture(scope="module")
def tuned(finished):
    """A run with times for DDIM in 3 steps, and what the command said."""
    workdir, _ = finished
    result = called_command(tune.main, str(workdir), "--sampler=ddim", "--steps=3", *FEW)
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout


def entries(workdir):
    return json.loads((workdir / "grid.json").read_text())["grids"]


def test_times_are_kept_and_sampled_with(tuned):
    """The picture's record and the numbers of evaluations are of those times."""
    workdir, printed = tuned
    (entry,) = entries(workdir)
    assert "iteration 1  distance" in printed
    assert f"--config.sampling.sampler=ddim --config.sampling.steps=3 {SAMPLE[-1]}" in printed
    assert entry["error"] <= min(entry["untuned"].values()) * 1.05
    assert entry["step"] == 12
    chosen = ("--config.sampling.sampler=ddim", "--config.sampling.steps=3")
    out = f"--out={workdir / 'tuned'}"
    result = called(f"--workdir={workdir}", *SAMPLE, *chosen, out, "--overwrite")
    assert result.returncode == 0, result.stderr
    assert "3 function evaluations" in result.stdout
    about = json.loads(str(np.load(workdir / "tuned.npz")["about"]))
    assert about["sampler"]["times"] == entry["times"]


def test_a_second_tuning_stands_beside_the_first_and_the_same_takes_its_place(tmp_path):
    """By sampler and steps, whatever the name that a config gives the sampler."""
    config = configs.default()
    config.sampling.grid = "tuned"
    for name, times in [("ddim", (1.0, 0.5)), ("dpmpp_2m", (1.0, 0.4)), ("ddim", (1.0, 0.3))]:
        factors = (1.5, 2.0) if name == "dpmpp_2m" else ()
        sampler = samplers.get(name, steps=2, times=times, factors=factors)
        tuned_for.write(tmp_path, sampler, {"step": 1})
    config.sampling.steps = 2
    for name, times in [("DDIMScheduler", (1.0, 0.3)), ("sample_dpmpp_2m", (1.0, 0.4))]:
        config.sampling.sampler = name
        found = tuned_for.sampler(config, tmp_path)
        assert found.times == times
        assert found.factors == ((1.5, 2.0) if name == "sample_dpmpp_2m" else ())
    assert len(entries(tmp_path)) == 2
    config.sampling.clip = 1.0
    with pytest.raises(UserError, match="no times for sample_dpmpp_2m with 2 steps and these opt"):
        tuned_for.sampler(config, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sampler=dim", "--steps=3"], "did you mean 'ddim'"),
        (["--sampler=ddim", "--steps=0"], "argument --steps: '0' is no whole number"),
        (["--sampler=rk45", "--steps=3"], "config.sampling: |rk45 has no table of steps"),
        (["--sampler=ddim", "--steps=3", "--config.sampling.ddim.eta=1.0"], "it adds noise"),
        (["--sampler=ddim", "--steps=3", "--config.model.channels=8"], "unknown argument"),
        (["--sampler=ddim", "--steps=3", "--config.sampling.steps=4"], "unknown argument"),
        (["--sampler=ddim", "--steps=3", "--config.sampling.clp=1"], "clip"),
        (["--sampler=ddim", "--steps=3", "--weights=0.5"], "choose from ema, raw"),
    ],
)
def test_what_cannot_be_tuned_is_one_line(finished, arguments, message):
    """With exit code 2, before anything is solved."""
    result = called_command(tune.main, str(finished[0]), *arguments, *FEW)
    said = result.stderr
    assert result.returncode == 2
    assert said.count("\n") == 1
    assert "trajectories" not in result.stdout
    assert any(part in said for part in message.split("|")), said


def test_what_is_tuned_is_clipped_as_it_will_be():
    sde, x = score_sde.VP(), np.full((2, 1), 3.0)
    denoise = analytic.gaussian(sde, np.full(1, 3.0), 0.5)
    unguided = SimpleNamespace(rule=guidance.ClassifierFree(None))
    run = SimpleNamespace(sde=sde, denoise=denoise, config=configs.default(), experiment=unguided)
    found = tune._asked(run, samplers.get("ddim", clip=0.8))(x, np.full(2, 0.5))
    np.testing.assert_allclose(found.x0, 0.8)
    assert tune._asked(run, samplers.get("ddim")) is denoise


def test_times_that_are_not_there(tuned):
    workdir, _ = tuned
    chosen = ("--config.sampling.sampler=ddim", "--config.sampling.steps=7")
    result = called(f"--workdir={workdir}", *SAMPLE, *chosen, "--overwrite")
    assert result.returncode == 2
    assert "no times for ddim with 7 steps" in result.stderr
    assert f"score_sde.samplers.tune {workdir} --sampler=ddim --steps=7" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("0.", "0.1", 1), "was changed since it was written"),
        (lambda text: text[:40], "is not JSON"),
        (lambda text: "{}", "is not of tuned times"),
    ],
)
def test_times_that_were_changed_are_refused(tuned, tmp_path, change, message):
    workdir, _ = tuned
    text = (workdir / "grid.json").read_text()
    (workdir / "grid.json").write_text(change(text))
    try:
        chosen = ("--config.sampling.sampler=ddim", "--config.sampling.steps=3")
        result = called(f"--workdir={workdir}", *SAMPLE, *chosen, "--overwrite")
    finally:
        (workdir / "grid.json").write_text(text)
    assert result.returncode == 2
    assert message in result.stderr
    assert score_sde.load(workdir).step == 12


@pytest.mark.parametrize("sampler", [None, {}, {"steps": 7}, {"steps": "7", "name": "ddim"}])
def test_an_entry_of_no_sampler_is_no_tuned_time(tmp_path, sampler):
    """Whatever its checksum says."""
    config = configs.default()
    config.sampling.grid = "tuned"
    record = records.sealed({"grids": [{"sampler": sampler, "times": [1.0]}]})
    (tmp_path / "grid.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="is not of tuned times: delete it"):
        tuned_for.sampler(config, tmp_path)
