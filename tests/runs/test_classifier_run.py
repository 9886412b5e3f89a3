"""Classifiers through the real program: train, resume, open, evaluate, and what is refused."""

import contextlib
import dataclasses
import importlib
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_info import image_info
from program import called, metrics

import score_sde
from score_sde import cli, guidance, processes
from score_sde.cli import classified
from score_sde.errors import UserError
from score_sde.runs import begun, build
from score_sde.runs import config as configs
from score_sde.spaces.pictures import save_png

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

SMALL = (
    "--config=configs/digits_classifier.py",
    "--config.model.width=1",
    "--config.model.noise_channels=8",
    "--config.training.batch_size=32",
    "--config.training.steps_per_call=4",
    "--config.training.log_every=4",
    "--config.training.eval_every=8",
    "--config.training.checkpoint_every=8",
    "--config.evaluation.batch_size=256",
    "--config.optim.warmup=4",
)
DIGITS = image_info("digits", "train", 1297, (8, 8, 1), 10, 17)


@pytest.fixture(scope="module")
def arguments(data_dir):
    return (*SMALL, f"--config.data.dir={data_dir}")


@pytest.fixture(scope="module")
def trained(arguments, tmp_path_factory):
    """A run of 16 steps: its folder and what it printed."""
    workdir = tmp_path_factory.mktemp("runs") / "classifier"
    result = called(*arguments, f"--workdir={workdir}", "--config.training.steps=16")
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout


def refusal(*arguments):
    """The exit code of a command, and its errors."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        code = cli.main(["main.py", *arguments])
    return code, errors.getvalue()


def test_a_run_is_like_any_other_but_for_the_pictures(trained):
    workdir, printed = trained
    rows = metrics(workdir)
    assert [int(row["step"]) for row in rows] == [4, 8, 12, 16]
    assert [bool(row["eval_loss"]) for row in rows] == [False, True, False, True]
    # It starts from ignorance of ten classes, up to what random logits add, and learns.
    assert abs(float(rows[0]["loss"]) - np.log(10)) < 0.3
    assert float(rows[3]["eval_loss"]) < float(rows[1]["eval_loss"])
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == ["16", "8"]
    assert not (workdir / "samples").exists()
    config = json.loads((workdir / "config.json").read_text())
    assert config["objective"]["name"] == "classification"
    more = f"Next: python main.py --workdir={workdir} --mode=evaluate"
    assert printed.splitlines()[-1].endswith(more)


def test_an_opened_run_guides(trained):
    run = score_sde.load_classifier(trained[0])
    assert run.sde == score_sde.VP()
    assert (run.label.name, run.label.values) == ("label", 10)
    x, t = jax.random.normal(jax.random.key(0), (10, 8, 8, 1)), jnp.linspace(0.01, 1, 10)
    log_probs, label = run.log_probs(x, t), jnp.arange(10)
    np.testing.assert_allclose(jnp.exp(log_probs).sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(run.log_prob(x, t, label), jnp.diagonal(log_probs), rtol=1e-5)
    raw = score_sde.load_classifier(trained[0], weights="raw")
    assert np.abs(raw.log_probs(x, t) - log_probs).max() > 1e-4

    def denoise(x, t, cond=None):
        return score_sde.Prediction(jnp.zeros_like(x), x / run.sde.sigma(t)[:, None, None, None])

    @jax.jit
    def move(log_prob, x):
        """A small step along the guidance alone."""
        guided = guidance.classifier(denoise, run.sde, log_prob)(x, t, {"label": label})
        return x - 1e-2 * (guided.eps - denoise(x, t).eps)

    moved = move(run.log_prob, x)
    assert (run.log_prob(moved, t, label) > run.log_prob(x, t, label))[:6].all()


def test_opening_the_wrong_kind_of_run(trained, tmp_path):
    with pytest.raises(UserError, match=r"holds a classifier.*score_sde.load_class"):
        score_sde.load(trained[0])
    config = configs.default()
    config.model.update(channels=4, channel_mult=(1,), num_res_blocks=1, attn_resolutions=())
    begun.begin(tmp_path / "score", config, build.experiment(config, DIGITS))
    with pytest.raises(UserError, match="holds no classifier"):
        score_sde.load_classifier(tmp_path / "score")


def test_what_it_takes_pictures_for_is_said(trained, tmp_path, capsys):
    """Of a folder and of a file: the shares of the classes that have the largest probability."""
    test = score_sde.data.load("digits", "test").gather(np.arange(40))["image"]
    run = score_sde.load_classifier(trained[0])
    x = run.experiment.space.encode(jnp.asarray(test))
    likely = np.asarray(run.log_probs(x, jnp.full(40, run.sde.t_min))).argmax(axis=1)
    shares = {str(c): float(np.mean(likely == c)) for c in sorted(set(likely.tolist()))}
    np.savez(tmp_path / "samples.npz", samples=test)
    command = [str(trained[0]), str(tmp_path / "samples.npz")]
    assert classified.main(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["n"], said["label"]) == (40, shares)
    bright = dataclasses.replace(
        run,
        log_probs=lambda x, t: -jnp.abs(x.mean((1, 2, 3))[:, None] - jnp.linspace(-1, 1, 10)[None]),
    )
    grey = (np.arange(300) % 256).astype(np.uint8)
    flat = np.broadcast_to(grey[:, None, None, None], (300, 8, 8, 1))
    found = classified.classes(bright, flat)
    np.testing.assert_array_equal(found, np.round(grey / 255 * 9))
    (tmp_path / "empty").mkdir()
    save_png(tmp_path / "large" / "0.png", np.zeros((9, 9, 1), np.uint8))
    for more, message in (
        ("empty", "has no picture: draw some first"),
        ("none", "draw samples first"),
        ("large", "is for image of 8x8x1; the pictures are uint8 (9, 9, 1)"),
    ):
        assert classified.main([str(trained[0]), str(tmp_path / more)]) == 2
        assert message in capsys.readouterr().err


def test_evaluation_is_that_of_any_run(trained):
    """Accuracy by noise level, with the run's own data; a metric of a denoiser is refused."""
    workdir = trained[0]
    evaluate = (f"--workdir={workdir}", "--mode=evaluate")
    result = called(*evaluate, "--config.evaluation.num_examples=100")
    assert result.returncode == 0, result.stderr
    entry = json.loads((workdir / "evaluation.json").read_text())["accuracy"]
    assert 0.1 < entry["value"] <= 1
    assert len(entry["curve"]["t"]) == 11
    code, errors = refusal(*evaluate, "--config.evaluation.metrics=('bits_per_dim',)")
    assert code == 2
    assert "bits_per_dim is of a denoiser, and" in errors


def test_a_classifier_draws_no_samples(trained, arguments):
    code, errors = refusal(*arguments, f"--workdir={trained[0]}", "--mode=sample")
    assert code == 2
    assert errors == (
        f"error: {trained[0]} holds a classifier, which draws no samples: "
        "score_sde.load_classifier opens it\n"
    )
    recipe = ("--config=configs/digits_vp.py", f"--workdir={trained[0]}", "--mode=sample")
    code, errors = refusal(*recipe)
    assert code == 2
    assert "holds a classifier" in errors


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.model.depth=11", "depth must be 6 n + 4"),
        ("--config.objective.t_min=2.0", "t_min=2.0 must be above 0 and below t_max=1.0"),
        ("--config.objective.classification.field=image", "is of kind image, not label"),
        ("--config.seed=-1", "config.seed=-1 must be at least 0"),
    ],
)
def test_what_a_classifier_cannot_use_is_refused(arguments, tmp_path, argument, message):
    code, errors = refusal(*arguments, f"--workdir={tmp_path / 'run'}", argument)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_a_classifier_needs_labels():
    without = image_info("digits", "train", 1297, (8, 8, 1))
    config = configs.default("wide_resnet")
    config.objective.name = "classification"
    with pytest.raises(UserError, match="digits has no field 'label'"):
        build.experiment(config, without)


def test_the_loss_follows_the_config():
    """Dropout and flips are for training only; t_min is for both."""
    rng = np.random.RandomState(0)
    batch = {"image": rng.randint(0, 255, (8, 8, 8, 1)).astype(np.uint8), "label": np.arange(8)}
    weights = {}

    def losses(train, dropout=0.0, flip=False, t_min=None):
        config = configs.default("wide_resnet")
        config.model.update(depth=10, width=1, noise_channels=8, dropout=dropout)
        config.space.pixels.flip = flip
        config.objective.update(name="classification", stratified=True, t_min=t_min)
        experiment = build.experiment(config, DIGITS)
        for name, shape in (experiment.network.shapes[0] | experiment.network.shapes[1]).items():
            weights.setdefault(name, rng.randn(*shape.shape).astype(np.float32) / 5)
        params, constants = ({n: weights[n] for n in part} for part in experiment.network.shapes)

        def loss(key, params):
            step = 0 if train else None
            return experiment.loss(key, params, constants, experiment.fixed, batch, step)

        quick = jax.jit(loss, compiler_options={"xla_backend_optimization_level": 0})
        return quick(jax.random.key(0), params)

    plain = losses(train=True)
    np.testing.assert_array_equal(losses(train=False, dropout=0.5, flip=True), plain)
    assert np.abs(losses(train=True, dropout=0.5) - plain).min() > 1e-5
    assert 0 < np.sum(losses(train=True, flip=True) != plain) < 8
    assert np.abs(losses(train=False, t_min=0.5) - plain).min() > 1e-5


@pytest.mark.parametrize(
    ("name", "guided", "parameters"),
    [("digits_classifier", "digits_vp", 324_938), ("cifar_classifier", "cifar_ve", None)],
)
def test_recipes_see_what_the_networks_see_that_they_guide(name, guided, parameters):
    config, score = (importlib.import_module(f"configs.{n}").get_config() for n in (name, guided))
    configs.check_fields(config)
    again = configs.from_json(json.loads(json.dumps(configs.to_json(config))))
    assert again.to_dict() == config.to_dict()
    shape = {"digits": (8, 8, 1), "cifar10": (32, 32, 3)}[config.data.name]
    info = image_info(config.data.name, "train", 1000, shape, 10)
    experiment = build.experiment(config, info)
    assert experiment.sde == processes.read(score.sde)
    assert config.data.to_dict() == score.data.to_dict()
    assert config.space.to_dict() == score.space.to_dict()
    recipe = importlib.import_module(f"configs.{name}")
    assert experiment.parameters == parameters or f"{experiment.parameters:,}" in recipe.__doc__
