"""Optimisers and learning rates by name, against their formulas and golden numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from score_sde.errors import UserError
from score_sde.training.optimizer import (
    BY_NUMBER,
    DECAYING,
    OPTIMIZERS,
    inverse_sqrt,
    learning_rate_schedule,
    optimizer,
)
from score_sde.training.options import OptimOptions

pytestmark = pytest.mark.slow

RANDOM = np.random.RandomState(0)
PARAMS = {"kernel": jnp.asarray(RANDOM.randn(6, 4)), "bias": jnp.asarray(RANDOM.randn(4))}
GRADIENT = {"kernel": jnp.asarray(RANDOM.randn(6, 4)), "bias": jnp.asarray(RANDOM.randn(4))}


def steps(number=1, params=PARAMS, gradient=GRADIENT, rates=(), **options):
    """The updates of some steps with the same gradient; the learning rate is 0.1."""
    options = OptimOptions(**({"learning_rate": 0.1, "warmup": 0, "clip": 0.0} | options))
    transform = optimizer(options, 10, dict(rates))
    state = transform.init(params)
    for _ in range(number):
        updates, state = jax.jit(transform.update)(gradient, state, params)
    return updates


@pytest.mark.parametrize("name", BY_NUMBER)
def test_they_are_optaxs_of_the_options_bit_for_bit(name):
    """Updates, and the states that checkpoints hold; the warm-up begins at 0."""
    given = {"name": name, "beta2": 0.99, "warmup": 2}
    given |= {"weight_decay": 0.1} if name in DECAYING else {}
    options = OptimOptions(**given)
    own = {"weight_decay": 0.1} if name in DECAYING else {}
    own |= {} if name == "lion" else {"eps": 1e-8}
    rate = learning_rate_schedule(options, 10)
    made = getattr(optax, name)(rate, b1=0.9, b2=0.99, **own)
    found = []
    for transform in (optimizer(options, 10), optax.chain(optax.clip_by_global_norm(1.0), made)):
        state = transform.init(PARAMS)
        first, state = transform.update(GRADIENT, state, PARAMS)
        second, state = transform.update(GRADIENT, state, PARAMS)
        np.testing.assert_array_equal(first["kernel"], 0)
        found.append((second, state))
    assert jax.tree.structure(found[0]) == jax.tree.structure(found[1])
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(one, other)
    assert OptimOptions().name == "adamw"


@pytest.mark.parametrize("name", BY_NUMBER)
def test_the_rate_of_an_array_is_of_what_moves_and_not_of_what_decays(name):
    """-0.1 (r d + w p) for r = 1/4, of the direction d that is found with r = 1."""
    decay = {"weight_decay": 0.5} if name in DECAYING else {}
    usual, found = (steps(3, name=name, rates=r, **decay) for r in ({}, {"kernel": np.array(0.25)}))
    decayed = -0.1 * 0.5 * PARAMS["kernel"] if decay else 0.0
    expected = 0.25 * (usual["kernel"] - decayed) + decayed
    np.testing.assert_allclose(found["kernel"], expected, rtol=1e-5)
    np.testing.assert_array_equal(found["bias"], usual["bias"])


def test_radam_begins_with_momentum_alone(x64):
    """Below 5 degrees of freedom, as in the first steps, the update is -rate m / (1 - beta1^t)."""
    np.testing.assert_allclose(steps(name="radam")["bias"], -0.1 * GRADIENT["bias"], rtol=1e-6)


def test_lion_moves_by_the_sign(x64):
    found = steps(name="lion", beta2=0.99, weight_decay=0.5)
    expected = -0.1 * (np.sign(GRADIENT["bias"]) + 0.5 * np.asarray(PARAMS["bias"]))
    np.testing.assert_allclose(found["bias"], expected, rtol=1e-6)


def test_muon_turns_matrices_into_orthogonal_ones_and_leaves_the_rest_to_adam():
    """Newton-Schulz brings singular values near 1; then 0.2 sqrt(max(in, out)) is Adam's size."""
    wide = {
        "kernel": jnp.asarray(RANDOM.randn(64, 16), jnp.float32),
        "conv/kernel": jnp.asarray(RANDOM.randn(3, 3, 8, 16), jnp.float32),
        "blocks/kernel": jnp.asarray(RANDOM.randn(2, 32, 16), jnp.float32),
        "bias": jnp.asarray(RANDOM.randn(16), jnp.float32),
        "blocks/bias": jnp.asarray(RANDOM.randn(2, 16), jnp.float32),  # two vectors, no matrix
    }
    found = steps(params=wide, gradient=wide, name="muon")
    flat = {"kernel": found["kernel"], "conv": found["conv/kernel"].reshape(72, 16)}
    flat |= {f"stacked {i}": found["blocks/kernel"][i] for i in range(2)}
    for name, matrix in flat.items():
        singular = np.linalg.svd(matrix, compute_uv=False) / (0.1 * 0.2 * len(matrix) ** 0.5)
        assert (np.abs(singular - 1) < 0.35).all(), (name, singular)
    nesterov = 1 + 0.9 * 0.1 / (1 - 0.9**2)  # of a first step, in place of 1
    for name in ("bias", "blocks/bias"):
        expected = -0.1 * nesterov * np.sign(wide[name])
        np.testing.assert_allclose(found[name], expected, rtol=1e-4)


def test_inverse_square_root_is_the_golden_one_of_edm2(shared, x64):
    """0.01 / sqrt(max(t / 70000, 1)), in batches of 2048, after a rise over 10 million images."""
    golden = np.load(shared / "golden" / "modern" / "objectives.npz")
    batches = golden["edm2/lr_nimg"] / 2048
    warmup = 1e7 / 2048  # not whole, so the two parts are put together here
    after = inverse_sqrt(0.01, after=70_000, warmup=warmup)
    found = np.where(batches < warmup, 0.01 * batches / warmup, after(batches - warmup))
    np.testing.assert_allclose(found, golden["edm2/lr"], rtol=1e-10, atol=1e-15)
    options = OptimOptions(
        learning_rate=0.01, warmup=4883, decay="inverse_sqrt", decay_steps=70_000
    )
    schedule = learning_rate_schedule(options, 10**6)
    found = [schedule(step) for step in (0, 4883, 70_000, 280_000)]
    np.testing.assert_allclose(found, [0, 0.01, 0.01, 0.005], rtol=1e-6)


def test_warm_up_stable_decay():
    """100 steps up, constant to step 800, a line to 0 at step 1000; a fifth if nothing is said."""
    for given in ({"decay_steps": 200}, {}):
        options = OptimOptions(learning_rate=1.0, warmup=100, decay="wsd", **given)
        schedule = learning_rate_schedule(options, 1000)
        found = [float(schedule(step)) for step in (50, 100, 800, 900, 1000)]
        np.testing.assert_allclose(found, [0.5, 1, 1, 0.5, 0], atol=1e-6)
        assert options.ends
    assert not OptimOptions().ends


def test_every_optimizer_keeps_the_dtype():
    params = {"w": jnp.ones((4, 4), jnp.float32)}
    for name in OPTIMIZERS:
        assert steps(params=params, gradient=params, name=name)["w"].dtype == jnp.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "sgd"}, "unknown config.optim.name 'sgd'"),
        ({"momentum": 0.0}, "optim.momentum=0.0 is of config.optim.name=muon, not of adamw"),
        ({"momentum": 0.9}, "optim.momentum=0.9 is of config.optim.name=muon, not of adamw"),
        ({"name": "adam", "weight_decay": 0.1}, "weight_decay=0.1 is of config.optim.name=adamw"),
        ({"name": "muon", "base": ("channels=4",)}, "is of config.optim.name=adamw or adam or rad"),
        ({"decay_steps": 5}, "decay_steps=5 is of config.optim.decay=inverse_sqrt or wsd, not of"),
        ({"decay": "inverse_sqrt"}, "inverse_sqrt needs config.optim.decay_steps, at least config"),
        ({"decay": "inverse_sqrt", "decay_steps": 9}, "at least config.optim.warmup=5000: the"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(UserError, match=message):
        OptimOptions(**options)
