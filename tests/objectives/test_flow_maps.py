"""Objectives of flow maps: golden numbers, the slope at the exact map, and what is learnt."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special

from score_sde import EDM, VP, RectifiedFlow, TrigFlow, analytic
from score_sde.flow_map import Consistency, OfDenoiser
from score_sde.noise_labels import NOISE_LABELS
from score_sde.objectives import (
    ECT,
    ICT,
    SCM,
    Denoising,
    FlowMatching,
    MeanFlow,
    Shortcut,
    shortcut,
)
from score_sde.objectives.consistency import ends_apart, pseudo_huber
from score_sde.objectives.frozen import frozen
from score_sde.prediction import PARAMETRIZATIONS, Prediction, from_network

pytestmark = pytest.mark.slow

KEY = jax.random.key(6)
MEAN, STD = 0.3, 0.5


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "modern" / "objectives.npz") as arrays:
        return {n: arrays[n] for n in arrays.files if n.startswith(("ect/", "ict/"))}


def test_ect_is_the_reference_s(x64, golden, monkeypatch):
    """r of sigma in each stage; and the loss of a stand-in network, for three widths."""
    sigma = jnp.asarray(golden["ect/t"])
    for q, k, b in ((2, 8, 1), (4, 8, 2)):
        for stage in (0, 1, 3, 7):
            objective = ECT(q=float(q), k=float(k), b=float(b), stages=8).at((stage + 0.5) / 8)
            expected = golden[f"ect/r_q{q}_k{k}_b{b}_stage{stage}"]
            np.testing.assert_allclose(objective.closer(sigma), expected, rtol=1e-6, atol=1e-9)
    images, noise = (jnp.asarray(golden[f"ect/{name}"]) for name in ("images", "noise"))
    sde, t = EDM(t_min=1e-5), jnp.exp(2 * golden["ect/rnd_normal"].ravel() - 1.1)

    def stand_in(x, t, cond=None):
        return Prediction(0.3 * jnp.tanh(x) + 0.1 * jnp.cos(t)[:, None, None, None], x)

    monkeypatch.setattr(jax.random, "normal", lambda key, shape, dtype: noise)
    r = ECT().at(2.5 / 8).closer(t)
    squared = ends_apart(KEY, Consistency(sde, stand_in), sde, images, None, t, r)
    for width in ("0", "0.03", "0.06"):
        loss = pseudo_huber(squared, float(width)) / (t - r)
        np.testing.assert_allclose(loss, golden[f"ect/loss_c{width}"], rtol=1e-6)


def test_ict_is_as_published(x64, golden):
    """N(k), the noise levels, their weights, the probability of each pair, and the width."""
    sde, total = EDM(), int(golden["ict/K"])
    steps = [int(ICT().at(k / total).steps()) + 1 for k in golden["ict/k"]]
    np.testing.assert_array_equal(steps, golden["ict/N"])
    objective = ICT().at(0.0)
    levels = objective.level(sde, jnp.arange(11.0))
    np.testing.assert_allclose(levels, golden["ict/sigma"], rtol=1e-6)
    np.testing.assert_allclose(1 / np.diff(levels), golden["ict/weight"], rtol=1e-6)
    p = objective.probabilities(sde, jnp.arange(1280.0))
    np.testing.assert_allclose(p[:10], golden["ict/p"], rtol=1e-6)
    assert (p[10:] == 0).all()
    np.testing.assert_allclose(objective.width * np.sqrt(3 * 32 * 32), golden["ict/huber_c"])


# Those of small differences are asked where these are small, and with the square of the distance.
EXACT = {
    "mean_flow": (MeanFlow(share=0.7, power=0.5), RectifiedFlow()),
    "mean_flow guided": (MeanFlow(share=0.7, power=0.5, guidance=1.5, mix=0.3), RectifiedFlow()),
    "shortcut": (Shortcut(share=0.5), RectifiedFlow()),
    "ect": (ECT(stages=10, width=10.0).held_out(), EDM()),
    "ict": (ICT(width=10.0, first=1280), VP()),
    "scm": (SCM(sigma_data=STD), EDM()),
    "scm TrigFlow": (SCM(sigma_data=1.0), TrigFlow()),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_expected_slope_at_the_exact_map_is_zero(x64, name):
    """Of the mean and standard deviation, within 4 standard errors; elsewhere it leads back."""
    objective, sde = EXACT[name]
    n = 1 << 14
    x0 = MEAN + STD * jax.random.normal(jax.random.key(0), (n, 1))

    def losses(parameters):
        model = analytic.GaussianFlowMap(sde, parameters[:1], parameters[1])
        return objective(KEY, model, sde, x0)

    slopes = jax.jit(jax.jacfwd(losses))
    exact = slopes(jnp.array([MEAN, STD]))
    assert (jnp.abs(exact.mean(0)) < 4 * exact.std(0) / np.sqrt(n)).all()
    for off in (jnp.array([0.3, 0.0]), jnp.array([0.0, 0.2])):
        away = slopes(jnp.array([MEAN, STD]) + off) @ off  # above 0: a step downhill comes nearer
        assert away.mean() > 8 * away.std() / np.sqrt(n)


@pytest.mark.parametrize("sde", [EDM(), TrigFlow()], ids=["EDM", "TrigFlow"])
def test_scm_begins_as_denoising(x64, sde):
    """Before r rises the exact answer is the denoiser's, to which the loss leads back."""
    objective, n = SCM(sigma_data=1.0).at(0.0), 1 << 14
    x0 = MEAN + STD * jax.random.normal(jax.random.key(0), (n, 1))

    def losses(parameters):
        denoise = analytic.gaussian(sde, parameters[:1], parameters[1])
        return objective(KEY, Consistency(sde, denoise), sde, x0)

    slopes = jax.jit(jax.jacfwd(losses))
    exact = slopes(jnp.array([MEAN, STD]))
    assert (jnp.abs(exact.mean(0)) < 4 * exact.std(0) / np.sqrt(n)).all()
    for off in (jnp.array([0.3, 0.0]), jnp.array([0.0, 0.2])):
        away = slopes(jnp.array([MEAN, STD]) + off) @ off
        assert away.mean() > 8 * away.std() / np.sqrt(n)


def test_guidance_inside_the_target_of_mean_flow_is_guidance(x64):
    """The map of the scale omega / (1 - kappa) has no slope by it; another is led back.

    Class and no class are Gaussians of one width, so that guidance moves the mean alone, by
    w (m_c - m_u).
    """
    sde, n, apart = RectifiedFlow(), 1 << 13, 0.8
    objective = MeanFlow(share=0.7, power=0.0, guidance=1.5, mix=0.4)
    x0 = MEAN + apart + STD * jax.random.normal(jax.random.key(0), (n, 1))

    class Guided:
        def __init__(self, scale):
            self.scale = scale

        def average(self, x, t, s, cond):
            mean = MEAN if cond is None else MEAN + self.scale * apart
            return analytic.GaussianFlowMap(sde, jnp.full(1, mean), STD).average(x, t, s)

    def losses(scale):
        return objective(KEY, Guided(scale), sde, x0, {"label": jnp.zeros(n, int)})

    slopes = jax.jit(jax.jacfwd(losses))
    exact, above, below = (slopes(scale) for scale in (2.5, 2.8, 2.2))
    assert abs(exact.mean()) < 4 * exact.std() / np.sqrt(n)
    assert above.mean() > 8 * above.std() / np.sqrt(n)
    assert below.mean() < -8 * below.std() / np.sqrt(n)


def test_scm_normalises_the_tangent_of_each_example(x64):
    """The loss is |g|^2 / (|g| + c)^2 over the D numbers: two c tell one |g|."""
    sde, dimensions = EDM(), 3
    x0 = jax.random.normal(jax.random.key(0), (64, dimensions))
    model = analytic.GaussianFlowMap(sde, jnp.zeros(dimensions), 1.5)
    lengths = []
    for offset in (0.1, 2.0):
        objective = SCM(offset=offset)
        loss = jax.jit(lambda x0, objective=objective: objective(KEY, model, sde, x0))
        root = jnp.sqrt(dimensions * loss(x0))
        assert (root < 1).all()
        lengths.append(offset * root / (1 - root))
    np.testing.assert_allclose(*lengths, rtol=1e-9)
    assert lengths[0].max() > 10 * lengths[0].min() > 0


def test_frozen_is_a_constant_for_derivatives(x64):
    """Value of the function, with its own derivative in it; none by what it closes over."""

    def value(a, x):
        return x * frozen(lambda x: jax.jvp(lambda x: a * x**3, (x,), (1.0,))[1], x)

    a, x = 2.0, 1.5
    assert value(a, x) == x * 3 * a * x**2
    assert jax.grad(value)(a, x) == 0
    assert jax.grad(value, 1)(a, x) == 3 * a * x**2


def test_times_that_are_spread_evenly_are_not_spread_together():
    """Both ends of MeanFlow's jumps cover their quantiles, and say nothing of each other."""
    sde, n = RectifiedFlow(t_max=1.0), 4096
    objective = MeanFlow(share=1.0, time_mean=0.0, stratified=True)
    t, s = np.asarray(jax.jit(lambda key: objective.times(key, sde, n))(KEY), np.float64)
    quantiles = special.ndtr(special.logit(np.sort([*t, *s])))
    np.testing.assert_allclose(quantiles, (np.arange(2 * n) + 0.5) / (2 * n), atol=2e-3)
    # Of two independent quantiles the distance is d with density 2 (1 - d): a third on average.
    apart = np.abs(special.ndtr(special.logit(t)) - special.ndtr(special.logit(s)))
    assert abs(apart.mean() - 1 / 3) < 4 * np.sqrt(1 / 18 / n)
    assert abs(np.mean(apart > 0.5) - 0.25) < 4 * np.sqrt(3 / 16 / n)


def test_shortcut_s_smallest_jump_is_made_of_slopes(x64, monkeypatch):
    """Lengths are powers of two within the path; half of the smallest is asked at s = t."""
    sde, objective, told = RectifiedFlow(t_max=1.0), Shortcut(share=1.0, doublings=2), []

    def denoise(x, t, cond):
        told.append(cond["interval"])
        return Prediction(x, x)

    t, d = objective.lengths(KEY, sde, 1000)
    assert set(np.unique(d)) == {0.5, 1.0}
    np.testing.assert_array_equal(t % d, 0)
    assert 0 < t.min() <= t.max() == 1
    monkeypatch.setattr(shortcut, "frozen", lambda function, *args: function(*args))
    objective(KEY, OfDenoiser(sde, denoise), sde, jnp.zeros((64, 1)))
    halves = [interval for interval in told if (np.asarray(interval) == 0).any()]
    assert len(halves) == 2


def train(objective, sde, network, steps, x0_of, rate=1e-2):
    """A small network trained on fresh draws; what its weights are."""
    init, apply = network
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def step(carry, k):
        params, state = carry
        key = jax.random.fold_in(KEY, k)

        def loss(params):
            model = make(functools.partial(apply, params))
            return objective.at(k / steps)(key, model, sde, x0_of(key)).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    def make(bound):
        edm = PARAMETRIZATIONS["edm" if isinstance(sde, EDM) else "velocity"]()
        label = NOISE_LABELS["log_sigma" if isinstance(sde, EDM) else "sigma"]
        return objective.model(bound, sde, lambda net: from_network(net, sde, edm, label))

    params = init(jax.random.key(1))
    (params, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, jnp.arange(steps)))(
        (params, optimizer.init(params))
    )
    return make(functools.partial(apply, params))


def perceptron(width=32):
    """Two hidden layers on x, the noise label and the interval."""
    sizes = [(3, width), (width, width), (width, 1)]

    def init(key):
        keys = jax.random.split(key, 3)
        return [
            (jax.random.normal(k, shape) / np.sqrt(shape[0]), jnp.zeros(shape[1]))
            for k, shape in zip(keys, sizes, strict=True)
        ]

    def apply(params, x, label, cond):
        interval = (cond or {}).get("interval", jnp.zeros_like(label))
        h = jnp.concatenate([x, label[:, None], interval[:, None]], axis=1)
        for w, b in params[:-1]:
            h = jax.nn.silu(h @ w + b[None])
        w, b = params[-1]
        return h @ w + b[None]

    return init, apply


@pytest.mark.parametrize(
    ("objective", "sde"),
    [
        (MeanFlow(share=0.5, power=0.0, time_mean=0.0, time_std=2.0), RectifiedFlow(t_max=1.0)),
        (ECT(time_mean=0.0, time_std=1.5), EDM(t_max=10.0)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_small_network_learns_the_map_of_a_gaussian(objective, sde):
    """One jump from the end of the process to the data, within a tenth of the data's spread."""
    x0_of = lambda key: MEAN + STD * jax.random.normal(key, (256, 1))  # noqa: E731
    model = train(objective, sde, perceptron(), 4000, x0_of)
    k = jnp.linspace(-2, 2, 9)[:, None]
    end = float(jnp.sqrt((sde.alpha(sde.t_max) * STD) ** 2 + sde.sigma(sde.t_max) ** 2))
    x = sde.alpha(sde.t_max) * MEAN + end * k
    error = model.jump(x, sde.t_max, 0.0) - (MEAN + STD * k)
    assert jnp.sqrt(jnp.mean(error**2)) < 0.1 * STD


def test_the_last_stage_does_not_compare_a_model_with_itself():
    """In float32 1 - 9 / 100^8 is 1: it is refused, and the closest levels that are not differ."""
    with pytest.raises(ValueError, match=r"q=100 to the power of stages=8 is above 2\^20"):
        ECT(q=100.0, stages=8)
    objective, process = ECT(q=4.0, stages=10, k=0.0).at(1.0), EDM()
    u = jnp.float32([0.002, 1, 80])
    assert (objective.closer(u) < u).all()
    model = analytic.GaussianFlowMap(process, jnp.zeros(1), 1.0)
    loss = objective(KEY, model, process, jnp.ones((64, 1), jnp.float32))
    assert np.isfinite(loss).all()
    assert (loss > 0).mean() > 0.9


@pytest.mark.parametrize(
    ("objective", "sde"),
    [
        (ECT(time_mean=10.0), EDM()),
        (ICT(time_mean=-20.0, time_std=1.0), EDM()),  # all probabilities of pairs would be NaN
        (SCM(time_mean=-30.0), TrigFlow()),
        (MeanFlow(time_std=1e6), RectifiedFlow()),
        (Denoising(times="log_normal", time_shift=1e6), EDM()),
        (FlowMatching(times="logit_normal", time_mean=40.0), RectifiedFlow()),
    ],
    ids=lambda one: type(one).__name__,
)
def test_times_that_all_lie_on_an_end_are_refused(objective, sde):
    with pytest.raises(ValueError, match="nearly all lie on the ends"):
        objective.check(sde)
    type(objective)().check(sde)
