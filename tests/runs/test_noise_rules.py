"""Published rules for noise levels: their formulas, and the numbers that were published."""

import math

import numpy as np
import pytest

from score_sde.runs import noise_rules


def test_the_divergence_at_sigma_max_is_within_its_bound():
    """Of a Gaussian, whose divergence from the noise has a closed form, and of EDM's CIFAR-10."""
    stds, means = np.array([0.1, 0.5, 3.0]), np.array([0.2, -1.0, 0.0])
    for nats in (1 / 16, 1e-3):
        sigma = noise_rules.largest_sigma(float((stds**2 + means**2).sum()), nats)
        ratio = (stds / sigma) ** 2
        divergence = 0.5 * (ratio - np.log1p(ratio) + (means / sigma) ** 2).sum()
        assert 0 < divergence <= nats
    # sigma_data = 0.5 and a mean of -0.05 of 32 * 32 * 3 numbers.
    assert noise_rules.largest_sigma(3072 * (0.505**2 + 0.05**2)) == pytest.approx(80, rel=0.01)


def test_sigma_min_is_edms_for_256_levels_and_of_levels_hardly_changes_any():
    """P(|noise| > step / 2) = P(|z| > 2) = 4.6 %."""
    assert noise_rules.smallest_sigma(2 / 255, 0.5) == pytest.approx(0.002, rel=0.02)
    assert noise_rules.smallest_sigma(None, 0.5) == pytest.approx(0.002, rel=1e-12)
    changed = 1 - math.erf(0.5 / noise_rules.smallest_sigma(1.0, 0.5) / math.sqrt(2))
    assert changed == pytest.approx(0.0455, abs=1e-4)


def test_training_levels_scale_with_the_data_and_the_resolution():
    """EDM's own at sigma_data = 0.5; a factor on the data is one on sigma; 64 pixels are 1."""
    assert noise_rules.log_normal(0.5) == (-1.2, 1.2)
    assert noise_rules.log_normal(1.5).mean == pytest.approx(-1.2 + math.log(3), abs=1e-12)
    shifts = [noise_rules.resolution_shift(side**2) for side in (8, 32, 64, 128, 256)]
    assert shifts == [1, 1, 1, 2, 4]
    assert noise_rules.resolution_shift(128 * 512) == 4


@pytest.mark.parametrize("dimension", [5, 64, 3072, 196_608])
def test_half_of_a_level_is_shared_with_the_next(dimension):
    """Technique 2: the fraction of sizes of one level's noise within 3 deviations of the next's."""
    gamma, root = noise_rules.ratio_of_levels(dimension), math.sqrt(2 * dimension)
    a, b = root * (gamma - 1) - 3 * gamma, root * (gamma - 1) + 3 * gamma
    assert (math.erf(b / math.sqrt(2)) - math.erf(a / math.sqrt(2))) / 2 == pytest.approx(0.5)
    assert noise_rules.ratio_of_levels(4) is None


def test_the_number_of_levels_is_about_the_published():
    """232 for CIFAR-10 from 50 to 0.01 (Song and Ermon 2020); they solve it to "about"."""
    gamma = noise_rules.ratio_of_levels(3072)
    assert noise_rules.number_of_levels(0.01, 50.0, gamma) == pytest.approx(232, rel=0.06)
    assert noise_rules.number_of_levels(0.01, 1.0, 10.0) == 3
    assert noise_rules.number_of_levels(0.01, 1.0, 9.9) == 4


@pytest.mark.parametrize(("ratio", "steps"), [(1.04, 1), (1.04, 5), (1.5, 1), (1.2, 3)])
def test_no_other_snr_leaves_a_variance_nearer_to_that_of_the_level(ratio, steps):
    """Technique 4, by taking the steps: x + 2 r^2 score + 2 r z on a Gaussian of variance 1."""

    def left(snr):
        variance = ratio**2
        for _ in range(steps):
            variance = (1 - 2 * snr**2) ** 2 * variance + 4 * snr**2
        return variance

    snr = noise_rules.langevin_snr(ratio, steps)
    assert 1 < left(snr) < ratio**2
    assert all(left(snr) <= left(snr * factor) for factor in (0.5, 0.99, 1.01, 1.2))


def test_the_published_step_size():
    """6.2e-6 for the 232 levels of CIFAR-10, 5 steps at each: 0.176; the SDE paper has 0.16."""
    snr = noise_rules.langevin_snr(5000 ** (1 / 231), steps=5)
    assert 2 * (0.01 * snr) ** 2 == pytest.approx(6.2e-6, rel=0.03)
    assert snr == pytest.approx(0.16, rel=0.12)


def test_95_percent_of_the_draws_are_where_half_is_learnt():
    """Of a curve whose half width is known: exp(-d^2 / 2 w^2) is a half at d = w sqrt(2 log 2)."""
    log_sigma = np.linspace(-6, 4, 2001)
    loss = 1 - 0.7 * np.exp(-((log_sigma + 0.8) ** 2) / (2 * 0.9**2))
    found, ends = noise_rules.learnt_levels(log_sigma, loss)
    half = 0.9 * math.sqrt(2 * math.log(2))
    np.testing.assert_allclose(ends, (-0.8 - half, -0.8 + half), atol=1e-5)
    np.testing.assert_allclose(found, (-0.8, half / 1.96), atol=1e-5)


def test_an_end_that_a_curve_does_not_reach_is_its_own():
    """Where much is learnt up to the last of the levels."""
    log_sigma = np.array([-2.0, -1.0, 0.0, 1.0])
    _, ends = noise_rules.learnt_levels(log_sigma, np.array([1.0, 0.9, 0.3, 0.2]))
    np.testing.assert_allclose(ends, (-0.5, 1.0), rtol=1e-12)
    _, ends = noise_rules.learnt_levels(log_sigma, np.array([0.2, 0.3, 0.9, 1.0]))
    np.testing.assert_allclose(ends, (-2.0, -0.5), rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "says"), [((1.0, 1.1, 0.99), "learnt nothing"), ((0.1, 0.1, 0.2), "at more")]
)
def test_a_curve_that_says_nothing_is_refused(loss, says):
    with pytest.raises(ValueError, match=says):
        noise_rules.learnt_levels(np.arange(3.0), np.array(loss))
