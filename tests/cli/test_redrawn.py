"""Predictions of a file that are drawn anew from t_K, through the command line.

The network of most runs is zero: its noise is 0, which is exact for data of infinite variance. The
flow from t leads x to x / alpha then, and so a prediction y to y + (sigma / alpha) z.
"""

import dataclasses
import json
import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import untrained
from PIL import Image
from program import called

import score_sde
from score_sde import analytic, samplers
from score_sde.cli import redrawn
from score_sde.data import arrays as sets
from score_sde.errors import UserError
from score_sde.guidance.task import Redraw
from score_sde.models.functional import put
from score_sde.processes import Masked
from score_sde.runs import build
from score_sde.runs import config as configs
from score_sde.runs.generate import Generator
from score_sde.subspace import PointSets
from score_sde.training.sharding import make_mesh

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

N, STEPS = 400, 10
VP = score_sde.VP()


def zeros(rng, shapes):
    return {name: put(np.zeros(array.shape), array.dtype) for name, array in shapes.items()}


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    """Untrained runs of vectors, told a label or nothing, and files of predictions."""
    top = tmp_path_factory.mktemp("redrawn")
    rng = np.random.default_rng(1)
    real = rng.standard_normal((N, 3)).astype(np.float32)
    label = rng.integers(0, 4, N)
    np.savez(top / "data.npz", vector=real, label=label)
    held = {"samples": real + np.float32(0.1), "label": label}
    np.savez(top / "predictions.npz", **held)
    np.savez(top / "plain.npz", vector=real)
    np.savez(top / "few.npz", samples=real[:5])
    np.savez(top / "wide.npz", samples=np.zeros((5, 4), np.float32))
    np.savez(top / "words.npz", samples=np.array(["a"] * 5))
    np.savez(top / "nan.npz", samples=np.full((5, 3), np.nan, np.float32))
    np.savez(top / "objects.npz", samples=np.array([{}], object))
    np.savez(top / "empty.npz", samples=np.zeros((0, 3), np.float32))
    np.savez(top / "others.npz", pictures=real)
    np.savez(top / "labels.npz", samples=real, label=label + 1)
    (top / "no.npz").write_bytes(b"\x7fELF\0\0")
    base = {
        "data.name": "arrays",
        "data.dir": str(top / "data.npz"),
        "data.field": "vector",
        "space.name": "vectors",
        "model.channels": 16,
        "model.depth": 1,
        "training.ema_decays": (0.9,),
        "sampling.sampler": "ddim",
        "sampling.steps": STEPS,
        "sampling.batch_size": 150,
        "sampling.num_samples": 7,
    }
    told = {"conditions.fields": ("label",)}
    untrained.untrained_run(top / "told", configs.default("mlp"), **base, **told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(untrained, "_random", zeros)
        untrained.untrained_run(top / "zero", configs.default("mlp"), **base)
    return top


@pytest.fixture
def draw(top):
    """Draws of a run; its result."""

    def run(name, *more):
        return called(f"--workdir={top / name}", "--mode=sample", *more)

    return run


def begun(said):
    """The time from which it drew."""
    return float(re.search(r"from t = ([\d.]+)", said)[1])


def arrays(top, name, file="shallow"):
    return dict(np.load(top / name / f"{file}.npz"))


def test_all_predictions_are_drawn_from_the_last_steps(top, draw):
    """Their law is exact, N(y, sigma^2 / alpha^2); their file says what they are."""
    result = draw(
        "zero", "--task=shallow", f"--from={top}/predictions.npz", "--strength=0.4", "--overwrite"
    )
    assert result.returncode == 0, result.stderr
    assert "with ddim, from t = " in result.stdout
    assert "\n4 function evaluations an example" in result.stdout
    found, t = arrays(top, "zero"), begun(result.stdout)
    assert t == pytest.approx(samplers.get("ddim", steps=STEPS).later(VP, 0.4).begins(VP), rel=1e-3)
    assert set(found) == {"samples", "predicted", "about"}
    np.testing.assert_array_equal(found["predicted"], np.load(top / "predictions.npz")["samples"])
    off, deviation = found["samples"] - found["predicted"], float(VP.sigma(t) / VP.alpha(t))
    assert abs(off.mean()) < 4 * deviation / off.size**0.5
    assert off.std() == pytest.approx(deviation, rel=4 / (2 * off.size) ** 0.5)
    asked = json.loads(str(found["about"]))["asked"]
    assert (asked["task"], asked["strength"]) == ("shallow", 0.4)
    with Image.open(top / "zero" / "shallow.png") as picture:
        assert picture.width > 0


def test_the_last_step_gives_predictions_back_and_all_steps_are_plain_sampling(top, draw):
    """To the noise of its time; and bit for bit."""
    given = ("--task=shallow", f"--from={top}/predictions.npz", "--overwrite")
    result = draw("zero", *given, f"--strength={1 / STEPS}", "--config.sampling.grid=quadratic")
    assert result.returncode == 0, result.stderr
    found, t = arrays(top, "zero"), begun(result.stdout)
    off, deviation = found["samples"] - found["predicted"], float(VP.sigma(t) / VP.alpha(t))
    assert np.abs(off).max() < 5 * deviation < 0.3
    result = draw("zero", *given, "--strength=1", "--num_samples=7")
    assert "ddim, all steps, from noise alone" in result.stdout
    assert draw("zero", "--overwrite").returncode == 0
    plain = arrays(top, "zero", "samples")["samples"]
    np.testing.assert_array_equal(arrays(top, "zero")["samples"], plain)


def test_the_time_is_the_papers_where_the_truth_is_known(top, draw):
    """alpha^2 e / (2 sigma^2) there is what the last state is from the prior, by VP's formulas."""
    files = (f"--from={top}/predictions.npz", f"--real={top}/plain.npz")
    result = draw("zero", "--task=shallow", *files, "--overwrite", "--num_samples=5")
    assert result.returncode == 0, result.stderr
    real, other = np.load(top / "plain.npz")["vector"], np.load(top / "predictions.npz")["samples"]
    error, squares = (np.sum(a.astype(float) ** 2, axis=1).mean() for a in (real - other, real))
    decay = np.exp(-(VP.beta_min + VP.beta_max) / 2)  # alpha^2 at 1
    nats = decay * squares / 2 + 3 * (-decay - np.log1p(-decay)) / 2
    integral = np.log1p(error / (2 * nats))  # alpha^2 / (1 - alpha^2) = 2 nats / error
    slope = VP.beta_max - VP.beta_min
    t = (np.sqrt(VP.beta_min**2 + 2 * slope * integral) - VP.beta_min) / slope
    said = re.search(r"t_K = ([\d.]+): .* is ([\d.]+) where .* is ([\d.]+)\)", result.stdout)
    np.testing.assert_allclose([*map(float, said.groups())], [t, error, squares], rtol=1e-3)
    assert t <= begun(result.stdout) < 1
    found = arrays(top, "zero")
    np.testing.assert_array_equal(found["vector"], real[:5])
    assert found["samples"].shape == (5, 3)


def test_what_the_file_says_is_told_and_the_same_is_not_drawn_twice(top, draw):
    """A label of the file, or one that is given in its place; whatever the batches are."""
    given = ("--task=shallow", f"--from={top}/predictions.npz", "--num_samples=9")
    result = draw("told", *given)
    assert result.returncode == 0, result.stderr
    first = arrays(top, "told")
    np.testing.assert_array_equal(first["label"], np.load(top / "predictions.npz")["label"][:9])
    assert "holds these samples" in draw("told", *given).stdout
    assert draw("told", *given, "--config.sampling.batch_size=4", "--overwrite").returncode == 0
    np.testing.assert_allclose(arrays(top, "told")["samples"], first["samples"], atol=1e-4)
    result = draw("told", *given, "--strength=0.3")
    assert result.returncode == 2
    assert "--strength: nothing there, 0.3 asked for" in result.stderr
    assert draw("told", *given, "--condition=label=2", "--overwrite").returncode == 0
    again = arrays(top, "told")
    np.testing.assert_array_equal(again["label"], 2)
    others = {**np.load(top / "predictions.npz"), "label": np.zeros(N, int)}
    np.savez(top / "changing.npz", **others)
    given = ("--task=shallow", f"--from={top}/changing.npz", "--num_samples=9")
    assert draw("told", *given, "--overwrite").returncode == 0
    np.savez(top / "changing.npz", **others | {"samples": others["samples"] + np.float32(1)})
    assert (
        "holds other samples (the model is told other things, or is asked about other examples)"
        in draw("told", *given).stderr
    )
    same = first["label"] == 2
    assert (np.abs(again["samples"] - first["samples"]).max(axis=1) < 1e-4).tolist() == (
        same.tolist()
    )


def test_the_law_of_a_gaussian_by_the_task():
    """Of data N(m, s^2) from y = m + b: mean m + s alpha b / d, deviation s sigma / d."""
    config = configs.default("mlp")
    for path, value in {"space.name": "vectors", "model.channels": 16}.items():
        configs.set_field(config, path, value)
    info = sets.source({"train": {"vector": np.ones((4, 1), np.float32)}}).info
    mean, std, off, n = 0.7, 0.4, 0.3, 4000
    later = samplers.get("heun", steps=40).later(VP, 0.3)
    experiment = dataclasses.replace(
        build.experiment(config, info),
        sampler=samplers.get("ddim", steps=2),
        make=lambda params, constants: analytic.gaussian(VP, mean=[mean], std=std),
    )
    known = np.full((n, 1), mean + off, np.float32)
    generator = Generator(experiment, make_mesh(), n)
    found, _ = generator({}, {}, jax.random.key(3), n, task=Redraw(later), known=known)
    t = later.begins(VP)
    alpha, sigma = float(VP.alpha(t)), float(VP.sigma(t))
    d = np.sqrt(alpha**2 * std**2 + sigma**2)
    exact = std * sigma / d
    np.testing.assert_allclose(found.mean(), mean + std * alpha * off / d, atol=4 * exact / n**0.5)
    np.testing.assert_allclose(found.std(), exact, rtol=4 / (2 * n) ** 0.5 + 0.01)


def test_tokens_are_not_noised(top):
    with pytest.raises(UserError, match="adds noise to numbers, and this model draws tokens"):
        redrawn.number(str(top / "few.npz"), None, SimpleNamespace(sde=Masked()))


def test_states_in_a_subspace_are_held_apart_there():
    """Sets without a centre of mass: how far a set is moved is no error; rows are their size."""

    class Sets:
        subspace = PointSets(3, "size")

        @staticmethod
        def encode(examples):
            return examples

    jax.tree_util.register_static(Sets)
    rng = np.random.default_rng(0)
    real = rng.standard_normal((5, 4, 3)).astype(np.float32)
    size = np.array([4, 4, 3, 2, 4])
    there = np.arange(4)[None] < size[:, None]
    found = redrawn.apart(Sets(), real, real + np.float32(2), {"size": size}, 2)
    centred = [(x - x[m].mean(0))[m] for x, m in zip(real, there, strict=True)]
    assert found.error < 1e-10
    assert found.squares == pytest.approx(np.mean([(x**2).sum() for x in centred]), rel=1e-5)
    assert found.size == np.mean(3 * size - 3)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("zero", ["--task=shallow"], "--task=shallow goes with --from=FILE.npz"),
        ("zero", ["--from={}/few.npz"], "--from goes with --mode=sample --task=shallow"),
        ("zero", ["--real={}/few.npz"], "--real goes with --mode=sample --task=shallow"),
        ("zero", ["--strength=0.5"], "or with --task=shallow"),
        ("zero", ["few", "--strength=0"], "--strength"),
        ("zero", ["few", "--strength=1.5"], "--strength"),
        ("zero", ["few", "--strength=0.01"], "--strength=0.01: "),
        ("zero", ["few", "--strength=0.5", "--real={}/plain.npz"], "give one of them"),
        ("zero", ["few", "--real={}/plain.npz"], "has 400 examples, and there are 5 predictions"),
        ("zero", ["few", "--real={}/none.npz"], "none.npz: give the path of a file of examples"),
        ("zero", ["few", "--num_samples=6"], "few.npz has 5"),
        ("zero", ["few", "--config.sampling.sampler=rk45"], "RK45 has no steps of which the fir"),
        ("zero", ["few", "--mask=left"], "--mask goes with"),
        ("zero", ["few", "--mode=evaluate"], "--task=shallow goes with --mode=sample"),
        ("zero", ["none"], "none.npz: give the path of a file of examples"),
        ("zero", ["no"], "no.npz is not a file of examples: File is not a zip file"),
        ("zero", ["objects"], "Python objects"),
        ("zero", ["others"], "has no array samples or vector, but pictures"),
        ("zero", ["wide"], "wide.npz is float32 [5, 4]: as a field of kind vector it must be"),
        ("zero", ["words"], "words.npz is <U1 [5]: as a field of kind vector it must be float32"),
        ("zero", ["nan"], "not finite"),
        ("zero", ["empty"], "it is empty"),
        ("told", ["few"], "does not say label, which this model is told"),
        ("told", ["labels"], "has values from 1 to 4"),
    ],
    ids=str,
)
def test_what_cannot_be_drawn_anew_is_one_line(top, draw, name, arguments, message):
    if not arguments[0].startswith("--"):
        arguments = ["--task=shallow", f"--from={{}}/{arguments[0]}.npz", *arguments[1:]]
    result = draw(name, *(argument.format(top) for argument in arguments), "--overwrite")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
