"""The bounds of masked diffusion, of the exact predictor and of others."""

import itertools

import chains
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.objectives import OBJECTIVES
from score_sde.objectives.masked import MaskedBound, continuous_bound, counted_bound
from score_sde.processes import MASK, Masked
from score_sde.token_analytic import MarkovChain

pytestmark = pytest.mark.slow

# -log p, nats; ../shared/ORACLES.md.
TOLD = {(0, 0, 1, 2, 2, 0): 5.983496377, (2, 1, 1, 1, 0, 2): 8.440232150}
L = 6
SUBSETS = np.array([m for m in itertools.product([False, True], repeat=L) if any(m)])
FORMS = ("counted", "continuous")


def wrong(tokens, t, cond=None):
    """A predictor that is neither exact nor the same at all times."""
    found = MarkovChain(jnp.ones(3) / 3, jnp.full((3, 3), 1 / 3))(tokens, t)
    tilted = found + jnp.arange(3)[None, None] * jnp.reshape(t, (-1, 1, 1))
    return jnp.where((tokens == MASK)[..., None], jax.nn.log_softmax(tilted), found)


def losses(predict, x0, t):
    """The cross-entropy of every subset of masks, [63]."""
    tokens = jnp.where(SUBSETS, MASK, jnp.asarray(x0)[None])
    log_probs = predict(tokens, t)
    each = jnp.take_along_axis(log_probs, jnp.broadcast_to(x0, (63, L))[..., None], -1)[..., 0]
    return -jnp.where(SUBSETS, each, 0).sum(1)


def enumerated(predict, x0, process):
    """Equation (2) of the module, as the sum over all subsets."""
    m = SUBSETS.sum(1)
    ways = np.array([sum(m == n) for n in m])
    found = losses(predict, x0, process.time(m / L))
    return float(jnp.sum(found * (L / m) / (L * ways)))


def integrated(predict, x0, process):
    """Equation (1), by the nodes of Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    total = 0.0
    for t, weight in zip((1 + nodes) / 2, weights / 2, strict=True):
        sigma, m = float(process.sigma(t)), SUBSETS.sum(1)
        probability = sigma**m * (1 - sigma) ** (L - m)
        found = losses(predict, x0, jnp.full(63, t))
        total += weight * float(process.rate(t)) * float(jnp.sum(probability * found))
    return total


@pytest.mark.parametrize("x0", TOLD)
@pytest.mark.parametrize("schedule", ["linear", "cosine", "polynomial"])
def test_of_the_exact_predictor_it_is_the_log_likelihood(x64, x0, schedule):
    """Both forms, whatever the schedule."""
    process, found = Masked(schedule), np.array(x0)
    np.testing.assert_allclose(enumerated(chains.chain(), found, process), TOLD[x0], atol=5e-10)
    np.testing.assert_allclose(integrated(chains.chain(), found, process), TOLD[x0], atol=5e-10)


def draws(form, predict, process, n=40_000):
    x0 = jnp.tile(jnp.array(next(iter(TOLD)), jnp.int32)[None], (n, 1))
    objective = MaskedBound(form, stratified=False)
    run = jax.jit(lambda key: objective(key, predict, process, x0))
    return L * np.asarray(run(jax.random.key(1)), np.float64)


def test_both_forms_are_unbiased_and_one_varies_less():
    """Within 4 standard errors, of the exact predictor; the counted form has less variance."""
    found = {form: draws(form, chains.chain(), Masked()) for form in FORMS}
    for values in found.values():
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - 5.983496377) < 4 * error
    assert found["counted"].var() < 0.5 * found["continuous"].var()


@pytest.mark.parametrize("form", FORMS)
def test_a_predictor_that_looks_at_the_time(form):
    """It is told t of the continuous form, and the time of m / L masks of the counted one."""
    process, x0 = Masked("cosine"), np.array(next(iter(TOLD)))
    expected = {"counted": enumerated, "continuous": integrated}[form](wrong, x0, process)
    values = draws(form, wrong, process)
    assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(len(values))


def test_spread_times_vary_less():
    """The numbers of masks of a batch are each as often, so that only the places are random."""
    x0, key = jnp.zeros((60, L), jnp.int32), jax.random.key(0)

    def seen(tokens, t, cond=None):
        return jnp.broadcast_to(jnp.sum(tokens == MASK, 1)[:, None, None], (60, L, 3)) * 1.0

    found = -MaskedBound()(key, seen, Masked(), x0)  # sum_masked m / (m / L) / L = m
    assert np.bincount(np.asarray(found).round().astype(int)).tolist() == [0] + [10] * 6
    assert OBJECTIVES["masked"] is MaskedBound
    assert MaskedBound(stratified=False).held_out().stratified


def test_keys_of_examples():
    """The bounds take a key for each example, and are then the same in every batch."""
    keys, process = jax.random.split(jax.random.key(2), 5), Masked()
    x0, half = jnp.zeros((5, L), jnp.int32), jnp.full(5, 0.5)
    for bound, at in ((continuous_bound, half), (counted_bound, jnp.full(5, 3))):
        whole = bound(keys, wrong, process, x0, at, None)
        part = bound(keys[1:3], wrong, process, x0[1:3], at[1:3], None)
        np.testing.assert_allclose(part, whole[1:3], rtol=1e-6)
