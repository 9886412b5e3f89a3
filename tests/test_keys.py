"""Noise from one key, or from one for each example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sampler_oracles import mixture

from score_sde import VE, VP, keys, samplers

pytestmark = pytest.mark.slow

KEY = jax.random.key(3)


def of(numbers):
    return keys.of_examples(KEY, jnp.array(numbers))


def test_one_key_draws_as_jax_does():
    np.testing.assert_array_equal(
        keys.normal(KEY, (4, 3), jnp.float32), jax.random.normal(KEY, (4, 3))
    )
    raw = jax.random.PRNGKey(3)  # the old kind, two integers, is one key
    np.testing.assert_array_equal(
        keys.normal(keys.fold_in(raw, 1), (2, 3), jnp.float32),
        jax.random.normal(jax.random.fold_in(raw, 1), (2, 3)),
    )


def test_an_examples_noise_is_its_own():
    """The same in any batch and place, and that of its own key."""
    first, second = (keys.normal(of(n), (len(n), 5), jnp.float32) for n in ([0, 1, 2], [2, 7]))
    np.testing.assert_array_equal(first[2], second[0])
    np.testing.assert_array_equal(first[2], jax.random.normal(jax.random.fold_in(KEY, 2), (5,)))
    assert np.abs(first[0] - first[1]).min() > 1e-6


def test_as_many_keys_as_examples():
    with pytest.raises(ValueError, match="2 keys for a batch of shape"):
        keys.normal(of([0, 1]), (3, 5), jnp.float32)


@pytest.mark.parametrize("order", ["corrector_first", "predictor_first"])
@pytest.mark.parametrize(
    "options", [{"corrector": "none"}, {"corrector": "ald", "corrector_steps": 2}]
)
def test_a_sample_does_not_depend_on_its_batch(x64, options, order):
    """Samples 2 and 3 alone are samples 2 and 3 of five, to rounding."""
    sampler = samplers.get("predictor_corrector", steps=30, order=order, **options)
    assert sampler.coupling == ""
    run = jax.jit(lambda k: sampler(k, mixture(VE()), VE(), shape=(k.size, 2)).x)
    five, two = run(of([0, 1, 2, 3, 4])), run(of([2, 3]))
    np.testing.assert_allclose(five[2:4], two, rtol=1e-12)
    assert np.abs(np.diff(five, axis=0)).min() > 1e-6


def test_what_couples_a_batch_is_said():
    """Langevin's norms and rk45's step size; the norm of the noise need not be averaged."""
    say = {
        n: samplers.get("predictor_corrector", noise_norm=n).coupling for n in ("batch", "sqrt_d")
    }
    assert "norms of score and noise" in say["batch"]
    assert "norm of the score" in say["sqrt_d"]
    assert "one step size" in samplers.get("rk45").coupling


def test_rk45_starts_each_example_from_its_key(x64):
    """With sharp tolerances the common step size does not matter."""
    sampler = samplers.get("rk45", rtol=1e-9, atol=1e-9)
    run = jax.jit(lambda k: sampler(k, mixture(VP()), VP(), shape=(k.size, 2)).x)
    np.testing.assert_allclose(run(of([0, 1, 2]))[1:], run(of([1, 2])), rtol=1e-6)
