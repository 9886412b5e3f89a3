"""Moving averages and the learning rate against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from score_sde.errors import UserError
from score_sde.training.optimizer import learning_rate_schedule, optimizer
from score_sde.training.options import OptimOptions, TrainingOptions
from score_sde.training.state import update_ema


def test_moving_averages_follow_the_recursion(x64):
    decays = ("0.5", "0.99")
    values = np.random.RandomState(0).randn(30)
    ema = {decay: {"w": jnp.zeros(())} for decay in decays}
    expected = dict.fromkeys(decays, 0.0)
    for step, value in enumerate(values, start=1):
        ema = update_ema(ema, {"w": jnp.asarray(value)}, jnp.asarray(step))
        for decay in decays:
            d = min(float(decay), (1 + step) / (10 + step))
            expected[decay] = d * expected[decay] + (1 - d) * value
    for decay in decays:
        np.testing.assert_allclose(ema[decay]["w"], expected[decay], rtol=1e-12)


def test_moving_average_keeps_the_dtype_and_forgets_the_start():
    ema = {"0.9999": {"w": jnp.full((3,), 100.0)}}
    for step in range(1, 200):
        ema = update_ema(ema, {"w": jnp.ones(3)}, jnp.asarray(step))
    assert ema["0.9999"]["w"].dtype == jnp.float32
    np.testing.assert_allclose(ema["0.9999"]["w"], 1, atol=1e-3)


def test_learning_rate():
    options = OptimOptions(learning_rate=2e-4, warmup=100)
    schedule = learning_rate_schedule(options, 1000)
    np.testing.assert_allclose([schedule(0), schedule(50), schedule(100)], [0, 1e-4, 2e-4])
    np.testing.assert_allclose(schedule(5000), 2e-4)
    cosine = learning_rate_schedule(
        OptimOptions(learning_rate=1.0, warmup=100, decay="cosine"), 500
    )
    np.testing.assert_allclose([cosine(100), cosine(300), cosine(500)], [1, 0.5, 0], atol=1e-6)
    assert learning_rate_schedule(OptimOptions(warmup=0), 10)(0) == pytest.approx(2e-4)


def test_adam_step_and_clipping(x64):
    """Adam's first step is the learning rate in the direction of the sign, whatever the scale."""
    options = OptimOptions(learning_rate=0.1, warmup=0, clip=1.0, eps=1e-12)
    transform = optimizer(options, 10)
    params = {"w": jnp.zeros(2)}
    gradient = {"w": jnp.array([30.0, -40.0])}
    updates, state = transform.update(gradient, transform.init(params), params)
    np.testing.assert_allclose(updates["w"], [-0.1, 0.1], rtol=1e-6)
    adam = optax.tree_utils.tree_get(state, "mu")
    np.testing.assert_allclose(adam["w"], 0.1 * np.array([0.6, -0.8]), rtol=1e-9)  # norm 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "training.batch_size=0 must be at least 1"),
        ({"steps": -1}, "training.steps=-1 must be at least 1"),
        ({"batch_size": 10, "accumulate": 4}, "must be a multiple of training.accumulate=4"),
        ({"rewind": 0.5}, "training.rewind=0.5 makes a spike of what is typical"),
        ({"steps_per_call": 7}, "training.log_every=100 must be a multiple of"),
        ({"ema_decays": ()}, r"ema_decays=\(\) must have 1 to 100"),
        ({"ema_decays": (1.0,)}, "ema_decays=1.0 must be at least 0 and below 1"),
        ({"ema_decays": (0.9, 0.9)}, "has a number twice"),
    ],
)
def test_training_options_that_cannot_work(options, message):
    with pytest.raises(UserError, match=message):
        TrainingOptions(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": "linear"}, "unknown config.optim.decay 'linear': .* valid: constant, cosine"),
        ({"learning_rate": 0.0}, "must be above 0"),
        ({"beta1": 1.5}, "optim.beta1=1.5 must be at least 0 and below 1"),
        ({"beta2": 1 - 1e-12}, "below 1, also as a float32"),
        ({"eps": -1.0}, "optim.eps=-1.0 must be above 0"),
        ({"eps": float("nan")}, "optim.eps=nan: this field takes a finite number, above 0"),
        ({"clip": -1.0}, "optim.clip=-1.0 must be at least 0"),
    ],
)
def test_optim_options_that_cannot_work(options, message):
    with pytest.raises(UserError, match=message):
        OptimOptions(**options)


def test_weight_decay_is_decoupled(x64):
    options = OptimOptions(learning_rate=0.1, warmup=0, weight_decay=0.5)
    transform = optimizer(options, 10)
    params = {"w": jnp.array([2.0])}
    updates, _ = transform.update({"w": jnp.zeros(1)}, transform.init(params), params)
    np.testing.assert_allclose(updates["w"], -0.1 * 0.5 * 2.0, rtol=1e-9)
    assert jax.tree.leaves(updates)[0].dtype == jnp.float64
