"""Runs of flow maps and of reflow: what draws from them, what is refused, what teaches them."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_info import image_info
from program import called
from untrained import untrained_run

import score_sde
from score_sde import samplers
from score_sde.errors import UserError
from score_sde.fields import ABOUT
from score_sde.runs import build, folder, recipes, teacher
from score_sde.runs import config as configs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

DIGITS = image_info("digits", "train", 1297, (8, 8, 1))
TINY = {
    "model.channels": 4,
    "model.channel_mult": (1,),
    "model.num_res_blocks": 1,
    "model.attn_resolutions": (),
}


def config_of(recipe, **fields):
    config = recipes.get(recipe)
    for path, value in {**TINY, **fields}.items():
        configs.set_field(config, path, value)
    return config


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Runs without training, by recipe."""
    top = tmp_path_factory.mktemp("runs")
    names = ("digits_meanflow", "digits_flow")
    return {name: untrained_run(top / name, recipes.get(name), **TINY) for name in names}


def test_a_flow_map_is_sampled_in_one_evaluation(folders, tmp_path):
    """By the command, which says so; and by a script, as one jump of the network's pair."""
    out = tmp_path / "drawn"
    result = called("--mode=sample", f"--workdir={folders['digits_meanflow']}", f"--out={out}",
                    "--num_samples=4")  # fmt: skip
    assert result.returncode == 0, result.stderr
    with np.load(out.with_suffix(".npz")) as arrays:
        about = json.loads(str(arrays[ABOUT]))
        assert arrays["samples"].shape == (4, 8, 8, 1)
    assert about["nfe"] == 1
    run = score_sde.load(folders["digits_meanflow"])
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
    drawn = samplers.get("jump")(jax.random.key(1), run.denoise, run.sde, x_init=x)
    pair = run.denoise.average(x, jnp.ones(2), jnp.zeros(2))
    np.testing.assert_allclose(drawn.x, pair.x0, atol=1e-5)
    slope = run.denoise(x, jnp.ones(2))
    np.testing.assert_allclose(slope.eps, x, atol=1e-5)  # all is noise at t = 1
    assert jnp.abs(slope.x0 - pair.x0).max() > 1e-3  # it is told how far it jumps


REFUSED = {
    "digits_ect": [
        ({"sampling.sampler": "ddim"}, "a consistency model knows where paths end"),
        ({"sampling.steps": 2, "sampling.jump.eta": 0.5}, "jump.eta=0.5: a consistency model jump"),
    ],
    "digits_flow": [({"sampling.sampler": "jump"}, "this model is a denoiser: use dpmpp_2m")],
    "digits_meanflow": [
        ({"guidance.scale": 2.0}, "guidance bends the path"),
        ({"sde.name": "vp"}, "MeanFlow is of straight paths: use config.sde.name=rectified_flow"),
    ],
}


@pytest.mark.parametrize(
    ("recipe", "fields", "message"),
    [(name, *one) for name, some in REFUSED.items() for one in some],
)
def test_what_does_not_go_is_refused_in_one_line(recipe, fields, message):
    with pytest.raises(UserError, match=message):
        build.experiment(config_of(recipe, **fields), DIGITS)


def test_a_flow_map_is_a_denoiser_for_other_samplers():
    """Those of a flow map are all; those of a consistency model none but the jump."""
    fields = {"sampling.sampler": "ddim", "sampling.grid": "uniform"}
    assert build.experiment(config_of("digits_meanflow", **fields), DIGITS).sampler.grid
    assert build.experiment(config_of("digits_ect", **{"sampling.steps": 2}), DIGITS).sampler


def test_a_run_is_trained_by_its_teacher(folders, tmp_path, monkeypatch):
    """The command takes a step; one of another shape, that jumps or draws noise, is a line."""
    flags = [f"--config.{name}={str(value).replace(' ', '')}" for name, value in TINY.items()]
    few = ("training.batch_size=4", "training.steps=1", "training.steps_per_call=1",
           "training.sample_every=0", "training.eval_every=0")  # fmt: skip
    flags += [f"--config.{one}" for one in few]
    learner = ("--config=configs/digits_flow.py", f"--workdir={tmp_path / 'run'}", *flags)
    of = "--config.objective.flow_matching.teacher="
    result = called(*learner, of + str(folders["digits_flow"]))
    assert result.returncode == 0, result.stderr
    result = called(
        *learner[:1], f"--workdir={tmp_path / 'b'}", *flags, of + str(tmp_path / "none")
    )
    assert result.returncode == 2
    assert "config.objective.flow_matching.teacher: no run in" in result.stderr
    named = {"objective.flow_matching.teacher": str(folders["digits_meanflow"])}
    experiment = build.experiment(config_of("digits_flow", **named), DIGITS)
    with pytest.raises(UserError, match="jumps: its own steps are as few already"):
        teacher.opened(experiment)
    named = {"objective.flow_matching.teacher": str(folders["digits_flow"])}
    taught = folder.load(folders["digits_flow"]).experiment
    noisy = dataclasses.replace(taught, sampler=samplers.get("dpmpp_2m_sde"))
    with monkeypatch.context() as patch:
        load = folder.load
        opened = lambda path, step: dataclasses.replace(load(path, step=step), experiment=noisy)  # noqa: E731
        patch.setattr(folder, "load", opened)
        with pytest.raises(UserError, match="draws by a sampler that adds noise"):
            teacher.opened(build.experiment(config_of("digits_flow", **named), DIGITS))
    wide = image_info("digits", "train", 20, (16, 16, 1))
    with pytest.raises(UserError, match=r"is of the shape .* the model of .* config\.space"):
        teacher.opened(build.experiment(config_of("digits_flow", **named), wide))
