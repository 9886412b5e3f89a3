"""The training step on a problem small enough to follow by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from score_sde.training.state import TrainState
from score_sde.training.step import make_eval_step, make_train_step


def loss(key, params, constants, space, batch, step):
    """Mean squared error of a line through the origin, [batch]; noise only where it trains."""
    noise = constants["noisy"] * (step is not None) * jax.random.normal(key, batch["y"].shape)
    return (params["w"] * batch["x"] - batch["y"] + noise) ** 2


def start(noisy=0.0):
    params = {"w": jnp.asarray(0.5)}
    optimizer = optax.sgd(0.1)
    ema = {"0.9": {"w": jnp.asarray(0.5)}}
    state = TrainState(
        jnp.asarray(0), params, {"noisy": jnp.asarray(noisy)}, optimizer.init(params), ema
    )
    return optimizer, state


def batches(steps, size=8):
    x, y = np.random.RandomState(0).randn(2, steps, size)
    return {"x": jnp.asarray(x), "y": jnp.asarray(y)}


def test_one_step_is_gradient_descent(x64):
    optimizer, state = start()
    data = batches(1)
    new, metrics = make_train_step(loss, optimizer)(state, data, None, jax.random.key(0))
    x, y = data["x"][0], data["y"][0]
    gradient = np.mean(2 * x * (0.5 * x - y))
    np.testing.assert_allclose(new.params["w"], 0.5 - 0.1 * gradient, rtol=1e-12)
    np.testing.assert_allclose(metrics["loss"], [np.mean((0.5 * x - y) ** 2)], rtol=1e-12)
    np.testing.assert_allclose(metrics["grad_norm"], [abs(gradient)], rtol=1e-12)
    d = 2 / 11  # (1 + 1) / (10 + 1)
    np.testing.assert_allclose(new.ema["0.9"]["w"], d * 0.5 + (1 - d) * new.params["w"], rtol=1e-12)
    assert new.step == 1


def test_a_step_begins_with_projected_parameters(x64):
    """Gradient, update and moving average are those of the step from them."""
    optimizer, state = start()
    halved = lambda params: {"w": params["w"] / 2}  # noqa: E731
    data, key = batches(1), jax.random.key(0)
    found, _ = make_train_step(loss, optimizer, project=halved)(state, data, None, key)
    projected = state._replace(params=halved(state.params))
    expected, _ = make_train_step(loss, optimizer)(projected, data, None, key)
    assert (found.params, found.ema) == (expected.params, expected.ema)


@pytest.mark.parametrize("noisy", [0.0, 0.1])
def test_fused_steps_are_the_single_steps_to_the_last_bit(noisy):
    optimizer, state = start(noisy)
    data = batches(6)
    step = make_train_step(loss, optimizer)
    run = jax.jit(lambda state, batch: step(state, batch, None, jax.random.key(3)))
    fused, fused_metrics = run(state, data)
    losses = []
    for index in range(6):
        state, metrics = run(state, jax.tree.map(lambda a, i=index: a[i : i + 1], data))
        losses.append(metrics["loss"][0])
    np.testing.assert_array_equal(fused.params["w"], state.params["w"])
    np.testing.assert_array_equal(fused.ema["0.9"]["w"], state.ema["0.9"]["w"])
    np.testing.assert_array_equal(fused_metrics["loss"], losses)


def test_accumulation_is_the_gradient_of_the_whole_batch(x64):
    optimizer, state = start()
    data = batches(1, size=12)
    whole, one = make_train_step(loss, optimizer)(state, data, None, jax.random.key(0))
    parts, four = make_train_step(loss, optimizer, accumulate=4)(
        state, data, None, jax.random.key(0)
    )
    np.testing.assert_allclose(parts.params["w"], whole.params["w"], rtol=1e-12)
    np.testing.assert_allclose(four["loss"], one["loss"], rtol=1e-12)
    np.testing.assert_allclose(four["grad_norm"], one["grad_norm"], rtol=1e-12)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_that_is_not_finite_is_left_out_and_nothing_else(accumulate):
    """In one call of five: as if its update were none, but that the number of steps goes on."""
    optimizer, state = start(noisy=0.1)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))
    ema = {"0.9": state.params, "power_0.1": state.params}
    state = state._replace(optimizer=optimizer.init(state.params), ema=ema)
    data, key = batches(5), jax.random.key(3)
    step = jax.jit(make_train_step(loss, optimizer, accumulate, skip=True))
    spoilt = {**data, "x": data["x"].at[2, -1].set(jnp.nan)}
    found, metrics = step(state, spoilt, None, key)
    np.testing.assert_array_equal(np.isfinite(metrics["loss"]), [True, True, False, True, True])
    for index in (0, 1, 3, 4):
        state = state._replace(step=jnp.asarray(index))
        state, _ = step(state, jax.tree.map(lambda a, i=index: a[i : i + 1], data), None, key)
    jax.tree.map(np.testing.assert_array_equal, found, state)


def test_a_gradient_that_is_not_finite_leaves_the_step_out_though_its_loss_is():
    """Of a root at 0, whose value is 0."""
    optimizer, state = start()

    def rooted(key, params, constants, space, batch, step):
        return loss(key, params, constants, space, batch, step) + jnp.sqrt(params["w"] * batch["r"])

    data = batches(2) | {"r": jnp.ones((2, 8)).at[1, 3].set(0.0)}
    step = make_train_step(rooted, optimizer, skip=True)
    first = {name: array[:1] for name, array in data.items()}
    expected, _ = step(state, first, None, jax.random.key(0))
    found, metrics = step(state, data, None, jax.random.key(0))
    np.testing.assert_array_equal(np.isfinite(metrics["loss"]), [True, True])
    np.testing.assert_array_equal(np.isfinite(metrics["grad_norm"]), [True, False])
    jax.tree.map(np.testing.assert_array_equal, found, expected._replace(step=2))


def test_nothing_is_computed_of_what_is_left_out_where_nothing_is():
    optimizer, state = start()
    program = {
        skip: str(
            jax.make_jaxpr(make_train_step(loss, optimizer, skip=skip))(
                state, batches(2), None, jax.random.key(0)
            )
        )
        for skip in (False, True)
    }
    assert "is_finite" in program[True]
    assert "is_finite" not in program[False]
    assert "select_n" not in program[False]


def test_noise_depends_on_the_step_and_on_the_part(x64):
    """The same data twice: different draws at another step, and in another part of a batch."""
    optimizer, state = start(noisy=0.1)
    data = jax.tree.map(lambda a: jnp.ones_like(a), batches(1))
    step = make_train_step(loss, optimizer, accumulate=2)
    first = step(state, data, None, jax.random.key(0))[1]["loss"]
    again = step(state, data, None, jax.random.key(0))[1]["loss"]
    later = step(state._replace(step=jnp.asarray(1)), data, None, jax.random.key(0))[1]["loss"]
    np.testing.assert_array_equal(first, again)
    assert first != later
    single = make_train_step(loss, optimizer)(state, data, None, jax.random.key(0))[1]["loss"]
    assert first != single


def test_eval_step_counts_masked_examples_once():
    eval_step = make_eval_step(loss)
    batch = jax.tree.map(lambda a: a[0], batches(1))
    mask = jnp.arange(8) < 5
    total, number = eval_step({"w": 0.5}, {"noisy": 0.1}, None, batch, mask, jax.random.key(0))
    expected = np.sum((0.5 * batch["x"][:5] - batch["y"][:5]) ** 2)
    np.testing.assert_allclose(total, expected, rtol=1e-6)
    assert number == 5
