"""States in a subspace: dimensions, densities, noise and samples of points without a centre."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from score_sde import analytic, divergence, guidance, log_likelihood, samplers
from score_sde.confined import confined
from score_sde.objectives import couplings
from score_sde.objectives.denoising import denoising_score_matching
from score_sde.objectives.weightings import QUANTITIES, Weighting
from score_sde.prediction import Prediction
from score_sde.processes import EDM, VP
from score_sde.samplers import correctors
from score_sde.subspace import PointSets, Subspace, support_of

pytestmark = pytest.mark.slow

KEY = jax.random.key(8)
POINTS = PointSets(centred=3, size="size")
SIZES = np.array([4, 3, 1, 2], np.float32)
COND = {"size": SIZES}
SHAPE = (len(SIZES), 4, 4)  # examples, points, coordinates and one feature
STD = 0.4


def mean():
    return np.random.default_rng(1).standard_normal(SHAPE[1:])


def gaussian(sde, cond=COND):
    """The exact denoiser of data P (mean + STD z)."""
    return confined(analytic.gaussian(sde, mean(), STD), POINTS, sde)


def bases():
    """Of each example an orthonormal basis of its subspace, [16, dimension]."""
    columns = jnp.eye(16, dtype=jnp.float64).reshape(16, *SHAPE[1:])
    found = []
    for size in SIZES:
        cond = {"size": jnp.full(16, size)}
        p = np.asarray(POINTS.project(columns, cond)).reshape(16, 16)
        values, vectors = np.linalg.eigh(p)
        np.testing.assert_allclose(values, np.round(values), atol=1e-12)
        np.testing.assert_allclose(p, p.T, atol=1e-12)
        found.append(vectors[:, values > 0.5])
    return found


def inside(x, cond=COND):
    """Nothing past the size, exactly; no mean of the coordinates, to rounding."""
    there = np.asarray(POINTS.there(jnp.asarray(x), cond))
    assert not np.asarray(x)[~there].any()
    np.testing.assert_allclose(np.sum(x[..., :3], axis=1), 0, atol=1e-11)


def test_projection_is_orthogonal_and_its_trace_the_dimension(x64):
    """3 (N - 1) for N points in three dimensions; 3 (N - 1) + k N with k features."""
    found = np.asarray(POINTS.dimension(jnp.zeros(SHAPE), COND))
    np.testing.assert_array_equal(found, [basis.shape[1] for basis in bases()])
    np.testing.assert_array_equal(found, 3 * (SIZES - 1) + SIZES)
    of_places = PointSets(3).dimension(jnp.zeros((2, 5, 3)), None)
    np.testing.assert_array_equal(of_places, [12, 12])
    inside(POINTS.project(jax.random.normal(KEY, SHAPE), COND))


@pytest.mark.parametrize("sde", [VP(), EDM()])
def test_prior_is_the_gaussian_of_the_subspace(x64, sde):
    """In coordinates of an orthonormal basis; (0 points past the size, no centre of mass.)"""
    where = support_of(gaussian(sde), COND)
    x = where.project(sde.prior_sample(KEY, SHAPE))
    found = sde.prior_logp(x, where.dimension(x))
    for one, logp, basis in zip(np.asarray(x), found, bases(), strict=True):
        exact = stats.norm(0, sde.prior_std).logpdf(basis.T @ one.ravel()).sum()
        np.testing.assert_allclose(logp, exact, rtol=1e-12)


def flowed(sde, x):
    """log p(x) by the closed form of the flow of `gaussian`, a factor on x - alpha mean."""
    (alpha, sigma), (alpha_1, sigma_1) = (
        (float(sde.alpha(t)), float(sde.sigma(t))) for t in (sde.t_min, sde.t_max)
    )
    factor = np.sqrt(((alpha_1 * STD) ** 2 + sigma_1**2) / ((alpha * STD) ** 2 + sigma**2))
    found = []
    for one, basis in zip(np.asarray(x), bases(), strict=True):
        coordinates, middle = (basis.T @ a.ravel() for a in (one, mean()))
        z = alpha_1 * middle + factor * (coordinates - alpha * middle)
        found.append(stats.norm(0, sde.prior_std).logpdf(z).sum() + len(z) * np.log(factor))
    return np.array(found)


def test_log_likelihood_of_a_gaussian(x64):
    """Of the subspace's dimension, where the flow and the prior are known exactly."""
    sde = VP()
    denoise = gaussian(sde)
    x = POINTS.project(mean()[None] + jax.random.normal(KEY, SHAPE), COND)
    options = {"divergence": "exact", "rtol": 1e-9, "atol": 1e-9, "cond": COND}
    run = jax.jit(lambda x: log_likelihood(KEY, denoise, sde, x, **options))
    found = run(x)
    np.testing.assert_allclose(found.logp, flowed(sde, x), rtol=1e-7)
    inside(found.latent)
    off = jax.random.normal(jax.random.fold_in(KEY, 1), SHAPE)
    off = x + off - POINTS.project(off, COND)  # which does not count
    np.testing.assert_allclose(run(off).logp, found.logp, rtol=1e-9)


def test_logp_while_sampling(x64):
    """Tends to the same, of samples in the subspace."""
    sde = VP()
    solver = samplers.get("dpmpp_2m", steps=400, grid="log_snr", denoise_final="none")
    sampler = samplers.with_logp(solver, divergence="exact")
    out = sampler(KEY, gaussian(sde), sde, shape=SHAPE, cond=COND)
    inside(out.x)
    np.testing.assert_allclose(out.logp, flowed(sde, out.x), atol=1e-2)


def test_probes_of_the_subspace(x64):
    """The mean over all signs is the trace of P J P, whatever J is; so is the exact trace."""
    matrix = np.random.default_rng(0).standard_normal((6, 6))
    where = PointSets(3)
    p = np.asarray(where.project(jnp.eye(6).reshape(6, 2, 3), None)).reshape(6, 6)

    def project(e):
        return where.project(e[None], None)[0]

    def linear(x):
        return (matrix @ x.ravel()).reshape(2, 3)

    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=6))).reshape(-1, 2, 3)
    probes = jax.vmap(project)(jnp.asarray(signs))
    x = jnp.zeros((2, 3))
    for trace in (divergence.hutchinson(probes), divergence.exact(4, project)):
        np.testing.assert_allclose(trace(linear, x)[1], np.trace(p @ matrix @ p), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("predictor_corrector", {"predictor": "ancestral", "corrector": "none", "steps": 60}),
        ("predictor_corrector", {"steps": 60, "snr": 0.1, "noise_norm": "sqrt_d"}),
        ("dpmpp_2m", {"steps": 30}),
        ("dpmpp_2m_sde", {"steps": 60}),
        ("rk45", {}),
    ],
)
def test_samplers_stay_in_the_subspace_and_keep_moments(x64, name, options):
    """The mean and the variance of data P (mean + STD z), of 1000 draws a size."""
    sde, n = VP(), 1000
    cond = {"size": jnp.asarray(np.repeat(SIZES, n))}
    sampler = samplers.get(name, **options)
    shape = (len(cond["size"]), *SHAPE[1:])
    draw = jax.jit(lambda key, cond: sampler(key, gaussian(sde), sde, shape=shape, cond=cond).x)
    x = np.asarray(draw(KEY, cond)).reshape(len(SIZES), n, *SHAPE[1:])
    inside(x.reshape(shape), cond)
    for one, basis in zip(x, bases(), strict=True):
        rest = one.reshape(n, -1) @ basis - mean().ravel() @ basis
        assert (np.abs(rest.mean(0)) < 5 * STD / np.sqrt(n) + 0.01).all()
        ratio = (rest**2).mean() / STD**2
        assert abs(ratio - 1) < 5 * np.sqrt(2 / rest.size) + 0.03


def test_langevin_is_told_the_dimension(monkeypatch):
    """Whose root stands for the norm of the noise in the step size."""
    told = []

    def langevin(score, z, *, dimension, **options):
        told.append(correctors.sqrt_d(z, dimension))
        return correctors.langevin(score, z, dimension=dimension, **options)

    monkeypatch.setitem(correctors.CORRECTORS, "langevin", langevin)
    options = {"predictor": "ancestral", "noise_norm": "sqrt_d"}
    sampler = samplers.get("predictor_corrector", steps=3, **options)
    sizes = jnp.full(len(SIZES), 3.0)
    with jax.disable_jit():
        sampler(KEY, gaussian(EDM()), EDM(), shape=SHAPE, cond={"size": sizes})
    np.testing.assert_allclose(told, np.sqrt(3 * (3 - 1) + 3), rtol=1e-6)
    assert len(told) == 3


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_loss_is_that_of_noise_in_the_subspace(x64, quantity):
    """Whatever is regressed: noise off the subspace is told, and its error is zero."""
    sde = VP()
    wrong = confined(analytic.gaussian(sde, mean() + 1.0, 1.0), POINTS, sde)
    x0 = POINTS.project(mean()[None] + jax.random.normal(KEY, SHAPE), COND)

    def within(key, x0, cond):
        x0, eps = couplings.independent()(key, x0, cond)
        return x0, POINTS.project(eps, cond)

    weighting = Weighting(quantity, lambda sde, t: jnp.ones_like(t))
    losses = [
        denoising_score_matching(KEY, wrong, sde, x0, COND, weighting=weighting, couple=couple)
        for couple in (couplings.independent(), within)
    ]
    assert (losses[0] > 0).all()
    np.testing.assert_allclose(*losses, rtol=1e-9)


def test_consistent_pair_in_all_directions(x64):
    """alpha x0 + sigma eps is x, on the subspace and off it."""
    sde, x, t = VP(), jax.random.normal(KEY, SHAPE), jnp.full(len(SIZES), 0.3)
    pair = gaussian(sde)(x, t, COND)
    np.testing.assert_allclose(sde.alpha(0.3) * pair.x0 + sde.sigma(0.3) * pair.eps, x, atol=1e-12)
    inside(pair.x0)


def test_guidance_keeps_the_size(x64):
    """What says where the states lie is told with the condition and without."""
    asked = []

    class Told:
        TAKES_NULLS = True

        def __call__(self, x, t, cond=None):
            asked.append(cond)
            shift = jnp.where(cond["label"] >= 0, 1.0, 0.0).reshape(-1, 1, 1)
            return Prediction(x + shift, x)

    sde, x, t = VP(), jax.random.normal(KEY, SHAPE), jnp.full(len(SIZES), 0.3)
    denoise = guidance.classifier_free(confined(Told(), POINTS, sde), 2.0)
    inside(denoise(x, t, {"label": np.arange(4), **COND}).x0)
    (told,) = asked
    np.testing.assert_array_equal(told["size"], np.repeat(SIZES, 2))
    np.testing.assert_array_equal(told["label"], [0, -1, 1, -1, 2, -1, 3, -1])
    out = samplers.get("ddim", steps=3)(
        KEY, denoise, sde, shape=SHAPE, cond={"label": np.arange(4), **COND}
    )
    inside(out.x)


def test_refusals():
    """Without its size a set of points is none; a denoiser of all directions stays itself."""
    x, t = jnp.zeros(SHAPE), jnp.full(len(SIZES), 0.5)
    with pytest.raises(ValueError, match="size says how many points"):
        gaussian(VP())(x, t)
    plain = analytic.gaussian(VP(), mean(), STD)
    assert confined(plain, Subspace(), VP()) is plain
