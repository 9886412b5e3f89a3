"""SMLD and DDPM: the sequences, and their losses as the papers write them, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_info import image_info

from score_sde.errors import UserError
from score_sde.noise_labels import NOISE_LABELS
from score_sde.objectives import denoising, times, weightings
from score_sde.prediction import PARAMETRIZATIONS, from_network
from score_sde.processes import DDPM, SDE, SMLD, VP
from score_sde.runs import build
from score_sde.runs import config as configs

pytestmark = pytest.mark.slow

N = 12
GRID = np.arange(N) / (N - 1)


def ddpm_levels(n):
    """b_i and alpha_bar_i of Ho et al. 2020 for the continuous beta's end points 0.1 and 20."""
    b = np.linspace(0.1 / n, 20 / n, n)
    return b, np.cumprod(1 - b)


def test_ddpm_is_the_chain_of_ho_et_al():
    """b from 1e-4 to 0.02; alpha^2 = alpha_bar and sigma^2 = 1 - alpha_bar at each t_i."""
    sde, t = DDPM(), np.arange(1000) / 999
    b, alpha_bar = ddpm_levels(1000)
    np.testing.assert_allclose((b[0], b[-1]), (1e-4, 0.02))
    np.testing.assert_allclose(sde.alpha(t) ** 2, alpha_bar, rtol=1e-12)
    np.testing.assert_allclose(sde.sigma(t) ** 2, 1 - alpha_bar, rtol=1e-10)
    a, g = sde.discretize(t[1:], np.append(1e-300, t[1:-1]))
    np.testing.assert_allclose(a, np.sqrt(1 - b[1:]), rtol=1e-12)
    np.testing.assert_allclose(g**2, b[1:], rtol=1e-9)
    to_data = sde.discretize(np.array([0.0]), np.array([0.0]))
    np.testing.assert_allclose(to_data, [[np.sqrt(1 - b[0])], [np.sqrt(b[0])]], rtol=1e-9)
    np.testing.assert_allclose(sde.beta(t[1:]), -999 * np.log1p(-b[1:]), rtol=1e-9)
    np.testing.assert_allclose(sde.alpha(jnp.asarray(t)), np.sqrt(alpha_bar), rtol=2e-5)


def test_ddpm_between_its_levels_is_a_process(x64):
    """Equation (1) of DESIGN: the derivatives are those of alpha and sigma, log_snr is inverted."""
    sde, t = DDPM(scales=40), jnp.array([0.013, 0.27, 0.51, 0.93])
    for value, slope in ((sde.alpha, sde.alpha_dot), (sde.sigma, sde.sigma_dot)):
        np.testing.assert_allclose(jax.vmap(jax.grad(value))(t), slope(t), rtol=1e-9)
    np.testing.assert_allclose(sde.time_at_log_snr(sde.log_snr(t)), t, rtol=1e-9)
    np.testing.assert_allclose(SDE.g2(sde, t), sde.g2(t), rtol=1e-9)


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "cosine"])
def test_ddpm_of_all_schedules_and_without_signal_at_its_end(schedule, shared):
    """The betas of improved DDPM and of diffusers, as products."""
    golden = np.load(shared / "golden/modern/objectives.npz")
    betas = {
        ("linear", False): "betas/linear_1000",
        ("linear", True): "betas/rescaled_zero_terminal_snr",
        ("scaled_linear", False): "betas/scaled_linear",
        ("scaled_linear", True): "betas/scaled_linear_rescaled",
        ("cosine", False): "betas/cosine_1000",
    }
    ends = (0.85, 12.0) if schedule == "scaled_linear" else (0.1, 20.0)
    t = np.arange(1000) / 999
    for rescaled in (False, True):
        if (schedule, rescaled) not in betas:
            return  # its last level has next to no signal anyway
        sde = DDPM(*ends, schedule=schedule, zero_terminal_snr=rescaled)
        bars = np.cumprod(1 - golden[betas[schedule, rescaled]])
        np.testing.assert_allclose(sde.alpha(t) ** 2, bars, rtol=1e-9)
        np.testing.assert_allclose(sde.sigma(t) ** 2, 1 - bars, rtol=1e-9)
        np.testing.assert_allclose(sde.level_sigma(t) ** 2, 1 - bars, rtol=1e-3)
    assert (sde.alpha(t[-1]), sde.sigma(t[-1])) == (0, 1)


def test_ddpm_without_signal_at_its_end_is_a_process_to_there(x64):
    """Also on the last step, on which alpha falls in a straight line to 0."""
    sde, last = DDPM(scales=40, zero_terminal_snr=True), 38 / 39
    t = jnp.array([0.013, 0.51, 0.93, last + 0.3 / 39, last + 0.9 / 39])
    for value, slope in ((sde.alpha, sde.alpha_dot), (sde.sigma, sde.sigma_dot)):
        np.testing.assert_allclose(jax.vmap(jax.grad(value))(t), slope(t), rtol=1e-9)
    np.testing.assert_allclose(sde.time_at_log_snr(sde.log_snr(t)), t, rtol=1e-9)
    np.testing.assert_allclose(SDE.g2(sde, t), sde.g2(t), rtol=1e-9)
    np.testing.assert_allclose(SDE.f(sde, t), sde.f(t), rtol=1e-12)
    ends = np.array([last + 0.25 / 39, 1.0])
    np.testing.assert_allclose(sde.alpha(ends), [0.75 * sde.alpha(last), 0], atol=1e-15)
    assert np.isfinite([sde.alpha_dot(ends), sde.sigma_dot(ends)]).all()


def test_what_needs_signal_at_the_end_is_refused():
    config = configs.default()
    config.data.name, config.sde.name, config.sde.zero_terminal_snr = "digits", "ddpm", True
    info = image_info("digits", "train", 8, (8, 8, 1), 10, 17)
    config.sampling.grid, config.model.parametrization = "trailing", "v"
    for name, value, words in (
        ("parametrization", "eps", "parametrization=eps means nothing where no signal is left"),
        ("noise_label", "log_sigma", "noise_label=log_sigma means nothing where no signal is left"),
        ("weighting", "likelihood", "weighting=likelihood is infinite where no signal is left"),
    ):
        section = config.objective.denoising if name == "weighting" else config.model
        before = section[name]
        build.experiment(config, info)
        section[name] = value
        with pytest.raises(UserError, match=words):
            build.experiment(config, info)
        section[name] = before


def test_smld_levels_are_geometric_and_counted_from_the_largest():
    sde = SMLD(sigma_min=0.01, sigma_max=50.0, scales=N)
    np.testing.assert_allclose(sde.sigma(GRID), np.geomspace(0.01, 50, N), rtol=1e-12)
    np.testing.assert_array_equal(NOISE_LABELS["level"](sde, jnp.asarray(GRID)), np.arange(N)[::-1])


@pytest.mark.parametrize("stratified", [False, True])
def test_each_level_is_as_likely(stratified):
    n = 1 << 14
    t, c = times.draw_times(
        jax.random.key(0), SMLD(scales=N), n, times.discrete_times(), stratified
    )
    index = np.asarray(t) * (N - 1)
    np.testing.assert_allclose(index, np.round(index), atol=1e-5)
    share = np.bincount(np.round(index).astype(int), minlength=N) / n
    tolerance = 1 / n if stratified else 4 * np.sqrt((1 - 1 / N) / N / n)
    assert (abs(share - 1 / N) <= tolerance + 1e-12).all()
    np.testing.assert_array_equal(c, 1)


def test_every_level_can_be_drawn_at_the_ends_of_u():
    tiny = np.finfo(np.float32).eps
    t, _ = times.discrete_times()(DDPM(), jnp.array([tiny, 1 - tiny], jnp.float32))
    np.testing.assert_array_equal(t, [0, 1])


def network(x, label, cond):
    """Something that depends on x and on the label."""
    return jnp.sin(x) * jnp.cos(label)[:, None] + 0.1 * label[:, None]


def draw_as_the_loss_does(key, sde, x0):
    key_t, key_eps = jax.random.split(key)
    t, _ = times.draw_times(key_t, sde, len(x0), times.discrete_times())
    index = np.round(np.asarray(t) * (sde.scales - 1)).astype(int)
    return index, jax.random.normal(key_eps, x0.shape, x0.dtype)


def house_loss(key, sde, x0, parametrization, label, reduction):
    denoise = from_network(network, sde, PARAMETRIZATIONS[parametrization](), NOISE_LABELS[label])
    return denoising.denoising_score_matching(
        key,
        denoise,
        sde,
        x0,
        times=times.discrete_times(),
        weighting=weightings.simple_weighting(),
        reduction=reduction,
    )


@pytest.mark.parametrize("divided", [False, True], ids=["ncsn", "ncsnv2"])
def test_loss_of_song_and_ermon(x64, divided):
    """sigma_i^2 / 2 |s(x~, sigma_i) + (x~ - x) / sigma_i^2|^2 (1907.05600, equations 5 and 6).

    In 2006.09011 (technique 3) s = network / sigma_i. Levels are counted from the largest.
    """
    sde, key = SMLD(sigma_max=50.0, scales=N), jax.random.key(3)
    x0 = jax.random.normal(jax.random.key(1), (64, 5))
    index, eps = draw_as_the_loss_does(key, sde, x0)
    sigma = np.geomspace(0.01, 50, N)[index][:, None]
    noisy = x0 + sigma * eps
    score = network(noisy, jnp.asarray(N - 1.0 - index), None) / (sigma if divided else 1)
    paper = 0.5 * jnp.sum(sigma**2 * (score + (noisy - x0) / sigma**2) ** 2, axis=1)
    ours = house_loss(key, sde, x0, "scaled_score" if divided else "score", "level", "half_sum")
    assert len(set(index)) > N // 2
    np.testing.assert_allclose(ours, paper, rtol=1e-9)


def test_loss_of_ho_et_al(x64):
    """|eps - eps_theta(x_i, i)|^2, x_i = sqrt(alpha_bar_i) x_0 + sqrt(1 - alpha_bar_i) eps (14)."""
    sde, key = DDPM(), jax.random.key(4)
    x0 = jax.random.normal(jax.random.key(1), (64, 5))
    index, eps = draw_as_the_loss_does(key, sde, x0)
    alpha_bar = ddpm_levels(1000)[1][index][:, None]
    noisy = np.sqrt(alpha_bar) * x0 + np.sqrt(1 - alpha_bar) * eps
    paper = jnp.mean((eps - network(noisy, jnp.asarray(1.0 * index), None)) ** 2, axis=1)
    np.testing.assert_allclose(house_loss(key, sde, x0, "eps", "time", "mean"), paper, rtol=1e-8)


def test_a_process_without_levels_is_refused():
    with pytest.raises(ValueError, match="VP has no discrete levels: use smld or ddpm"):
        times.discrete_times()(VP(), jnp.array([0.5]))
    with pytest.raises(ValueError, match="scales=1 must be at least 2"):
        SMLD(scales=1)
    with pytest.raises(ValueError, match="scales=20 must be above beta_max=20"):
        DDPM(scales=20)
    info = image_info("digits", "train", 1297, (8, 8, 1), 10, 17)
    for path, value in (("objective.denoising.times", "discrete"), ("model.noise_label", "level")):
        config = configs.default()
        configs.set_field(config, path, value)
        with pytest.raises(UserError, match=f"{path.split('.')[-1]}={value} needs a discrete seq"):
            build.experiment(config, info)


def test_between_two_levels_a_released_network_is_of_the_lower_one():
    """score = -output / sqrt(1 - alpha_bar_i), i = floor(999 t), with alpha_bar in float32."""
    sde = DDPM()
    exact = np.sqrt(1 - ddpm_levels(1000)[1])
    for dtype in (np.float32, np.float64):
        t = (np.arange(1000) / 999).astype(dtype)
        np.testing.assert_allclose(sde.level_sigma(t), exact, rtol=1e-4)
        np.testing.assert_allclose(sde.level_sigma(t)[100:], exact[100:], rtol=2e-6)
        between = (t + dtype(0.9 / 999))[:-1]
        np.testing.assert_array_equal(sde.level_sigma(between), sde.level_sigma(t[:-1]))
        np.testing.assert_allclose(sde.level_sigma(jnp.asarray(t)), sde.level_sigma(t), rtol=1e-6)
    t = jnp.asarray([0.01, 0.6])
    x = jax.random.normal(jax.random.key(0), (2, 3))
    pair = PARAMETRIZATIONS["level_eps"]().prediction(sde, x, t, jnp.ones_like(x))
    np.testing.assert_allclose(pair.score(sde, t)[:, 0], -1 / exact[[9, 599]], rtol=2e-5)
    mixed = sde.alpha(t)[:, None] * pair.x0 + sde.sigma(t)[:, None] * pair.eps
    np.testing.assert_allclose(mixed, x, rtol=1e-5)


def test_between_two_levels_smld_is_of_the_one_that_the_network_is_told(x64):
    """score = output / sigma_i, i = round((1 - t)(N - 1)) on descending sigmas, as released."""
    sde = SMLD(scales=N)
    t = jnp.asarray([0.0, 0.03, 0.52, 0.77, 1.0])
    x = jax.random.normal(jax.random.key(0), (5, 3))
    label = NOISE_LABELS["level"](sde, t)
    sigma = np.geomspace(50, 0.01, N)[np.asarray(label, int)]
    pair = PARAMETRIZATIONS["scaled_score"]().prediction(sde, x, t, network(x, label, None))
    expected = network(x, label, None) / sigma[:, None]
    np.testing.assert_allclose(pair.score(sde, t), expected, rtol=1e-9)
    np.testing.assert_allclose(pair.x0 + sde.sigma(t)[:, None] * pair.eps, x, rtol=1e-9)
