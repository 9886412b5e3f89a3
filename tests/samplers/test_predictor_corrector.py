"""Predictor-corrector sampling against exact distributions, and what it promises its callers.

Statistical tests draw 4096 samples with a fixed key and allow 4 standard errors for each of 6
statistics of a two-dimensional mixture: two means, three second moments and a mode's weight.
"""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_program import any_of, as_argument
from sampler_oracles import Counted, expected, mixture, statistics, z_scores

import score_sde
from score_sde import analytic, samplers
from score_sde.processes import DDPM, SMLD
from score_sde.samplers.sample import PRIOR

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("well_compiled")]

VP, SUBVP, VE = score_sde.VP(), score_sde.SubVP(), score_sde.VE()
PAPER = [VP, SUBVP, VE]
PROCESSES = tuple(make() for make in score_sde.processes.CONTINUOUS.values())
SAMPLES = 4096
KEY = jax.random.key(3)


def name_of(value):
    return type(value).__name__ if isinstance(value, score_sde.SDE) else str(value)


def sample(sde, denoise, jit=True, cond=None, x_init=None, shape=None, **options):
    """A run of the sampler, compiled as a whole unless jit is False."""
    sampler = samplers.get("predictor_corrector", **options)

    def run(key, x_init):
        return sampler(key, denoise, sde, shape=shape, x_init=x_init, cond=cond)

    return (jax.jit(run) if jit else run)(KEY, x_init)


@functools.partial(jax.jit, static_argnames="shape")
def run_planned(sampler, sde, x_init, shape):
    return sampler(KEY, mixture(sde), sde, shape=shape, x_init=x_init).x


def sample_mixture(sde, x_init=None, shape=None, among=PROCESSES, sampler=None, **options):
    """As `sample` with the mixture's denoiser, in one program for all that differ in numbers."""
    sampler = sampler or samplers.get("predictor_corrector", **options)
    return run_planned(as_argument(sampler, sde), any_of(sde, among), x_init, shape)


@jax.jit
def predict_given(sde, x, t):
    return mixture(sde)(x, t)


def predict(sde, x, t):
    """What the mixture's denoiser says at one time, in one program for all processes."""
    return predict_given(any_of(sde, [*PROCESSES, *SHORT]), x, jnp.asarray(t, x.dtype))


def assert_samples_the_mixture(sde, **options):
    scores = z_scores(sample_mixture(sde, shape=(SAMPLES, 2), **options))
    assert np.abs(scores).max() < 4, scores


@pytest.mark.parametrize(
    ("sde", "predictor"),
    [(VP, "euler_maruyama"), (SUBVP, "probability_flow")]
    + [(sde, predictor) for sde in PAPER for predictor in ("reverse_diffusion", "ancestral")],
    ids=name_of,
)
def test_predictors_sample_the_mixture(x64, sde, predictor):
    """At 500 steps every predictor's own error is below one standard error."""
    assert_samples_the_mixture(sde, predictor=predictor, corrector="none", steps=500)


@pytest.mark.parametrize(
    ("sde", "options"),
    [(sde, {"corrector": "langevin"}) for sde in PAPER]
    + [(sde, {"corrector": "ald"}) for sde in (VP, VE)]
    + [(VE, {"corrector": "langevin", "order": "predictor_first", "noise_norm": "sqrt_d"})],
    ids=name_of,
)
def test_correctors_keep_the_mixture(x64, sde, options):
    """A Langevin step of ratio snr inflates a variance by snr^2 / 2 or so: 0.1% for snr 0.05."""
    options = {"predictor": "ancestral", "snr": 0.05, "steps": 500} | options
    assert_samples_the_mixture(sde, **options)


@pytest.mark.parametrize(
    ("sde", "grid", "predictor"),
    [
        (score_sde.EDM(), "karras", "reverse_diffusion"),
        (score_sde.EDM(), "log_snr", "reverse_diffusion"),
        (score_sde.CosineVP(), "uniform", "ancestral"),
        (score_sde.RectifiedFlow(), "quadratic", "ancestral"),
    ],
    ids=name_of,
)
def test_other_processes_and_grids(x64, sde, grid, predictor):
    assert_samples_the_mixture(sde, predictor=predictor, corrector="none", grid=grid, steps=500)


@pytest.mark.parametrize("name", score_sde.processes.CONTINUOUS)
def test_predictor_corrector_in_every_process(x64, name):
    """Moments and weights within 3 standard errors, in each process at the same settings."""
    sde = score_sde.processes.CONTINUOUS[name]()
    options = {"predictor": "ancestral", "snr": 0.05, "steps": 500, "noise_norm": "sqrt_d"}
    grid = "karras" if name == "edm" else "uniform"
    x = sample_mixture(sde, shape=(SAMPLES, 2), grid=grid, **options)
    assert np.abs(z_scores(x)).max() < 3


@pytest.mark.parametrize("predictor", ["reverse_diffusion", "ancestral", "probability_flow"])
@pytest.mark.parametrize("sde", PAPER, ids=name_of)
def test_more_corrector_steps_are_never_worse(x64, sde, predictor):
    """At 25 predictor steps, with 0 to 8 corrector steps each.

    The error is the Euclidean norm of the errors of 6 statistics of the mixture. From one number of
    corrector steps to the next it may grow by 3 of its standard errors; where the predictor alone
    is far off, 8 corrector steps take away more than half.
    """
    errors, noise = [], []
    for number in (0, 2, 8):
        options = {"corrector_steps": number} if number else {"corrector": "none"}
        options |= {"predictor": predictor, "steps": 25, "snr": 0.1, "noise_norm": "sqrt_d"}
        x = sample_mixture(sde, shape=(SAMPLES, 2), **options)
        values = statistics(np.asarray(x))
        errors.append(np.linalg.norm(values.mean(0) - expected()))
        noise.append(np.sqrt(values.var(0).sum() / SAMPLES))
    errors, noise = np.array(errors), np.array(noise)
    assert (errors[1:] < errors[:-1] + 3 * noise[1:]).all(), errors
    if errors[0] > 6 * noise[0]:
        assert errors[-1] < errors[0] / 2, errors


def test_langevin_alone_finds_a_gaussian(x64):
    """Without a predictor, correctors at falling noise levels sample: annealed Langevin dynamics.

    A step of eps = 2 snr^2 v turns a variance u into (1 - eps / v)^2 u + 2 eps, whose fixed point
    is v / (1 - snr^2) = 1.01 v. It lags behind the falling level too: 5% are allowed.
    """
    denoise = analytic.gaussian(VE, np.array([0.3, -0.2]), 0.5)
    options = {"predictor": "none", "snr": 0.1, "corrector_steps": 2, "noise_norm": "sqrt_d"}
    x = np.asarray(sample(VE, denoise, shape=(SAMPLES, 2), **options).x)
    error = 4 * 0.5 / np.sqrt(SAMPLES)
    np.testing.assert_allclose(x.mean(0), [0.3, -0.2], atol=error)
    np.testing.assert_allclose(x.std(0), 0.5, rtol=0.05)


def test_langevin_step_size(x64):
    """A step of VE moves x by eps score + sqrt(2 eps) z with eps = 2 (snr |z| / |score|)^2.

    For a score of 1 everywhere eps = 2 snr^2, as |z| = sqrt(d) to 1% in d = 4096 dimensions: the
    mean of the move is eps and its variance 2 eps, within 4 standard errors and 2%.
    """

    def denoise(x, t, cond=None):
        return score_sde.Prediction(x, -jnp.ones_like(x) * VE.sigma(t)[:, None])

    x = jnp.zeros((16, 4096))
    moved = sample(VE, denoise, x_init=x, predictor="none", steps=1, snr=0.3).x
    eps = 2 * 0.3**2
    assert abs(moved.mean() - eps) < 4 * np.sqrt(2 * eps / x.size) + 0.02 * eps
    assert abs(moved.var() / (2 * eps) - 1) < 4 * np.sqrt(2 / x.size) + 0.02


@pytest.mark.parametrize("predictor", ["euler_maruyama", "reverse_diffusion", "ancestral"])
def test_probability_flow_is_of_order_one(x64, predictor):
    """Halving the steps halves the error against a Gaussian's closed form (at t = 0 for VP)."""
    denoise = analytic.gaussian(VP, np.array([0.3]), 0.5)
    x = jnp.array([[-2.0], [-1.0], [-0.3], [0.4], [1.3], [2.2]])
    alpha, sigma = VP.alpha(VP.t_max), VP.sigma(VP.t_max)
    exact = 0.3 + (x - alpha * 0.3) * 0.5 / jnp.sqrt((alpha * 0.5) ** 2 + sigma**2)
    options = {"predictor": predictor, "probability_flow": True, "corrector": "none"}
    errors = [
        float(jnp.abs(sample(VP, denoise, x_init=x, steps=n, **options).x - exact).max())
        for n in (160, 320, 640)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 1, atol=0.1)
    assert errors[-1] < 0.05


@pytest.mark.parametrize(
    ("options", "nfe"),
    [
        ({"jit": False}, 10),
        ({"corrector": "ald", "corrector_steps": 3}, 20),
        ({"predictor": "none", "corrector_steps": 2}, 10),
        ({"order": "predictor_first"}, 9),
        ({"order": "predictor_first", "corrector": "none"}, 5),
    ],
)
def test_nfe_counts_real_evaluations(options, nfe):
    denoise = Counted(mixture(VE))
    out = sample(VE, denoise, shape=(4, 2), **({"steps": 5} | options))
    jax.block_until_ready(out.x)
    assert int(out.nfe) == denoise.count == nfe


@pytest.mark.parametrize(
    ("order", "expected"), [("corrector_first", "000111222"), ("predictor_first", "0111222")]
)
def test_order_of_times(order, expected):
    """Where the denoiser is evaluated, with two corrector steps at each of three times."""
    seen = []

    def denoise(x, t, cond=None):
        jax.debug.callback(lambda t: seen.append(float(t[0])), t, ordered=True)
        return mixture(VE)(x, t)

    sample(VE, denoise, shape=(4, 2), steps=3, corrector_steps=2, order=order)
    jax.effects_barrier()
    times = np.linspace(VE.t_max, VE.t_min, 3)[[int(i) for i in expected]]
    np.testing.assert_allclose(seen, times, rtol=1e-6)


@pytest.mark.parametrize(
    "sde", [SUBVP, VE, score_sde.CosineVP(), score_sde.RectifiedFlow()], ids=name_of
)
def test_ancestral_step_to_the_data_is_the_prediction(x64, sde):
    """From t_max to 0 in one step: (x + sigma^2 score) / alpha = E[x_0 | x], without noise."""
    x = sde.prior_sample(KEY, (4, 2))
    options = {"predictor": "ancestral", "corrector": "none", "steps": 1, "denoise_final": "none"}
    expected = predict(sde, x, sde.t_max).x0
    np.testing.assert_allclose(sample_mixture(sde, x_init=x, **options), expected, rtol=1e-9)


def test_denoise_final_leaves_out_the_last_noise(x64):
    """For VE that noise is of standard deviation sigma(t_min); 4 standard errors of it."""
    options = {"corrector": "none", "steps": 20, "shape": (4096, 2)}
    noise = sample(VE, mixture(VE), denoise_final="none", **options).x
    noise -= sample(VE, mixture(VE), **options).x
    np.testing.assert_allclose(noise.std(), VE.sigma(VE.t_min), rtol=4 / np.sqrt(2 * noise.size))


# One step from the usual t_max would be too long for VP.
SHORT = tuple(dataclasses.replace(sde, t_max=0.02) for sde in PAPER)


@pytest.mark.parametrize("sde", SHORT, ids=name_of)
@pytest.mark.parametrize("predictor", ["euler_maruyama", "reverse_diffusion", "ancestral"])
def test_the_last_step_is_the_prediction_by_tweedie(x64, sde, predictor):
    """In one step from x at t_max: E[x_0 | x], whatever the predictor."""
    x = sde.prior_sample(KEY, (4, 2))
    options = {"corrector": "none", "steps": 1, "denoise_final": "tweedie", "among": SHORT}
    out = sample_mixture(sde, x_init=x, predictor=predictor, **options)
    np.testing.assert_allclose(out, predict(sde, x, sde.t_max).x0, rtol=1e-9)


@pytest.mark.parametrize("sde", PAPER, ids=name_of)
def test_ancestral_without_noise_is_ddim(x64, sde):
    """x_s = alpha_s E[x_0 | x_t] + sigma_s eps, at every step (arXiv 2010.02502, equation 12)."""
    x = sde.prior_sample(KEY, (4, 2))
    options = {"predictor": "ancestral", "probability_flow": True, "corrector": "none"}
    found = sample_mixture(sde, x_init=x, steps=25, **options)
    times = np.append(np.linspace(sde.t_max, sde.t_min, 25), 0)
    for t, s in itertools.pairwise(times):
        pair = predict(sde, x, t)
        x = sde.alpha(s) * pair.x0 + sde.sigma(s) * pair.eps if s else pair.x0
    np.testing.assert_allclose(found, x, rtol=1e-8)


SEQUENCES = (SMLD(), DDPM())


@pytest.mark.parametrize("process", SEQUENCES, ids=name_of)
def test_interpolated_noise_levels(x64, process):
    """P2000 of a sequence of 1000 levels visits times between them and samples the mixture."""
    sampler = samplers.get("P2000", predictor="ancestral")
    between = sampler.plan(process).t * (process.scales - 1) % 1
    assert (np.minimum(between, 1 - between) > 0.1).mean() > 0.5
    x = sample_mixture(process, sampler=sampler, shape=(SAMPLES, 2), among=SEQUENCES)
    assert np.abs(z_scores(x)).max() < 3


def test_dtype_is_that_of_x(x64):
    dtype = jnp.dtype(jnp.float32)
    x_init = VE.prior_sample(KEY, (4, 2), dtype)
    seen = []

    def denoise(x, t, cond=None):
        seen.append((x.dtype, t.dtype, t.shape))
        return mixture(VE)(x, t)

    assert sample(VE, denoise, x_init=x_init, steps=3).x.dtype == dtype
    assert set(seen) == {(dtype, dtype, (4,))}


def test_same_key_same_samples(x64):
    sampler = samplers.get("predictor_corrector", steps=30)

    def run(key):
        return sampler(key, mixture(VP), VP, shape=(4, 2)).x

    compiled = jax.jit(run)
    runs = [compiled(jax.random.key(0)), run(jax.random.key(0)), compiled(jax.random.key(1))]
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-10)
    assert np.abs(runs[0] - runs[2]).min() > 1e-6


def test_the_prior_draw_is_the_start(x64):
    start = VP.prior_sample(jax.random.fold_in(KEY, PRIOR), (4, 2))
    runs = [
        sample(VP, mixture(VP), steps=30, **s).x for s in ({"shape": (4, 2)}, {"x_init": start})
    ]
    assert runs[0].dtype == jnp.float64  # a shape draws in JAX's default float
    np.testing.assert_array_equal(*runs)


def test_noise_of_every_evaluation_is_new(x64):
    """With a zero score, x is the sum of its noises: as many and as large as the steps say."""

    def denoise(x, t, cond=None):
        return score_sde.Prediction(x, jnp.zeros_like(x))

    options = {"steps": 8, "corrector": "ald", "corrector_steps": 3, "denoise_final": "none"}
    x = sample(VE, denoise, x_init=jnp.zeros((1, 100_000)), snr=0.1, **options).x
    sigma = VE.sigma(np.linspace(VE.t_max, VE.t_min, 8))
    # The predictor's variances telescope to sigma(t_max)^2; a corrector step adds 4 snr^2 sigma^2.
    variance = sigma[0] ** 2 + 3 * 4 * 0.1**2 * np.sum(sigma**2)
    np.testing.assert_allclose(x.var(), variance, rtol=4 * np.sqrt(2 / x.size))


def test_cond_reaches_the_denoiser(x64):
    def denoise(x, t, cond=None):
        return analytic.gaussian_mixture(VP, cond[None], np.array([0.1]), np.ones(1))(x, t)

    cond = np.array([2.0, -1.0])
    x = sample(VP, denoise, cond=cond, shape=(64, 2), steps=200).x
    np.testing.assert_allclose(x.mean(0), cond, atol=0.1)


def test_start_must_be_given_once():
    for start in ({}, {"shape": (4, 2), "x_init": jnp.zeros((4, 2))}):
        with pytest.raises(ValueError, match="exactly one of shape"):
            sample(VP, mixture(VP), **start)
    with pytest.raises(ValueError, match="floating dtype, not int32"):
        sample(VP, mixture(VP), x_init=jnp.zeros((4, 2), jnp.int32))


@pytest.mark.parametrize(
    ("predictor", "corrector"), [("reverse_diffusion", "none"), ("euler_maruyama", "langevin")]
)
def test_too_few_steps_for_vp_is_an_error_not_a_nan(predictor, corrector):
    """DDPM's step needs beta(1) dt = 20 / (steps - 1) <= 1."""
    options = {"predictor": predictor, "corrector": corrector, "shape": (4, 2)}
    with pytest.raises(ValueError, match="steps=20 on the uniform grid are too few for VP"):
        sample(VP, mixture(VP), steps=20, **options)
    del options["shape"]
    samplers.get("predictor_corrector", steps=21, **options).plan(VP)


def test_no_step_from_where_beta_is_infinite():
    sde = score_sde.RectifiedFlow(t_max=1.0)
    samplers.get("predictor_corrector", predictor="ddim", corrector="none", steps=10).plan(sde)
    plain = samplers.get("predictor_corrector", predictor="euler_maruyama", corrector="none")
    with pytest.raises(ValueError, match="euler_maruyama has no step from the end of Rectified"):
        plain.plan(sde)


def test_coarse_plans_are_finite():
    """Every process, predictor and grid at 30 steps has finite coefficients, alpha in (0, 1]."""
    for make, predictor, grid in itertools.product(
        score_sde.processes.CONTINUOUS.values(),
        samplers.predictors.PREDICTORS,
        ("uniform", "log_snr", "quadratic", "karras", "shift"),
    ):
        plan = samplers.get("predictor_corrector", predictor=predictor, grid=grid, steps=30)
        try:
            alpha = plan.plan(make()).alpha
        except ValueError as error:
            assert "too few" in str(error)  # noqa: PT017 - an allowed outcome
            assert make is score_sde.VP
            continue
        assert ((alpha > 0) & (alpha <= 1)).all()
