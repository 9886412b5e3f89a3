"""Guidance by two predictions: closed forms of Gaussians, golden numbers, intervals, true costs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde import analytic, composite, guidance, latent, samplers
from score_sde.guidance.observation import Inpainting
from score_sde.prediction import Prediction
from score_sde.samplers.threshold import thresholded

pytestmark = pytest.mark.slow

KEY = jax.random.key(5)
VP = score_sde.VP()
MEANS, STD = np.array([[-0.5], [0.1], [0.7]]), 0.4  # of no class, and of two classes
BATCH = 3
LABELS = {"label": jnp.array([1, 0, 1])}
INTERVAL = (0.3, 4.0)


class Classes:
    """Gaussians of one width, one for a class and one for none; it counts what it is asked.

    It knows the null of an example, as networks do, and how many examples it was asked about.
    """

    TAKES_NULLS = True

    def __init__(self, sde):
        self.sde, self.examples, self.calls = sde, 0, 0

    def __call__(self, x, t, cond=None):
        jax.debug.callback(self._add, len(x))
        label = jnp.full(len(x), -1) if cond is None else cond["label"]
        mean = jnp.asarray(MEANS, x.dtype)[label + 1]
        alpha = jnp.broadcast_to(self.sde.alpha(t), x.shape[:1])[:, None]
        pair = analytic.gaussian(self.sde, np.zeros(1), STD)(x - alpha * mean, t)
        return Prediction(pair.x0 + mean, pair.eps)

    def _add(self, examples):
        self.calls, self.examples = self.calls + 1, self.examples + int(examples)

    def counted(self):
        """Evaluations for each of BATCH images since the last time."""
        jax.effects_barrier()
        found, self.examples, self.calls = self.examples / BATCH, 0, 0
        return found


def pair_of(sde, x, t, x0):
    alpha, sigma = (jnp.full((1,) * x.ndim, level(t)) for level in (sde.alpha, sde.sigma))
    return Prediction(x0, (x - alpha * x0) / sigma)


@pytest.fixture
def golden(x64, shared):
    """Two predictions at a time of VP, as a denoiser; what the reference makes of their data."""
    arrays = np.load(shared / "golden" / "modern" / "objectives.npz")
    found = {name[4:]: arrays[name] for name in arrays.files if name.startswith("cfg/")}
    x, t = jax.random.normal(KEY, found["cond"].shape, jnp.float64), jnp.float64(0.4)

    def denoise(x, t, cond=None):
        return pair_of(VP, x, t, jnp.asarray(found["uncond" if cond is None else "cond"]))

    return found, denoise, x, t


def assert_consistent(pair, x, t):
    np.testing.assert_allclose(pair.eps, pair_of(VP, x, t, pair.x0).eps, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("phi", ["0", "0.3", "0.7", "1"])
def test_golden_rescaled(golden, phi):
    """Of the data as the reference, and eps such that the pair stays of the same x."""
    found, denoise, x, t = golden
    rule = guidance.classifier_free(denoise, float(found["w"]), rescale=float(phi))
    pair = rule(x, t, LABELS)
    np.testing.assert_allclose(pair.x0, found[f"rescaled_phi{phi}"], rtol=1e-12, atol=1e-12)
    assert_consistent(pair, x, t)


@pytest.mark.parametrize("of", ["eps", "v"])
def test_what_a_network_says_is_rescaled(golden, of):
    """Its noise or its v, of each example, by hand; the pair stays of the same x."""
    found, denoise, x, t = golden
    rule = guidance.classifier_free(denoise, float(found["w"]), rescale=0.7, rescales=of)
    pair, plain = rule(x, t, LABELS), guidance.classifier_free(denoise, float(found["w"]))
    said = {"eps": lambda pair: pair.eps, "v": lambda pair: pair.v(VP, t)}[of]
    wanted, guided = (np.asarray(said(d(x, t, LABELS))) for d in (denoise, plain))
    for w, g, got in zip(wanted, guided, np.asarray(said(pair)), strict=True):
        np.testing.assert_allclose(got, (0.7 * w.std() / g.std() + 0.3) * g, rtol=1e-9, atol=1e-9)
    assert_consistent(pair, x, t)


def test_skipped_layers_are_left_behind_beside_guidance(golden):
    """G + s (D_1 - D_0), in an interval and at no cost outside it."""
    found, denoise, x, t = golden

    def weak(x, t, cond=None):
        return pair_of(VP, x, t, jnp.sin(jnp.asarray(found["cond"])))

    guided = guidance.classifier_free(denoise, float(found["w"]))
    for interval, inside in ((None, True), ((0.1, 100.0), True), ((0.1, 0.2), False)):
        rule = guidance.skip_layers(guided, weak, 2.8, interval=interval)
        rule = composite.bound(rule, VP)
        pair = jax.jit(rule)(x, t, LABELS)
        more = 2.8 * (found["cond"] - np.sin(found["cond"])) if inside else 0
        np.testing.assert_allclose(pair.x0, found["guided"] + more, rtol=1e-12, atol=1e-12)
        assert_consistent(pair, x, t)
        assert composite.evaluations(rule, t) == 2 + inside
    assert guidance.skip_layers(guided, weak, 0.0) is guided
    alone = guidance.skip_layers(denoise, weak, 2.8)(x, t, LABELS).x0
    same = guidance.autoguidance(denoise, weak, 3.8)(x, t, LABELS).x0
    np.testing.assert_allclose(alone, same, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("eta", "norm"), [(0.0, 0.0), (0.3, 0.0), (0.3, 8.0), (0.0, 1e3)])
def test_adaptive_projected_is_the_paper(golden, eta, norm):
    """The update, shortened and projected example by example, in NumPy; the pair is consistent."""
    found, denoise, x, t = golden
    pair = guidance.adaptive_projected(denoise, 5.0, eta=eta, norm=norm)(x, t, LABELS)
    for c, u, got in zip(found["cond"], found["uncond"], np.asarray(pair.x0), strict=True):
        update = c - u
        if norm:
            update = update * min(1, norm / np.linalg.norm(update))
        along = c / np.linalg.norm(c)
        parallel = np.sum(update * along) * along
        expected = c + 4 * ((update - parallel) + eta * parallel)
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)
    assert_consistent(pair, x, t)


def test_adaptive_projected_without_projection_is_classifier_free(golden):
    found, denoise, x, t = golden
    pair = guidance.adaptive_projected(denoise, float(found["w"]), eta=1.0)(x, t, LABELS)
    np.testing.assert_allclose(pair.x0, found["guided"], rtol=1e-12, atol=1e-12)
    assert_consistent(pair, x, t)


def test_equal_predictions_stay(x64):
    """Nothing is divided by 0 where there is nothing to guide to."""

    def denoise(x, t, cond=None):
        return Prediction(jnp.zeros_like(x), x)

    x = jnp.ones((2, 3))
    for rule in (
        guidance.classifier_free(denoise, 3.0, rescale=0.7),
        guidance.adaptive_projected(denoise, 3.0, norm=1.0),
    ):
        pair = rule(x, 0.5, LABELS)
        np.testing.assert_array_equal(pair.x0, 0)
        np.testing.assert_array_equal(pair.eps, x)


@pytest.mark.parametrize("sde", [VP, score_sde.EDM()], ids=["VP", "EDM"])
def test_autoguidance_between_gaussians(x64, sde):
    """N(0, .5^2) by N(0, .6^2): log x moves by w times the one and 1 - w times the other; the end
    is s1^w s0^(1 - w) = .41667 wide (ORACLES)."""
    strong, weak, w = 0.5, 0.6, 2.0
    guided = guidance.autoguidance(
        analytic.gaussian(sde, np.zeros(1), strong), analytic.gaussian(sde, np.zeros(1), weak), w
    )
    x = sde.prior_std * jnp.ones((1, 1))
    run = jax.jit(lambda x: samplers.get("rk45", rtol=1e-9, atol=1e-9)(KEY, guided, sde, x_init=x))
    times = np.array([sde.t_min, sde.t_max])

    def shrinks(std):
        low, high = (sde.alpha(times) * std) ** 2 + sde.sigma(times) ** 2
        return np.sqrt(low / high)

    end = float(run(x).x[0, 0])
    np.testing.assert_allclose(end, x[0, 0] * shrinks(strong) ** w * shrinks(weak) ** (1 - w), 1e-7)
    np.testing.assert_allclose(end, 0.41667, rtol=1e-3)


def test_what_changes_nothing_is_the_denoiser_itself():
    """Scale 1 and an empty interval: bit for bit, at no cost."""
    denoise = Classes(VP)
    for rule in (guidance.classifier_free, guidance.adaptive_projected):
        assert rule(denoise, 1.0) is denoise
        assert rule(denoise, 3.0, interval=(1.0, 1.0)) is denoise
    assert guidance.autoguidance(denoise, denoise, 1.0, interval=(0, 9)) is denoise
    assert guidance.autoguidance(denoise, denoise, 3.0, interval=(2.0, 2.0)) is denoise


def test_one_call_for_both_halves(x64):
    """A denoiser that knows nulls is called once; another one twice, with None."""
    denoise, x = Classes(VP), jnp.ones((BATCH, 1))
    told = []

    def plain(x, t, cond=None):
        told.append(cond)
        return denoise(x, t, cond)

    batched = guidance.classifier_free(denoise, 2.5)(x, 0.3, LABELS)
    jax.effects_barrier()
    assert (denoise.calls, denoise.examples) == (1, 2 * BATCH)
    apart = guidance.classifier_free(plain, 2.5)(x, 0.3, LABELS)
    assert told == [LABELS, None]
    np.testing.assert_array_equal(batched.x0, apart.x0)
    away = {"label": jnp.array([0])}
    negative = guidance.classifier_free(denoise, 2.5, negative=away)(x, 0.3, LABELS)
    wanted, other = (denoise(x, 0.3, {"label": jnp.array(c)}).x0 for c in ([1, 0, 1], [0, 0, 0]))
    np.testing.assert_allclose(negative.x0, other + 2.5 * (wanted - other), rtol=1e-14)


FIRST = {"order": "predictor_first", "corrector_steps": 2}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(
            (name, {})
            for name, sampler in samplers.SAMPLERS.items()
            # Those are of a network, and of tokens.
            if not sampler.JUMPS and name != "improved_ddpm" and name not in samplers.TOKENS
        ),
        ("predictor_corrector", FIRST),
    ],
)
def test_nfe_counts_real_evaluations(x64, name, options):
    """Without guidance, and with it in an interval: two where it guides and one elsewhere."""
    steps = {} if name == "rk45" else {"steps": 30}
    sampler, denoise = samplers.get(name, **steps, **options), Classes(VP)
    guided = guidance.classifier_free(denoise, 2.5, interval=INTERVAL)
    x = jax.random.normal(KEY, (BATCH, 1))
    run = jax.jit(lambda x, d: sampler(KEY, d, VP, x_init=x, cond=LABELS), static_argnums=1)
    plain = run(x, denoise)
    assert int(plain.nfe) == denoise.counted()
    out = run(x, guided)
    assert int(out.nfe) == denoise.counted()
    assert int(plain.nfe) < int(out.nfe) < 2 * int(plain.nfe) or name == "rk45"


def by_hand(denoise, sde, scale):
    """Guidance in INTERVAL as it is written: both halves everywhere, one of them taken."""

    def guided(x, t, cond=None):
        t = jnp.broadcast_to(t, x.shape[:1])
        ratio = (sde.sigma(t) / sde.alpha(t))[:, None]
        inside = (ratio >= INTERVAL[0]) & (ratio <= INTERVAL[1])
        given, free = denoise(x, t, cond), denoise(x, t)
        return jax.tree.map(lambda u, c: jnp.where(inside, u + scale * (c - u), c), free, given)

    return guided


@pytest.mark.parametrize("sde", [VP, score_sde.RectifiedFlow(t_max=1.0)], ids=["VP", "flow"])
def test_interval_is_that_by_hand(x64, sde):
    """One sampler to rounding, and a batch whose times differ."""
    guided = guidance.classifier_free(Classes(sde), 2.5, interval=INTERVAL)
    hand = by_hand(Classes(sde), sde, 2.5)
    x, t = jax.random.normal(KEY, (BATCH, 1)), jnp.array([sde.t_min, 0.5, sde.t_max])
    found = composite.bound(guided, sde)(x, t, LABELS)
    np.testing.assert_allclose(found.x0, hand(x, t, LABELS).x0, rtol=1e-12)
    sampler = samplers.get("ddim", steps=9, grid="uniform")
    one, other = (sampler(KEY, d, sde, x_init=x, cond=LABELS).x for d in (guided, hand))
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_likelihood_and_codes_of_an_interval(x64):
    """The flow is affine in each part: x(t) - alpha m scales with the deviation, about that part's
    mean. Density, code and number of evaluations; adaptive solves take the parts one by one."""
    w, denoise = 2.5, Classes(VP)
    guided = guidance.classifier_free(denoise, w, interval=(0.3, float("inf")))
    x, cond, tight = jnp.array([[-0.3]]), {"label": jnp.array([1])}, {"rtol": 1e-9, "atol": 1e-9}
    found = jax.jit(
        lambda x: score_sde.log_likelihood(KEY, guided, VP, x, "exact", cond=cond, **tight)
    )(x)
    (middle,) = composite.switches(composite.bound(guided, VP))
    np.testing.assert_allclose(VP.sigma(np.array(middle)) / VP.alpha(np.array(middle)), 0.3)
    own, none = MEANS[2], MEANS[0]
    z, log_scale = np.asarray(x), 0.0
    for *ends, mean in ((VP.t_min, middle, own), (middle, VP.t_max, none + w * (own - none))):
        alpha, sigma = (level(np.array(ends)) for level in (VP.alpha, VP.sigma))
        deviation = np.sqrt((alpha * STD) ** 2 + sigma**2)
        scale = deviation[1] / deviation[0]
        z, log_scale = alpha[1] * mean + (z - alpha[0] * mean) * scale, log_scale + np.log(scale)
    np.testing.assert_allclose(found.latent, z, rtol=1e-7)
    np.testing.assert_allclose(found.logp, VP.prior_logp(jnp.array(z)) + log_scale, rtol=1e-7)
    jax.effects_barrier()
    assert int(found.nfe) == found.nfe_each[0] == denoise.examples
    code = jax.jit(lambda x: latent.encode(guided, VP, x, cond=cond, **tight))(x)
    np.testing.assert_allclose(code, z, rtol=1e-7)


def test_what_is_made_of_a_guided_denoiser_hands_it_on():
    """Process, costs, switches and parts pass thresholds, observations and classifiers."""
    guided = guidance.classifier_free(Classes(VP), 2.5, interval=INTERVAL)
    observation = Inpainting(np.zeros((1, 1)), np.zeros((1, 1), bool))
    every = [
        guided,
        thresholded(guided, 1.0, 0.5),
        observation.condition(guided, VP),
        guidance.classifier(guided, VP, lambda x, t, label: jnp.sum(x, 1), conditional=True),
        guidance.autoguidance(guided, Classes(VP)),
    ]
    for made, extra in zip(every, (0, 0, 0, 0, 1), strict=True):
        made = composite.bound(made, VP)
        low, high = sorted(composite.switches(made))
        costs = [int(composite.evaluations(made, t)) for t in (VP.t_min, (low + high) / 2, 1.0)]
        assert costs == [1 + extra, 2 + extra, 1 + extra]
        parts = [composite.evaluations(part, a) for part, a, _ in composite.pieces(made, VP)]
        assert parts == costs
    # Two switches at one time are one.
    twice = guidance.autoguidance(guided, guided, interval=INTERVAL)
    assert len(composite.pieces(twice, VP)) == 3
    beyond = guidance.classifier_free(Classes(VP), 2.5, interval=(0.0, float("inf")))
    assert [composite.evaluations(p, a) for p, a, _ in composite.pieces(beyond, VP)] == [2]


def test_errors():
    denoise, x = Classes(VP), jnp.zeros((2, 1))
    with pytest.raises(ValueError, match="guidance to a condition needs one"):
        guidance.classifier_free(denoise)(x, 0.5)
    with pytest.raises(ValueError, match="must know the process"):
        guidance.classifier_free(denoise, interval=INTERVAL)(x, 0.5, LABELS)
    with pytest.raises(ValueError, match="must know the process"):
        guidance.classifier_free(denoise, interval=INTERVAL).switches()
    with pytest.raises(ValueError, match=r"give \(low, high\)"):
        guidance.classifier_free(denoise, interval=(1.0,))
    with pytest.raises(ValueError, match=r"interval=\(2, 1\) ends before it begins"):
        guidance.classifier_free(denoise, interval=(2.0, 1.0))
    with pytest.raises(ValueError, match="scale=nan"):
        guidance.autoguidance(denoise, denoise, float("nan"))
    with pytest.raises(ValueError, match="rescale=2"):
        guidance.classifier_free(denoise, rescale=2.0)
    rule = guidance.classifier_free(denoise, 2.0)
    assert rule != dataclasses.replace(rule, scale=3.0)


@pytest.mark.parametrize(
    ("cond", "negative", "message"),
    [
        ({"label": 3}, None, r"label is an array \[batch, ...\].* not of shape \(\)"),
        ({"label": np.array([1, 2, 3])}, None, r"the batch is 2: not of shape \(3,\)"),
        ({"label": np.array([1, 2])}, {"label": 1}, r"not of shape \(\)"),
        ({"label": np.array([1, 2])}, 1, "arrays by name, not of type int"),
        (3, None, "arrays by name, not of type int"),
    ],
)
def test_conditions_that_cannot_be(cond, negative, message):
    """Of one batch; a list of numbers is an array."""

    def denoise(x, t, cond=None):
        assert cond is None or cond["label"].shape == (len(x),)
        return Prediction(x, x)

    denoise.TAKES_NULLS = True
    guided = guidance.classifier_free(denoise, 2.0, negative)
    with pytest.raises(ValueError, match=message):
        guided(np.zeros((2, 1)), np.ones(2), cond)
    guidance.classifier_free(denoise, 2.0)(np.zeros((2, 1)), np.ones(2), {"label": [1, 2]})


def test_guidance_that_cannot_be():
    denoise = Classes(VP)
    for interval in (3, (None, 2.0), "ab"):
        with pytest.raises(ValueError, match=r"interval=.*: give \(low, high\)"):
            guidance.classifier_free(denoise, 2.0, interval=interval)
    with pytest.raises(ValueError, match="the weaker model's denoiser, not None"):
        guidance.autoguidance(denoise, None, 2.0)
