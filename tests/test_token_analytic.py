"""The exact predictor of a Markov chain against sums over all sequences."""

import chains
import jax.numpy as jnp
import numpy as np

from score_sde.processes import MASK
from score_sde.token_prediction import NEVER


def test_it_is_the_conditional_distribution(x64):
    """p(x_i | known) = sum over all sequences that agree with the known, of every pattern."""
    length = 4
    tokens, all_of = chains.everything(length), chains.everything(length, masks=False)
    p = chains.probabilities(all_of)
    found = np.exp(chains.chain()(jnp.asarray(tokens), 0.3))
    agrees = ((tokens[:, None] == MASK) | (tokens[:, None] == all_of[None])).all(axis=2)
    weights = agrees * p
    for place in range(length):
        by_token = [(weights * (all_of[:, place] == v)).sum(1) for v in range(chains.V)]
        expected = np.stack(by_token, 1) / weights.sum(1, keepdims=True)
        np.testing.assert_allclose(found[:, place], expected, rtol=1e-12, atol=1e-300)


def test_the_probability_of_a_sequence(x64):
    """The two of ../shared/ORACLES.md, and all add up to 1."""
    chain = chains.chain()
    told = jnp.array([[0, 0, 1, 2, 2, 0], [2, 1, 1, 1, 0, 2]])
    np.testing.assert_allclose(-chain.log_prob(told), [5.983496377, 8.440232150], atol=5e-10)
    every = jnp.asarray(chains.everything(5, masks=False))
    np.testing.assert_allclose(np.exp(chain.log_prob(every)).sum(), 1, rtol=1e-12)


def test_what_cannot_be_is_never():
    """A chain that always repeats its first token knows all of them from one."""
    chain = type(chains.chain())(jnp.ones(2) / 2, jnp.eye(2))
    found = chain(jnp.array([[MASK, 1, MASK]]), 1.0)
    np.testing.assert_array_equal(found, [[[NEVER, 0]] * 3])
