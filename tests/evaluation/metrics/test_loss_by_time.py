"""The loss by time: its exact expectation for a Gaussian, its files, going on after a kill."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_subject import made_subject

import score_sde
from score_sde import analytic, images, keys
from score_sde.evaluation.metrics.loss_by_time import LossByTime, losses
from score_sde.prediction import Prediction

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]
MEAN, STD = 0.2, 0.6
VP = score_sde.VP()


@pytest.mark.parametrize(
    "sde",
    [score_sde.VP(), score_sde.SubVP(), score_sde.VE(sigma_max=8.0), score_sde.RectifiedFlow()],
    ids=lambda sde: type(sde).__name__,
)
@pytest.mark.parametrize("quantity", ["eps", "x0"])
def test_the_expectation_for_a_gaussian(x64, sde, quantity):
    """Var(x_0 | x_t) = s^2 sigma^2 / v, v = alpha^2 s^2 + sigma^2; of eps (alpha / sigma)^2 of it.

    4 standard errors of 4000 examples, at each of 6 times; pixels of an example are averaged.
    """
    n, times = 4000, np.linspace(sde.t_min, sde.t_max, 6)
    key = keys.of_examples(jax.random.key(0), jnp.arange(n))
    x0 = MEAN + STD * jax.random.normal(jax.random.key(1), (n, 2))
    denoise = analytic.gaussian(sde, [MEAN, MEAN], STD)
    found = np.asarray(jax.jit(lambda x: losses(key, denoise, sde, x, times, quantity))(x0))
    assert found.shape == (n, 6)
    alpha, sigma = sde.alpha(times), sde.sigma(times)
    expected = STD**2 * sigma**2 / (alpha**2 * STD**2 + sigma**2)
    expected *= (alpha / sigma) ** 2 if quantity == "eps" else 1
    error = found.std(0) / np.sqrt(n)
    assert (np.abs(found.mean(0) - expected) < 4 * error).all()
    # Draws of different times are independent; only the data, which early ones forget, are shared.
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.1


def test_the_data_are_those_of_training(tmp_path):
    """Of dequantised data, a draw from each pixel's tile: to a denoiser that answers 0 for x0.

    At t_min a tile of 1/4 of the range that is a draw has the mean square of uniform noise.
    """
    level = np.full((500, 2, 2, 1), 2)

    def zero(x, t, cond=None):
        return Prediction(jnp.zeros_like(x), jnp.zeros_like(x))

    for tiled, expected in ((True, 0.25**2 + 0.5**2 / 12), (False, (2 * 170 / 255 - 1) ** 2)):
        what, _ = made_subject(tmp_path, VP, zero, level, 4, batch_size=500, tiled=tiled)
        entry = LossByTime(points=2, quantity="x0").prepare(what)()["loss_by_time"]
        assert entry["value"] == pytest.approx(expected, rel=0.05 if tiled else 1e-6)


def curve(folder, batch_size=4, sde=VP, **options):
    level = np.random.default_rng(0).integers(0, 17, (10, 2, 2, 1))
    denoise = analytic.gaussian(sde, np.zeros((2, 2, 1)), 0.6)
    what, said = made_subject(folder, sde, denoise, level, 17, batch_size)
    return LossByTime(points=5, **options).prepare(what)()["loss_by_time"], said


def test_the_files_and_the_entry(tmp_path):
    entry, _ = curve(tmp_path)
    entry = json.loads(json.dumps(entry))
    with (tmp_path / "evaluation" / "loss_by_time.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name, column in entry["curve"].items():
        assert [float(row[name]) for row in rows] == column
    assert entry["curve"]["t"][0] == 1e-3
    assert entry["value"] == pytest.approx(np.mean(entry["curve"]["loss"]))
    assert 0 < entry["standard_error"] < entry["value"]
    assert (entry["examples"], entry["nfe"]) == (10, 5)
    assert entry["protocol"]["quantity"] == "eps"
    about = json.loads(images.about(tmp_path / "evaluation" / "loss_by_time.png"))
    assert about == {"metric": "loss_by_time"} | json.loads(json.dumps(entry["protocol"]))
    assert curve(tmp_path, repeats=2)[0]["value"] != entry["value"]


def test_where_no_signal_is_left_the_entry_is_json(tmp_path):
    """A rectified flow of t_max = 1 ends at log SNR = -inf, for which JSON has no number."""
    entry, _ = curve(tmp_path, sde=score_sde.RectifiedFlow(t_max=1.0))
    log_snr = json.loads(json.dumps(entry, allow_nan=False))["curve"]["log_snr"]
    assert log_snr[-1] is None
    assert np.isfinite(log_snr[:-1]).all()


def test_a_killed_evaluation_goes_on(tmp_path):
    whole, _ = curve(tmp_path)
    (path,) = (tmp_path / "evaluation").glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    again, said = curve(tmp_path, batch_size=5)
    assert said[0] == "loss_by_time: 4 of 10 examples are there from before"
    np.testing.assert_allclose(again["curve"]["loss"], whole["curve"]["loss"], rtol=1e-5)
    assert again["protocol"] == whole["protocol"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 1}, "points=1 must be at least 2"),
        ({"quantity": "epsilon"}, "did you mean 'eps'"),
        ({"repeats": 0}, "repeats=0 must be at least 1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LossByTime(**options)
