"""An adaptive solve tells how far it is, and gives the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde import analytic, samplers
from score_sde.samplers.underway import listening

pytestmark = pytest.mark.slow

VP, KEY = score_sde.VP(), jax.random.key(0)
DENOISE = analytic.gaussian_mixture(VP, np.array([[-1.0], [1.0]]), np.full(2, 0.25), np.ones(2))


def told(function, *args):
    """What it gives, and the shares that were told meanwhile."""
    shares = []
    with listening(shares.append):
        out = jax.block_until_ready(jax.jit(function)(*args))
        jax.effects_barrier()
    return out, np.array(shares)


def check(shares):
    """From 0, before the first step, forwards to the end."""
    assert shares[0] == 0
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == 1


def test_sampling():
    x = jnp.linspace(-2, 2, 5)[:, None]

    def sample(x):
        out = samplers.get("rk45")(KEY, DENOISE, VP, x_init=x)
        return out.x, out.nfe

    (x_end, nfe), shares = told(sample, x)
    check(shares)
    assert len(shares) == 1 + (nfe - 1) // 6
    np.testing.assert_array_equal(x_end, jax.jit(sample)(x)[0])


def test_of_a_batch_the_least():
    """Examples have steps of their own; the batch is as far as the one that is behind."""
    x = jnp.array([[0.0], [1.0]])

    def evaluations(x):
        return score_sde.log_likelihood(KEY, DENOISE, VP, x).nfe_each

    (first, one), (second, other) = (told(evaluations, x[i : i + 1]) for i in range(2))
    both, shares = told(evaluations, x)
    check(shares)
    assert both.tolist() == [*first, *second]
    assert first != second
    assert len(shares) == max(len(one), len(other))
