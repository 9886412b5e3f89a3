"""Inverse problems: operators and their transposes, and methods against exact posteriors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tables
from sampler_oracles import MEANS, STDS, WEIGHTS, Counted, mixture

import score_sde
from score_sde import analytic, guidance, samplers
from score_sde.guidance import conjugate
from score_sde.processes import CONTINUOUS, DDPM, RectifiedFlow

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("well_compiled")]

KEY = jax.random.key(0)
VP = score_sde.VP()
PROCESSES = [make() for make in CONTINUOUS.values()]
SAMPLES = 8192

MEAN = np.array([0.2, -0.3, 0.1, 0.4])
STD = np.array([0.5, 0.7, 0.4, 0.6])
CORRELATION = np.array(
    [[1.0, 0.8, 0.5, 0.3], [0.8, 1.0, 0.6, 0.4], [0.5, 0.6, 1.0, 0.7], [0.3, 0.4, 0.7, 1.0]]
)
COVARIANCE = STD[:, None] * CORRELATION * STD
NOISE = 0.1
PAIR = guidance.Measurement(
    guidance.Elements(np.array([[True, False, True, False]])),
    np.array([[0.9, 0.0, -0.4, 0.0]]),
    NOISE,
)
# Of three numbers, no two alike, so that H H^T is no multiple of I.
MIXED = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.2, 0.9, 0.4], [0.3, -0.4, 0.0, 0.8]])


def mix(x):
    return x @ jnp.asarray(MIXED.T, x.dtype)


def posterior(mean, covariance, h, y, noise):
    """Of x ~ N(mean, covariance) given y = h x + noise m: mean and covariance."""
    gain = covariance @ h.T @ np.linalg.inv(h @ covariance @ h.T + noise**2 * np.eye(len(h)))
    return mean + gain @ (y - h @ mean), covariance - gain @ h @ covariance


def assert_distributed(x, mean, covariance, standard_errors=3.5, bias=0.0):
    """The mean and every entry of the covariance of x [n, d]; bias: a relative one beside."""
    n, error = len(x), np.asarray(x) - mean
    variance = np.diag(covariance)
    close = standard_errors / np.sqrt(n) + bias
    assert np.all(np.abs(error.mean(0)) < close * np.sqrt(variance))
    size = np.sqrt(np.outer(variance, variance) + covariance**2)
    assert np.all(np.abs(error.T @ error / n - covariance) < close * size)


OPERATORS = {
    "elements": (guidance.Elements(np.arange(8).reshape(1, 1, 8, 1) % 3 == 0), (6, 8, 3)),
    "channels": (guidance.ChannelMean(), (6, 8, 3)),
    "average": (guidance.Average(2), (6, 8, 3)),
    "average of frames": (guidance.Average(2), (3, 4, 2, 1)),
    "blur": (guidance.Blur(np.arange(15.0).reshape(5, 3) - 4), (6, 8, 3)),
    "function": (guidance.Function(mix), (4,)),
    "both": (guidance.Function(mix, lambda y: y @ jnp.asarray(MIXED, y.dtype)), (4,)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_transposes_are_transposes_and_grams_are_true(x64, name):
    """<H x, y> = <x, H^T y>; H H^T y = gram y for y in the range of H."""
    operator, shape = OPERATORS[name]
    x, other = np.random.default_rng(0).standard_normal((2, 2, *shape))

    @jax.jit
    def seen(x, other):
        y = operator.forward(other)
        back = operator.transpose(y, x)
        return operator.forward(x), y, back, operator.forward(back)

    observed, y, back, again = map(np.asarray, seen(x, other))
    assert back.shape == x.shape
    each = tuple(range(1, x.ndim))
    np.testing.assert_allclose(np.sum(observed * y, each), np.sum(x * back, each), rtol=1e-12)
    if operator.gram is not None:
        np.testing.assert_allclose(again, operator.gram * y, rtol=1e-12)


def test_a_blur_sees_what_its_kernel_says(x64):
    """A single bright pixel becomes the kernel, turned around, in its own channel."""
    kernel = np.arange(9.0).reshape(3, 3)
    x = jnp.zeros((1, 5, 5, 2)).at[0, 2, 2, 1].set(1.0)
    seen = guidance.Blur(kernel).forward(x)
    np.testing.assert_allclose(seen[0, 1:4, 1:4, 1], kernel[::-1, ::-1])
    assert not seen[..., 0].any()


def test_conjugate_gradients_solve_each_example_alone(x64):
    """In as many iterations as there are numbers; one with b = 0 gives 0 and no NaN."""
    roots = np.random.default_rng(0).standard_normal((3, 4, 4))
    matrices = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(4)
    b = np.array([[1.0, -2, 0.5, 3], [0, 0, 0, 0], [1e3, 1, 0, 1]])
    x = conjugate.solved(lambda v: jnp.einsum("bij,bj->bi", matrices, v), jnp.asarray(b), 8)
    np.testing.assert_allclose(x, np.linalg.solve(matrices, b[..., None])[..., 0], rtol=1e-8)


@pytest.mark.parametrize("sde", PROCESSES, ids=list(CONTINUOUS))
def test_pigdm_and_moments_are_the_posterior_mean_of_a_gaussian(x64, sde):
    """pigdm of data ~ N(0, std^2 I), moments of correlated data: E[x_0 | x_t, y] exactly."""
    x, t = np.random.default_rng(0).standard_normal((3, 4)), np.full(3, 0.4 * sde.t_max)
    alpha, sigma = float(sde.alpha(t[0])), float(sde.sigma(t[0]))
    y = np.array([0.9, -0.4, 0.2])
    measurement = guidance.Measurement(guidance.Function(mix), y[None], NOISE)

    def exact(mean, covariance):
        # x_t is one more observation, of everything.
        h = np.concatenate([MIXED / NOISE, alpha / sigma * np.eye(4)])
        return [
            posterior(mean, covariance, h, np.concatenate([y / NOISE, one / sigma]), 1)[0]
            for one in np.asarray(x)
        ]

    plain = analytic.gaussian(sde, np.zeros(4), 0.7)
    found = jax.jit(guidance.pigdm(plain, sde, measurement, std=0.7))(x, t)
    np.testing.assert_allclose(found.x0, exact(np.zeros(4), 0.49 * np.eye(4)), rtol=1e-6)
    np.testing.assert_allclose(alpha * found.x0 + sigma * found.eps, x, rtol=1e-9)
    correlated = analytic.correlated_gaussian(sde, MEAN, COVARIANCE)
    found = jax.jit(guidance.moments(correlated, sde, measurement, iterations=3))(x, t)
    np.testing.assert_allclose(found.x0, exact(MEAN, COVARIANCE), rtol=1e-6)
    np.testing.assert_allclose(alpha * found.x0 + sigma * found.eps, x, rtol=1e-9)


def test_dps_is_the_likelihood_of_the_mean_and_takes_the_published_steps(x64):
    """Its score beside the model's, by a gradient taken here; steps as long as Algorithm 1's."""
    denoise = analytic.correlated_gaussian(VP, MEAN, COVARIANCE)
    x, t = np.random.default_rng(0).standard_normal((2, 4)), np.full(2, 0.3)
    scale, steps = 0.4, 500

    def square(x, t):
        rest = PAIR.y - PAIR.operator.forward(denoise(x, t).x0)
        return jnp.sum(rest**2, 1)

    @jax.jit
    def found(x, t):
        gradient = jax.grad(lambda x: square(x, t).sum())(x)
        guided = guidance.dps(denoise, VP, PAIR), guidance.dps(denoise, VP, PAIR, scale, steps)
        added = [one(x, t).score(VP, t) - denoise(x, t).score(VP, t) for one in guided]
        return square(x, t), gradient, added, VP.g2(t)

    squares, gradient, (by_noise, by_steps), g2 = jax.device_get(found(x, t))
    np.testing.assert_allclose(by_noise, -gradient / (2 * NOISE**2), rtol=1e-9)
    dt = (VP.t_max - VP.t_min) / steps
    moved = g2[:, None] * dt * by_steps  # by a step of the reverse SDE
    np.testing.assert_allclose(moved, -scale / np.sqrt(squares)[:, None] * gradient, rtol=1e-9)


def test_pigdm_draws_from_the_posterior_of_standard_normal_data(x64):
    """Mean, covariance and what is left of y, within Monte-Carlo error, by a solver of the ODE."""
    h = np.eye(4)[[0, 2]]
    denoise = guidance.pigdm(analytic.gaussian(VP, np.zeros(4), 1.0), VP, PAIR)
    sampler = samplers.get("dpmpp_2m", steps=60)
    out = jax.jit(lambda key: sampler(key, denoise, VP, shape=(SAMPLES, 4)))(KEY)
    mean, covariance = posterior(np.zeros(4), np.eye(4), h, np.array([0.9, -0.4]), NOISE)
    assert_distributed(out.x, mean, covariance, bias=0.002)
    rest = np.mean((np.asarray(out.x)[:, [0, 2]] - [0.9, -0.4]) ** 2)
    # E (y - x)^2 = (y s^2)^2 / (1 + s^2)^2 + s^2 / (1 + s^2), a mean over two
    exact = NOISE**2 / (1 + NOISE**2) + np.mean([0.81, 0.16]) * (NOISE**2 / (1 + NOISE**2)) ** 2
    assert abs(rest / exact - 1) < 4 / np.sqrt(SAMPLES)
    assert out.nfe == 60


def gibbs(sampler, denoise, sde, shape, samples=SAMPLES):
    return jax.jit(lambda key: sampler(key, denoise, sde, shape=(samples, *shape)))(KEY)


def test_split_gibbs_draws_from_the_posterior_of_correlated_data(x64):
    """600 evaluations; what is left of bias: 3 % of a variance."""
    sampler = guidance.SplitGibbs(PAIR, sweeps=100, steps=6)
    out = gibbs(sampler, analytic.correlated_gaussian(VP, MEAN, COVARIANCE), VP, (4,))
    mean, covariance = posterior(MEAN, COVARIANCE, np.eye(4)[[0, 2]], np.array([0.9, -0.4]), NOISE)
    assert_distributed(out.x, mean, covariance, bias=0.03)
    assert out.nfe == 600


def test_split_gibbs_without_a_gram_has_the_noise_that_it_says(x64):
    """Of a general H: the posterior at a noise of s^2 I + last^2 H H^T, by conjugate gradients."""
    y, last = np.array([0.5, 0.3, 0.4]), 0.15
    measurement = guidance.Measurement(guidance.Function(mix), y[None], NOISE)
    sampler = guidance.SplitGibbs(measurement, sweeps=80, steps=6, last=last)
    out = gibbs(sampler, analytic.correlated_gaussian(VP, MEAN, COVARIANCE), VP, (4,))
    root = np.linalg.cholesky(NOISE**2 * np.eye(3) + last**2 * MIXED @ MIXED.T)
    white = np.linalg.solve(root, MIXED), np.linalg.solve(root, y)
    mean, covariance = posterior(MEAN, COVARIANCE, *white, 1)
    assert_distributed(out.x, mean, covariance, bias=0.03)
    seen = MIXED @ covariance @ MIXED.T  # which is much narrower
    assert_distributed(out.x @ MIXED.T, MIXED @ mean, seen, bias=0.03)


def test_split_gibbs_finds_both_modes_of_a_mixture(x64):
    """The second coordinate of two bumps is seen: shares of the modes, means and variances."""
    y, noise = 0.25, 0.3
    measurement = guidance.Measurement(
        guidance.Elements(np.array([[False, True]])), np.array([[0.0, y]]), noise
    )
    x = np.asarray(gibbs(guidance.SplitGibbs(measurement, 100, 8), mixture(VP), VP, (2,)).x)
    variances = STDS**2
    spread = variances + noise**2
    shares = WEIGHTS * np.exp(-0.5 * (y - MEANS[:, 1]) ** 2 / spread) / np.sqrt(spread)
    shares /= shares.sum()
    density = WEIGHTS / variances * np.exp(-0.5 * np.sum((x[:, None] - MEANS) ** 2, -1) / variances)
    of_first = (density[:, 0] / density.sum(1)).mean()
    assert abs(of_first - shares[0]) < 3.5 * np.sqrt(shares[0] * shares[1] / SAMPLES) + 0.01
    means = MEANS.copy()
    means[:, 1] += variances / spread * (y - MEANS[:, 1])
    within = np.stack([variances, variances * noise**2 / spread], 1)
    mean = shares @ means
    variance = shares @ (within + (means - mean) ** 2)
    assert np.all(np.abs(x.mean(0) - mean) < (3.5 / np.sqrt(SAMPLES) + 0.02) * np.sqrt(variance))
    np.testing.assert_allclose(x.var(0), variance, rtol=0.05)


def test_the_data_move_at_most_by_what_is_not_explained(x64):
    """Also for a denoiser whose Jacobian is far too large; below that the limit changes nothing."""

    def wild(x, t, cond=None):
        x0 = 50 * jnp.sin(x)
        return score_sde.Prediction(x0, (x - VP.alpha(t)[:, None] * x0) / VP.sigma(t)[:, None])

    x, t = np.random.default_rng(0).standard_normal((5, 4)), np.full(5, 0.9)
    exact = guidance.Measurement(PAIR.operator, PAIR.y)

    @jax.jit
    def found(x, t):
        x0 = wild(x, t).x0
        moved = [rule(wild, VP, exact)(x, t).x0 - x0 for rule in (guidance.pigdm, guidance.moments)]
        return exact.rest(x0), [(one, exact.operator.forward(one)) for one in moved]

    rest, moves = jax.device_get(found(x, t))
    rest = np.linalg.norm(rest, axis=1)
    for moved, explained in moves:
        explained = np.linalg.norm(explained, axis=1)
        assert np.all(explained <= rest * (1 + 1e-12))
        assert np.isfinite(moved).all()


@pytest.mark.parametrize("sde", PROCESSES, ids=list(CONTINUOUS))
def test_a_sweep_draws_the_data_behind_a_noisy_state(sde):
    """Slope and variance of x given z on Gaussian data, along the table: exact with more steps."""
    rho, variance = 0.4, 0.3
    errors = []
    for steps in (5, 40):
        table = guidance.SplitGibbs(PAIR, 1, steps, first=1.0, last=rho).table(sde)
        start = float(sde.alpha(table.t[0])), 0.0  # z = 1
        mean, std = tables.moments(table, sde, (0.0, np.sqrt(variance)), start)
        gain = variance / (variance + rho**2)
        errors.append((mean[-1] / gain - 1, (std[-1] / rho) ** 2 / gain - 1))
    assert np.abs(errors[0]).max() < 0.06
    assert np.abs(errors[1]).max() < 0.006


@pytest.mark.parametrize("sde", [RectifiedFlow(t_max=1.0), DDPM(zero_terminal_snr=True)])
def test_from_pure_noise(x64, sde):
    """Where alpha is 0 the prediction is the model's; the samples are of the posterior."""
    denoise = analytic.gaussian(sde, np.zeros(4), 1.0)
    x, end = np.random.default_rng(0).standard_normal((3, 4)), np.full(3, sde.t_max)
    by = {"pigdm": guidance.pigdm, "dps": guidance.dps, "moments": guidance.moments}
    classified = guidance.classifier(denoise, sde, lambda x, t, label: jnp.sum(x, 1))

    @jax.jit
    def predictions(x, t):
        found = {name: method(denoise, sde, PAIR)(x, t) for name, method in by.items()}
        return denoise(x, t), found, classified(x, t, {"label": jnp.zeros(3, int)})

    model, found, pair = predictions(x, end)
    for name, one in found.items():
        for part, expected in zip(one, model, strict=True):
            np.testing.assert_array_equal(part, expected, err_msg=name)
    np.testing.assert_array_equal(pair.x0, model.x0)
    guided = guidance.pigdm(denoise, sde, PAIR)
    sampler = samplers.get("ddim", grid="uniform", steps=200)
    start = jax.random.normal(KEY, (4096, 4))
    out = jax.jit(lambda x: sampler(KEY, guided, sde, x_init=x))(start)
    mean, covariance = posterior(
        np.zeros(4), np.eye(4), np.eye(4)[[0, 2]], np.array([0.9, -0.4]), NOISE
    )
    assert_distributed(out.x, mean, covariance, bias=0.03)


def test_evaluations_are_those_of_the_network(x64):
    """A callback inside the denoiser counts as many; each iteration of moments is one beside."""
    counted = Counted(mixture(VP))
    measurement = guidance.Measurement(
        guidance.Elements(np.array([[False, True]])), np.array([[0.0, 0.2]]), NOISE
    )
    ddim = samplers.get("ddim", steps=4)
    made = {
        "pigdm": (ddim, guidance.pigdm(counted, VP, measurement), 4, 4),
        "dps": (ddim, guidance.dps(counted, VP, measurement), 4, 4),
        "moments": (ddim, guidance.moments(counted, VP, measurement, 2), 4, 12),
        "gibbs": (guidance.SplitGibbs(measurement, 3, 2), counted, 6, 6),
    }
    for name, (sampler, denoise, forward, nfe) in made.items():
        before = counted.count
        assert sampler(KEY, denoise, VP, shape=(2, 2)).nfe == nfe, name
        assert counted.count - before == forward, name


def test_samplers_begin_where_their_times_do(x64):
    """Also the observation: known parts at alpha y + sigma z, the others at the prior's z sigma."""
    times = (0.1, 0.05, 0.02)
    observation = guidance.Inpainting(np.array([[0.9, 0, -0.4, 0]]), PAIR.operator.mask)
    z = VP.prior_sample(KEY, (3, 4))
    t = np.float64(0.1)
    alpha, sigma = VP.alpha(t), VP.sigma(t)
    corrected = samplers.get("predictor_corrector", predictor="euler_maruyama", times=times)
    for sampler in (samplers.get("ddim", times=times), corrected):
        assert sampler.begins(VP) == 0.1
        x = sampler.prior(KEY, VP, (3, 4))
        scale = sigma / VP.sigma(np.float64(VP.t_max))
        np.testing.assert_allclose(x, scale * z, rtol=1e-12)
        found = observation.start(VP, x, sampler.begins(VP))
        known = alpha * np.array([[0.9, 0, -0.4, 0]]) + sigma * z
        expected = np.where(PAIR.operator.mask, known, scale * z)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    for name in ("ddim", "predictor_corrector", "rk45"):
        assert samplers.get(name).begins(VP) == VP.t_max


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: guidance.dps(d, VP, guidance.Measurement(PAIR.operator, PAIR.y)), "no noise"),
        (lambda d: guidance.pigdm(d, VP, PAIR, std=0.0), "std=0.0"),
        (lambda d: guidance.moments(d, VP, PAIR, 0), "iterations=0"),
        (lambda d: guidance.Measurement(PAIR.operator, PAIR.y, -1.0), "noise=-1.0"),
        (lambda d: guidance.Average(3).forward(jnp.zeros((1, 8, 9, 1))), "factor=3 must divide"),
        (lambda d: guidance.Blur(np.ones((2, 3))).forward(jnp.zeros((1, 4, 4, 1))), "two odd"),
        (lambda d: guidance.SplitGibbs(PAIR, last=1e-4, first=0.05).check(VP), "another first"),
        (lambda d: guidance.SplitGibbs(PAIR, sweeps=0), "sweeps"),
        (lambda d: guidance.SplitGibbs(), "needs a measurement"),
        (lambda d: guidance.pigdm(d, VP, PAIR, std=float("inf")), "std=inf"),
        (lambda d: guidance.dps(d, VP, PAIR, steps=0), "steps=0"),
        (lambda d: guidance.dps(d, VP, PAIR, scale=float("nan")), "scale=nan"),
        (lambda d: guidance.moments(d, VP, PAIR, 1.5), "iterations=1.5"),
        (lambda d: guidance.Measurement(PAIR.operator, PAIR.y, "0.1"), "noise='0.1'"),
        (lambda d: guidance.Measurement(PAIR.operator, PAIR.y, iterations=0), "iterations=0"),
        (lambda d: guidance.Average(0), "factor=0 must be at least 1"),
        (lambda d: guidance.Average(1.5), "factor=1.5: this field takes a whole number"),
        (lambda d: guidance.Average(2).forward(jnp.zeros((1, 4))), "of images"),
        (lambda d: guidance.SplitGibbs(PAIR, sweeps=250_000), "1,250,000 evaluations, and at"),
    ],
)
def test_what_cannot_work_is_one_line(make, message):
    with pytest.raises(ValueError, match=message) as raised:
        make(lambda x, t, cond=None: None)
    assert "\n" not in str(raised.value)
