"""The section `guidance`: what is drawn, what is recorded of it, and what is refused."""

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
from score_sde import guidance, records
from score_sde.data import selection
from score_sde.errors import UserError
from score_sde.evaluation import asked
from score_sde.runs import build, evaluate, folder, generate, guide, identity, sampling
from score_sde.runs import config as configs
from score_sde.sweep import identity as settings
from score_sde.training.sharding import make_mesh

pytestmark = pytest.mark.slow

DIGITS = image_info("digits", "train", 1297, (8, 8, 1), 10, 17)
FIELDS = {
    "data.name": "gaussians",
    "space.name": "vectors",
    "model.channels": 16,
    "model.depth": 1,
    "training.ema_decays": (0.9,),
    "sampling.sampler": "ddim",
    "sampling.steps": 6,
    "sampling.num_samples": 4,
    "sampling.batch_size": 4,
}
TOLD = {"conditions.fields": ("label",), "conditions.label.dropout": 0.1}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs by name: told the class, told nothing, and of another process."""
    top = tmp_path_factory.mktemp("guided")

    def untrained(name, **fields):
        return untrained_run(top / name, configs.default("mlp"), **FIELDS, **fields)

    return {
        "told": untrained("told", **TOLD),
        "plain": untrained("plain"),
        "ve": untrained("ve", **{"sde.name": "ve"}),
    }


@pytest.fixture
def sample(runs, quick_compile):
    """Samples a run: what it printed, what the file says of itself, and the samples."""

    def drawn(name, *arguments):
        given = [f"--config.guidance.{argument}" for argument in arguments]
        result = called(f"--workdir={runs[name]}", "--mode=sample", "--overwrite", *given)
        assert result.returncode == 0, result.stderr
        with np.load(runs[name] / "samples.npz") as arrays:
            return result.stdout, json.loads(str(arrays["about"])), arrays["samples"]

    return drawn


def test_a_scale_guides_any_model_that_is_told_something(sample):
    """By its name alone; the interval covers some of the six times. A scale of 1 is as none."""
    said, about, plain = sample("told")
    assert "guided by" not in said
    assert "guidance" not in about
    assert about["nfe"] == 6
    _, same, unguided = sample("told", "scale=1")
    np.testing.assert_array_equal(unguided, plain)
    assert same == about
    said, about, guided = sample("told", "scale=3")
    assert "with ddim, guided by ClassifierFree of scale 3, seed 0" in said
    assert about["guidance"] == {
        "name": "ClassifierFree",
        "scale": 3,
        "interval": [],
        "rescale": 0.0,
        "keeps": [],
    }
    assert about["nfe"] == 12
    assert np.abs(guided - plain).max() > 1e-3
    _, about, _ = sample("told", "scale=3", "interval=(0.1,5.0)", "rescale=0.5")
    assert about["guidance"]["interval"] == [0.1, 5.0]
    assert 6 < about["nfe"] < 12


def test_autoguidance_by_another_run(sample, runs):
    """Which is told less; two evaluations a step, and the record says which weights they were."""
    by = ("name=autoguidance", f"run={runs['plain']}", "weights=raw", "scale=2")
    _, about, guided = sample("told", *by)
    assert about["nfe"] == 12
    weak = score_sde.load(runs["plain"], weights="raw")
    assert about["guidance"]["weak"] == {
        name: identity.identity(weak)[name] for name in ("step", "weights", "weights_sha256")
    }
    assert about["guidance"]["weak"]["weights"] == "raw"
    _, other, from_ema = sample("told", *by[:2], "scale=2")
    assert (
        other["guidance"]["weak"]["weights_sha256"] != about["guidance"]["weak"]["weights_sha256"]
    )
    assert np.abs(from_ema - guided).max() > 1e-3


def test_the_protocol_of_evaluation_says_how_samples_are_guided(runs):
    run = folder.load(runs["told"])
    config = run.config
    config.guidance.scale = 3.0
    run = dataclasses.replace(
        run, experiment=sampling.drawing(config, sampling.sampler(config.sampling))(run.experiment)
    )
    source = selection.read(config.data).open("train")
    options = asked.read(config.evaluation).options
    what = evaluate.subject(
        run,
        guide.opened(run, config.guidance),
        source,
        options,
        make_mesh(),
        print,
        lambda split: source,
    )
    assert what.sampling["guidance"]["scale"] == 3


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("plain", ["scale=3"], "scale=3: this model knows no condition to be guided to"),
        ("plain", ["name=adaptive_projected"], "this model knows no condition"),
        ("told", ["name=autoguidance"], "autoguidance needs a weaker model"),
        ("told", ["name=autoguidance", "run={ve}"], "is of the process VE("),
        ("plain", ["name=autoguidance", "run={told}"], "is told label, and the model is not"),
        ("told", ["name=autoguidance", "run=nowhere"], "no run in nowhere"),
        ("told", ["name=autoguidance", "step=7"], "config.guidance: "),
        ("told", ["scale=3", "interval=(1.0,)"], "give (low, high) of sigma / alpha"),
        ("told", ["rescale=2."], "rescale=2.0 must be at least 0 and at most 1"),
        ("told", ["name=classifier"], "did you mean 'classifier_free'"),
        (
            "told",
            ["keeps=('size',)"],
            "config.guidance.keeps: this model is told label, and no size",
        ),
        ("told", ["scal=2"], "did you mean config.guidance.scale"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_compiled(
    runs, monkeypatch, name, arguments, message
):
    monkeypatch.setattr(generate.Generator, "__init__", None)  # it would not be called
    given = [f"--config.guidance.{argument.format(**runs)}" for argument in arguments]
    result = called(f"--workdir={runs[name]}", "--mode=sample", "--overwrite", *given)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert message in line


def test_a_config_that_guides_to_nothing_is_not_trained():
    config = configs.default()
    config.guidance.scale = 3.0
    with pytest.raises(UserError, match="this model knows no condition"):
        build.experiment(config, DIGITS)
    config.conditions.fields = ("label",)
    experiment = build.experiment(config, DIGITS)
    (note,) = guide.notes(experiment)
    assert "with config.conditions.label.dropout=0 it learned nothing" in note
    config.conditions.label.dropout = 0.1
    assert guide.notes(build.experiment(config, DIGITS)) == []
    assert guide.alone(experiment).protocol["guidance"]["scale"] == 3
    config.guidance.update(name="autoguidance", step=7)
    assert guide.alone(build.experiment(config, DIGITS)).protocol == {}


def test_studies_tell_guided_samples_apart():
    """Settings of what is measured, where it guides; none of what is trained."""
    config = configs.default()
    plain = settings._of_sampling(config, 64)
    assert not [path for path in plain if path.startswith("guidance")]
    config.guidance.update(name="adaptive_projected", scale=2.0)
    found = settings._of_sampling(config, 64)
    assert {path: v for path, v in found.items() if path not in plain} == {
        "guidance.name": "adaptive_projected",
        "guidance.scale": 2.0,
        "guidance.interval": (),
        "guidance.keeps": (),
        "guidance.adaptive_projected.eta": 0.0,
        "guidance.adaptive_projected.norm": 0.0,
    }
    assert not [path for path in settings.of_training(config) if path.startswith("guidance")]


def test_a_run_from_before_there_was_guidance_is_read(runs, tmp_path):
    """Its record has no such section, and its seal is of the rest."""
    record = json.loads((runs["plain"] / "config.json").read_text())
    del record["guidance"], record["run"]["sha256"]
    (tmp_path / "config.json").write_text(json.dumps(records.sealed(record, inside="run")))
    assert configs.read(tmp_path)[0].guidance.to_dict() == configs.default().guidance.to_dict()


def test_a_loaded_run_is_guided_in_one_call(runs):
    """Both halves in one batch of its network are the two alone."""
    run = score_sde.load(runs["told"])
    assert run.denoise.TAKES_NULLS
    x, t = jax.random.normal(jax.random.key(0), (3, 2)), jnp.array([0.1, 0.5, 0.9])
    cond = {"label": jnp.array([0, 1, 2])}
    given, free = run.denoise(x, t, cond), run.denoise(x, t)
    found = guidance.classifier_free(run.denoise, 3.0)(x, t, cond)
    assert np.abs(given.x0 - free.x0).max() > 1e-3
    np.testing.assert_allclose(found.x0, free.x0 + 3 * (given.x0 - free.x0), rtol=1e-4, atol=1e-4)
