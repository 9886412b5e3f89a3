"""A run's loss by time, read back relative to that of an answer that has learnt nothing."""

import jax.numpy as jnp
import numpy as np
import pytest
from made_curve import measured_run
from made_info import image_info

import score_sde
from score_sde.errors import UserError
from score_sde.objectives.weightings import QUANTITIES
from score_sde.prediction import Prediction
from score_sde.runs import loss_curve
from score_sde.runs.loss_curve import LossCurve

INFO = image_info("digits", "train", 20, (8, 8, 1), levels=17)
SIGMA_DATA = 0.7


def made(workdir, *measured):
    measured_run(workdir, INFO, *measured)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_error_of_a_gaussian_gives_a_loss_of_1(tmp_path, x64, quantity):
    """Its posterior knows no more than mean and scale, at every level, whatever was measured."""
    sde, t = score_sde.VP(), np.linspace(1e-3, 1, 7)
    alpha, sigma = sde.alpha(t), sde.sigma(t)
    # The posterior variance of x0, and what the same error of x is in another quantity.
    error = SIGMA_DATA * sigma / np.sqrt(sigma**2 + (alpha * SIGMA_DATA) ** 2)
    pair = Prediction(jnp.asarray(error), jnp.asarray(-error * alpha / sigma))
    loss = np.asarray(QUANTITIES[quantity](sde, jnp.asarray(t), pair)) ** 2
    made(tmp_path / "run", loss, t, quantity)
    curve = loss_curve.read(tmp_path / "run", INFO)
    np.testing.assert_allclose(curve.log_sigma, np.log(sigma / alpha), rtol=1e-12)
    np.testing.assert_allclose(curve.relative(SIGMA_DATA), np.ones(7), rtol=1e-10)


def test_a_curve_goes_from_little_noise_to_much_and_leaves_out_where_there_is_no_signal(tmp_path):
    """As grids have it, and log SNR."""
    sde = score_sde.VP()
    made(tmp_path / "run", [0.3, 0.2, 0.1], [0.9, 0.5, 0.1])
    curve = loss_curve.read(tmp_path / "run", INFO)
    np.testing.assert_allclose(curve.squared, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(-2 * curve.log_sigma, sde.log_snr(np.array([0.1, 0.5, 0.9])))
    assert isinstance(curve, LossCurve)
    assert curve.space["name"] == "pixels"
    flow, t = score_sde.RectifiedFlow(t_max=1.0), np.array([0.5, 1.0])
    log_sigma, squared = loss_curve._of_eps(flow, t, np.array([0.4, 0.8]), "eps")
    np.testing.assert_allclose((log_sigma, squared), ([0.0], [0.4]), atol=1e-12)


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (image_info("cifar10", "train", 20, (8, 8, 1)), "of other data: digits, not cifar10"),
        (image_info("digits", "train", 20, (6, 8, 1)), "the shape of image was 8x8x1 and is 6x8x1"),
        (image_info("digits", "train", 21, (8, 8, 1), levels=17), "the number of examples was 20"),
    ],
)
def test_a_run_of_other_data_is_refused(tmp_path, info, says):
    made(tmp_path / "run", [0.1, 0.2], [0.1, 0.2])
    with pytest.raises(UserError, match=says):
        loss_curve.read(tmp_path / "run", info)


def test_a_run_without_the_curve_is_told_how_to_measure_it(tmp_path):
    """And a folder without a run, what is missing."""
    made(tmp_path / "run", [0.1], [0.1])
    (tmp_path / "run" / "evaluation.json").unlink()
    with pytest.raises(UserError, match=r"--mode=evaluate .*loss_by_time\.grid=log_snr"):
        loss_curve.read(tmp_path / "run", INFO)
    with pytest.raises(UserError, match="no run in"):
        loss_curve.read(tmp_path / "none", INFO)
