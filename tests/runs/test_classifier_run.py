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
from program import metrics, run

import score_sde
from score_sde import cli, data, guidance
from score_sde.errors import UserError
from score_sde.evaluation.metrics import accuracy as evaluation
from score_sde.runs import build, folder
from score_sde.runs import config as configs

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
DIGITS = data.Info("digits", "train", 1297, (8, 8, 1), 10, 17)


@pytest.fixture(scope="module")
def arguments(data_dir, compilation_cache):
    return (*SMALL, f"--config.data.dir={data_dir}")


@pytest.fixture(scope="module")
def trained(arguments, tmp_path_factory):
    """A run of 16 steps: its folder and what it printed."""
    workdir = tmp_path_factory.mktemp("runs") / "classifier"
    result = run(*arguments, f"--workdir={workdir}", "--config.training.steps=16")
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
    assert "sampling" not in config
    assert "weighting" not in config["training"]
    assert printed.splitlines()[-1].endswith(
        f"Next: python -m score_sde.evaluation.metrics.accuracy {workdir}"
    )


def test_a_resumed_run_takes_the_same_steps(trained, arguments, tmp_path):
    workdir = tmp_path / "resumed"
    for steps in (8, 16):
        result = run(*arguments, f"--workdir={workdir}", f"--config.training.steps={steps}")
        assert result.returncode == 0, result.stderr
    for weights in ("raw", "ema"):
        one, other = (score_sde.load_classifier(w, weights=weights) for w in (trained[0], workdir))
        assert one.step == other.step == 16
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
    assert [row["loss"] for row in metrics(workdir)] == [row["loss"] for row in metrics(trained[0])]


def test_an_opened_run_guides(trained):
    run = score_sde.load_classifier(trained[0])
    assert run.sde == score_sde.VP()
    assert run.num_classes == 10
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
        guided = guidance.classifier(denoise, run.sde, log_prob)(x, t, label)
        return x - 1e-2 * (guided.eps - denoise(x, t).eps)

    moved = move(run.log_prob, x)
    assert (run.log_prob(moved, t, label) > run.log_prob(x, t, label))[:6].all()


def test_opening_the_wrong_kind_of_run(trained, tmp_path):
    with pytest.raises(UserError, match=r"holds a classifier: open it with score_sde.load_class"):
        score_sde.load(trained[0])
    config = configs.default()
    folder.begin(tmp_path / "score", config, build.experiment(config, DIGITS))
    with pytest.raises(UserError, match="holds no classifier"):
        score_sde.load_classifier(tmp_path / "score")


def test_evaluation_prints_accuracy_by_noise_level(trained, capsys):
    assert evaluation.main(["", str(trained[0])]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["t", "sigma/alpha", "accuracy", "cross-entropy"]
    assert len(rows) == evaluation.LEVELS
    for arguments in ([""], ["", str(trained[0] / "none")]):
        assert evaluation.main(arguments) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_evaluation_of_known_answers(trained, data_dir):
    """One that is sure of each label from one pixel, and one that knows nothing."""
    opened, times = score_sde.load_classifier(trained[0]), np.array([1e-3, 1.0])
    real = data.load("digits", "test", data_dir=data_dir)
    batch = real.gather(np.arange(300))
    marked = np.tile((25 * batch["label"][:, None, None, None]).astype(np.uint8), (1, 8, 8, 1))
    info = dataclasses.replace(real.info, size=300)
    held_out = data.Source(info, lambda i: (marked[i], batch["label"][i]))

    def reader(x, t):
        """The label from the grey value, which noise of 0.01 does not hide."""
        label = jnp.round((x.mean((1, 2, 3)) + 1) * 255 / 50).astype(int)
        return jnp.log(0.9 * jax.nn.one_hot(label, 10) + 0.01)

    sure = evaluation.measure(dataclasses.replace(opened, log_probs=reader), held_out, times)
    assert sure[0].accuracy == 1
    np.testing.assert_allclose(sure[0].cross_entropy, -np.log(0.91), rtol=1e-5)
    assert sure[1].accuracy < 0.3  # at t_max nothing can be read
    ignorant = dataclasses.replace(opened, log_probs=lambda x, t: jnp.full((len(x), 10), -2.302585))
    for level in evaluation.measure(ignorant, held_out, times):
        np.testing.assert_allclose(level.cross_entropy, np.log(10), rtol=1e-5)
        np.testing.assert_allclose(level.accuracy, np.mean(batch["label"] == 0))


def test_a_classifier_draws_no_samples(trained, arguments):
    code, errors = refusal(*arguments, f"--workdir={trained[0]}", "--mode=sample")
    assert code == 2
    assert errors == (
        "error: config.model.name=wide_resnet is a classifier, which draws no samples: "
        "give the config of a score network\n"
    )
    recipe = ("--config=configs/digits_vp.py", f"--workdir={trained[0]}", "--mode=sample")
    code, errors = refusal(*recipe)
    assert code == 2
    assert "holds a classifier" in errors


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.training.weighting=simple", "unknown field config.training.weighting"),
        ("--config.training.sample_every=10", "unknown field config.training.sample_every"),
        ("--config.model.parametrization=eps", "unknown field config.model.parametrization"),
        ("--config.sampling.steps=10", "unknown field config.sampling"),
        ("--config.model.depth=11", "depth must be 6 n + 4"),
        ("--config.training.t_min=2.0", "must be below t_max"),
        ("--config.seed=-1", "config.seed=-1 must be at least 0"),
    ],
)
def test_what_a_classifier_cannot_use_is_refused(arguments, tmp_path, argument, message):
    code, errors = refusal(*arguments, f"--workdir={tmp_path / 'run'}", argument)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_a_classifier_needs_labels():
    without = dataclasses.replace(DIGITS, num_classes=0)
    with pytest.raises(UserError, match="is a classifier, but digits has no class labels"):
        build.experiment(configs.default("wide_resnet"), without)


def test_the_loss_follows_the_config():
    """Dropout and flips are for training only; t_min is for both."""
    rng = np.random.RandomState(0)
    batch = {"image": rng.randint(0, 255, (8, 8, 8, 1)).astype(np.uint8), "label": np.arange(8)}
    weights = {}

    def losses(train, dropout=0.0, flip=False, t_min=-1.0):
        config = configs.default("wide_resnet")
        config.model.update(depth=10, width=1, noise_channels=8, dropout=dropout)
        config.data.flip = flip
        config.training.update(stratified=True, t_min=t_min)
        experiment = build.experiment(config, DIGITS)
        for name, shape in (experiment.model.shapes[0] | experiment.model.shapes[1]).items():
            weights.setdefault(name, rng.randn(*shape.shape).astype(np.float32) / 5)
        params, constants = ({n: weights[n] for n in part} for part in experiment.model.shapes)

        def loss(key, params):
            return experiment.loss(key, params, constants, batch, train)

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
    info = data.Info(config.data.name, "train", 1000, shape, 10)
    experiment = build.experiment(config, info)
    assert experiment.sde == build.sde(score.sde)
    assert config.data.to_dict() == score.data.to_dict()
    recipe = importlib.import_module(f"configs.{name}")
    assert experiment.parameters == parameters or f"{experiment.parameters:,}" in recipe.__doc__
