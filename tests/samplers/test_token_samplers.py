"""Samplers of masked tokens against what they draw of a Markov chain, enumerated exactly."""

import chains
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import samplers
from score_sde.processes import MASK, Masked
from score_sde.samplers.ordered import margin
from score_sde.samplers.token_draws import draw, most, nucleus
from score_sde.token_prediction import NEVER

pytestmark = pytest.mark.slow

# KL(p || q) of parallel ancestral sampling in so many steps; ../shared/ORACLES.md.
KL = {1: 0.870815, 2: 0.229371, 4: 0.064369, 8: 0.017791, 16: 0.004764}
KEY = jax.random.key(5)


def law(length, steps, process=None, eta=0.0):
    """The law of `remasking`, or of `unmasking` for eta = 0, [V] * length; by its own numbers."""
    process = process or Masked()
    tokens = chains.everything(length)
    predicted = np.exp(chains.chain()(jnp.asarray(tokens), 0.5))
    predicted = predicted.reshape(*(chains.V + 1,) * length, length, chains.V)
    found = np.zeros((chains.V + 1,) * length)
    found[(chains.V,) * length] = 1
    sampler = samplers.get("remasking", steps=steps, eta=eta)
    for i in range(steps):
        t, s = (np.float64(1 - n / steps) for n in (i, i + 1))
        turns, again = process.reveals(t, s), 0.0
        if eta:
            again, turns = (float(p) for p in sampler.probabilities(process, t, s))
        found = chains.step(found, predicted, turns, again)
    assert abs(found.sum() - 1) < 1e-12
    return found[(slice(chains.V),) * length]


@pytest.mark.parametrize("steps", KL)
def test_the_law_of_parallel_steps(x64, steps):
    """All 4,096 sequences with masks of six places, step by step."""
    q = law(6, steps).ravel()
    np.testing.assert_allclose(q.sum(), 1, rtol=1e-12)
    p = chains.probabilities(chains.everything(6, masks=False))
    assert abs(np.sum(p * np.log(p / q)) - KL[steps]) < 5e-7


def counts(name, length, n=20_000, x_init=None, process=None, **options):
    """How often each sequence is drawn, [V] * length."""
    sampler, process = samplers.get(name, **options), process or Masked()
    start = jnp.full((n, length), MASK, jnp.int32) if x_init is None else x_init
    run = jax.jit(lambda x: sampler(KEY, chains.chain(), process, x_init=x))
    out = run(start)
    assert int(out.nfe) == sampler.steps
    found = np.zeros((chains.V,) * length)
    np.add.at(found, tuple(np.asarray(out.x).T), 1)
    return found


def check(found, expected):
    """Pearson's statistic, within 4.5 standard deviations of its mean; nothing impossible."""
    expected = expected * found.sum()
    assert not found[expected == 0].any()
    there = expected > 0
    statistic = np.sum((found - expected)[there] ** 2 / expected[there])
    freedom = there.sum() - 1
    assert abs(statistic - freedom) <= 4.5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_unmasking(x64, schedule):
    """Three places in two steps, which is far from the chain, as enumerated."""
    process = Masked(schedule)
    expected = law(3, 2, process)
    p = chains.probabilities(chains.everything(3, masks=False)).reshape(expected.shape)
    assert np.sum(p * np.log(p / expected)) > 0.02
    check(counts("unmasking", 3, steps=2, process=process), expected)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_remasking(x64, eta):
    """Three places in three steps; with eta = 0 it is `unmasking`."""
    check(counts("remasking", 3, steps=3, eta=eta), law(3, 3, eta=eta))


def test_remasking_converges(x64):
    """To the chain, with more steps. An exact predictor makes no mistakes that it could mend."""
    p = chains.probabilities(chains.everything(3, masks=False))

    def kl(steps, eta):
        return np.sum(p * np.log(p / law(3, steps, eta=eta).ravel()))

    for eta in (0.2, 1.0):
        assert kl(16, eta) < 0.5 * kl(4, eta)
        assert kl(16, eta) > kl(16, 0.0)


def test_the_share_of_masks_is_that_without_remasking(x64):
    """alpha_s = (1 - r) alpha_t + turns sigma_t, and both are probabilities."""
    process, t = Masked("cosine"), jnp.array([1.0, 0.8, 0.3, 0.1])
    s = jnp.array([0.8, 0.3, 0.1, 0.0])
    for eta in (0.0, 0.3, 1.0):
        again, turns = samplers.get("remasking", eta=eta).probabilities(process, t, s)
        assert ((again >= 0) & (again <= 1) & (turns >= 0) & (turns <= 1)).all()
        share = (1 - again) * process.alpha(t) + turns * process.sigma(t)
        np.testing.assert_allclose(share, process.alpha(s), atol=1e-14)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("first_hitting", {}),
        ("ordered", {"by": "entropy"}),
        ("ordered", {"by": "margin"}),
        ("blocks", {"by": "entropy", "block": 2}),
        ("blocks", {"by": "confidence", "block": 1}),
    ],
)
def test_one_token_a_step_is_exact(name, options):
    """Of an order that does not look at what is drawn, so that the chain is drawn itself."""
    p = chains.probabilities(chains.everything(4, masks=False)).reshape((chains.V,) * 4)
    check(counts(name, 4, steps=4, **options), p)


@pytest.mark.parametrize("name", samplers.TOKENS)
def test_infilling(name):
    """What is given stays; the rest is drawn of what the chain is then."""
    steps = {"steps": 8} if name in ("unmasking", "remasking") else {"steps": 2}
    x = jnp.tile(jnp.array([[MASK, 2, MASK, 0]], jnp.int32), (20_000, 1))
    extra = {"by": "entropy"} if name in ("ordered", "blocks") else {}
    found = counts(name, 4, x_init=x, **steps, **extra)
    p = chains.probabilities(chains.everything(4, masks=False)).reshape((chains.V,) * 4)
    given = np.zeros_like(p)
    given[:, 2, :, 0] = p[:, 2, :, 0]  # the two are independent: parallel steps make no error
    check(found, given / given.sum())


def test_the_times_of_first_hitting(x64):
    """sigma of the k-th of n to turn is that order statistic of n uniform numbers, from above."""
    told, n, draws = [], 5, 4000

    def predict(tokens, t, cond=None):
        jax.debug.callback(lambda t: told.append(np.asarray(t)), t, ordered=True)
        return jnp.zeros((*tokens.shape, 2))

    process, x = Masked("cosine"), jnp.full((draws, n), MASK)

    def sample(steps):
        samplers.get("first_hitting", steps=steps)(KEY, predict, process, x_init=x)
        jax.effects_barrier()

    sample(n)
    sigma = np.stack([process.sigma(t) for t in told])
    np.testing.assert_array_equal(sigma[0], 1)
    for k in range(1, n):  # a Beta distribution
        a, b = n - k + 1, k
        error = np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)) / draws)
        assert abs(sigma[k].mean() - a / (a + b)) < 4 * error
    told.clear()
    sample(2)  # two at once
    assert abs(np.mean(process.sigma(told[1])) - 0.5) < 4 * np.sqrt(9 / (36 * 7) / draws)


def sharp(tokens, t, cond=None):
    """Sure of place 2, then 0, then 3, then 1; it tells of each the number of masks."""
    sure = jnp.array([3.0, 1.0, 4.0, 2.0])
    seen = jnp.sum(tokens == MASK, axis=1) - 1
    logits = jax.nn.one_hot(seen, 4)[:, None] * sure[None, :, None]
    return jax.nn.log_softmax(logits)


def test_confidence_is_of_probabilities():
    """What guidance makes of two predictions need not be normalised, which says nothing."""

    def guided(tokens, t, cond=None):
        return sharp(tokens, t) + jnp.array([5.0, 0.0, -5.0, 0.0])[None, :, None]

    told = {"steps": 4, "temperature": 0.0, "by": "confidence"}
    x = samplers.get("ordered", **told)(KEY, guided, Masked(), shape=(1, 4)).x
    assert x.tolist() == [[2, 0, 3, 1]]


@pytest.mark.parametrize("by", ["confidence", "entropy", "margin"])
def test_the_surest_come_first(by):
    """One a step, so that each place is told how many masks there were; and within blocks."""
    told = {"steps": 4, "temperature": 0.0, "by": by}
    x = samplers.get("ordered", **told)(KEY, sharp, Masked(), shape=(2, 4)).x
    assert x.tolist() == [[2, 0, 3, 1]] * 2
    x = samplers.get("blocks", block=2, **told)(KEY, sharp, Masked(), shape=(1, 4)).x
    assert x.tolist() == [[3, 2, 1, 0]]
    x = samplers.get("ordered", **told | {"steps": 2})(KEY, sharp, Masked(), shape=(1, 4)).x
    assert x.tolist() == [[3, 1, 3, 1]]


def test_pieces_are_the_whole(x64):
    """Between its pieces a caller can say how far it is; the samples are the same."""
    sampler, process = samplers.get("remasking", steps=5), Masked()
    keys = jax.random.split(KEY, 3)
    whole = sampler(keys, chains.chain(), process, shape=(3, 4))
    state = sampler.begin(keys, process, shape=(3, 4))
    for first, last in ((0, 2), (2, 5)):
        state = sampler.advance(keys, state, chains.chain(), process, first, last)
    np.testing.assert_array_equal(sampler.finish(state).x, whole.x)
    alone = sampler(keys[1:2], chains.chain(), process, shape=(1, 4))
    np.testing.assert_array_equal(alone.x, whole.x[1:2])


def test_temperature_and_top_p(x64):
    """p^(1/T), normalised; the fewest tokens of at least top_p; and the most probable at T = 0."""
    p = jnp.array([0.5, 0.3, 0.15, 0.05])
    log_probs = jnp.broadcast_to(jnp.log(p)[None, None], (30_000, 1, 4))
    for temperature, top_p, expected in (
        (2.0, 1.0, np.sqrt(p) / np.sqrt(p).sum()),
        (1.0, 0.79, np.array([0.625, 0.375, 0, 0])),
        (1.0, 0.81, np.array([50, 30, 15, 0]) / 95),
        (1.0, 1e-3, np.array([1.0, 0, 0, 0])),
    ):
        drawn = draw(KEY, log_probs, temperature, top_p)
        check(np.bincount(np.asarray(drawn)[:, 0], minlength=4).astype(float), expected)
    assert draw(KEY, log_probs, 0.0).max() == 0
    turned = nucleus(jnp.log(p[jnp.array([3, 1, 0, 2])]), 0.81)
    np.testing.assert_array_equal(turned > -1e8, [False, True, True, True])
    with pytest.raises(ValueError, match="top_p"):
        samplers.get("unmasking", top_p=0.0)


def test_the_largest_scores_among_some():
    """As many as are asked for, of the places that may be chosen."""
    scores, among = jnp.array([[3.0, 9.0, 1.0, 2.0]]), jnp.array([[True, False, True, True]])
    for number, expected in ((0, [0, 0, 0, 0]), (2, [1, 0, 0, 1]), (4, [1, 0, 1, 1])):
        assert most(scores, among, jnp.array([number])).tolist() == [list(map(bool, expected))]


def test_a_state_of_numbers_is_refused():
    with pytest.raises(ValueError, match="x_init must be of an integer dtype, not float32"):
        samplers.get("unmasking")(KEY, chains.chain(), Masked(), x_init=jnp.zeros((1, 2)))


def test_how_sure_a_margin_is():
    """By hand; of a vocabulary of one token its whole probability."""
    p = np.array([[[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]]], np.float32)
    np.testing.assert_allclose(margin(np.log(p), None), [[0.2, 0.7]], rtol=1e-6)
    np.testing.assert_array_equal(margin(np.zeros((1, 4, 1), np.float32), None), np.ones((1, 4)))


@pytest.mark.parametrize(("temperature", "top_p"), [(1e-45, 1.0), (1e-300, 1.0), (1.0, 1e-300)])
def test_almost_no_freedom_is_none(temperature, top_p):
    """In float32, in which these numbers are 0: the most probable token, and never another."""
    log_probs = jnp.log(jnp.array([0.3, 0.2, 0.5], jnp.float32))
    drawn = draw(KEY, jnp.tile(log_probs, (1, 256, 1)), temperature, top_p)
    np.testing.assert_array_equal(drawn, 2)


@pytest.mark.parametrize("temperature", [1e10, 1e300])
def test_what_cannot_be_is_not_drawn_at_any_temperature(temperature):
    log_probs = jnp.array([0.0, NEVER, -1.0], jnp.float32)
    drawn = np.asarray(draw(KEY, jnp.tile(log_probs, (1, 256, 1)), temperature))
    assert set(drawn.ravel()) == {0, 2}
