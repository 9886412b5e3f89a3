"""Checkpoints: what goes in comes out, the right ones are kept, and a wrong one is an error."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from score_sde.training.checkpoints import CheckpointError, Checkpoints
from score_sde.training.state import TrainState


def state_at(step):
    params = {"conv/kernel": jnp.full((2, 3), float(step)), "bias": jnp.arange(3.0)}
    return TrainState(
        jnp.asarray(step, jnp.int32),
        params,
        {"frequencies": jnp.ones(4)},
        optax.adam(1e-3).init(params),
        {"0.999": jax.tree.map(lambda a: a + 1, params), "0.9": params},
    )


def shapes():
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=here), state_at(0)
    )


def test_round_trip(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(state_at(7), {"next_index": 7}, {"seed": 1})
    checkpoints.close()
    state, data = Checkpoints(tmp_path / "c").restore(shapes())
    jax.tree.map(np.testing.assert_array_equal, state, state_at(7))
    assert data == {"next_index": 7}
    assert int(state.step) == 7


@pytest.mark.parametrize(("weights", "expected"), [("raw", 7.0), ("0.999", 8.0), ("0.9", 7.0)])
def test_weights_alone(tmp_path, weights, expected):
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(state_at(7), {}, {})
    checkpoints.wait()
    params, constants = checkpoints.restore_weights((shapes().params, shapes().constants), weights)
    np.testing.assert_array_equal(params["conv/kernel"], np.full((2, 3), expected))
    np.testing.assert_array_equal(constants["frequencies"], np.ones(4))


def test_keeps_the_last_and_the_periodic_ones(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", keep_last=2, keep_every=10)
    for step in (5, 10, 15, 20, 25, 30, 35):
        checkpoints.save(state_at(step), {}, {})
        checkpoints.wait()
    checkpoints.close()
    assert sorted(int(p.name) for p in (tmp_path / "c").iterdir()) == [10, 20, 30, 35]


def test_errors_name_what_is_there(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    assert checkpoints.latest_step() is None
    assert not (tmp_path / "c").exists()  # looking does not make it
    checkpoints.save(state_at(7), {}, {})
    checkpoints.wait()
    with pytest.raises(CheckpointError, match=r"no checkpoint 8 in .*; it has 7"):
        checkpoints.restore(shapes(), step=8)
    other = shapes()._replace(
        params={**shapes().params, "bias": jax.ShapeDtypeStruct((4,), jnp.float32)}
    )
    with pytest.raises(CheckpointError, match=r"checkpoint 7 in .* does not fit this config"):
        checkpoints.restore(other)
