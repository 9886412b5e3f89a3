"""A learned noise schedule rises from 0 to 1 whatever its parameters, and begins as a line."""

import jax
import numpy as np
import pytest
from flax import nnx

from score_sde.objectives.noise_schedule import NoiseSchedule

T = np.linspace(0.0, 1.0, 101)


def drawn(seed):
    """One with random parameters."""
    schedule = NoiseSchedule(8, rngs=nnx.Rngs(0))
    keys = iter(jax.random.split(jax.random.key(seed), 4))
    state = nnx.state(schedule, nnx.Param)
    nnx.update(schedule, jax.tree.map(lambda p: p + jax.random.normal(next(keys), p.shape), state))
    return jax.jit(schedule)


@pytest.mark.parametrize("seed", range(3))
def test_it_rises_from_0_to_1(seed, x64):
    done, rate = drawn(seed)(T)
    np.testing.assert_allclose(np.asarray(done)[[0, -1]], [0, 1], atol=1e-14)
    assert (np.diff(done) > 0).all()
    assert (rate > 0).all()


def test_the_rate_is_its_derivative(x64):
    schedule, h = drawn(0), 1e-6
    rate = schedule(T).rate
    numeric = (schedule(T + h).done - schedule(T - h).done) / (2 * h)
    np.testing.assert_allclose(rate, numeric, rtol=1e-7)


def test_it_begins_as_a_line(x64):
    done, rate = jax.jit(NoiseSchedule(rngs=nnx.Rngs(0)))(T)
    np.testing.assert_allclose(done, T, atol=0.02)
    np.testing.assert_allclose(rate, 1, atol=0.1)
