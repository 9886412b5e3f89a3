"""Couplings: the assignment is SciPy's and the reference's, and classes stay apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from score_sde import RectifiedFlow
from score_sde.objectives import couplings
from score_sde.prediction import Prediction

pytestmark = pytest.mark.slow

KEY = jax.random.key(2)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "modern" / "objectives.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name.startswith("ot/")}


def test_the_assignment_is_the_reference_s(x64, golden):
    """Pairs, total squared distance, x_t and target of torchcfm's exact coupling."""
    noise, data = (jnp.asarray(golden[f"ot/{name}"]) for name in ("x0_noise", "x1_data"))
    cost = couplings.squared_distances(data, noise)
    of_data = couplings.assignment(cost)
    np.testing.assert_array_equal(np.argsort(of_data), golden["ot/assignment"])
    total = cost[jnp.arange(len(data)), of_data].sum()
    np.testing.assert_allclose(total, golden["ot/cost"], rtol=1e-6)
    np.testing.assert_allclose(jnp.trace(cost), golden["ot/cost_identity"], rtol=1e-6)
    # There time runs from noise to data, and pairs are in the order of the noise.
    of_noise = golden["ot/assignment"]
    t, sde = jnp.asarray(1 - golden["ot/t"]), RectifiedFlow()
    mean, std = sde.marginal(data[of_noise], t)
    np.testing.assert_allclose(mean + std[:, None] * noise, golden["ot/x_t"], atol=1e-6)
    velocity = Prediction(data[of_noise], noise).velocity(sde, t)
    np.testing.assert_allclose(-velocity, golden["ot/target"], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "power"), [("optimal_transport", 1.0), ("immiscible", 0.5)], ids=lambda v: str(v)
)
def test_the_cost_is_scipy_s_under_jit(x64, name, power):
    """The noise is permuted; the sum of its (squared) distances to the data is SciPy's least."""
    x0 = 2 * jax.random.normal(jax.random.key(0), (64, 3, 2))
    same, eps = jax.jit(lambda x0: couplings.COUPLINGS[name]()(KEY, x0, None))(x0)
    np.testing.assert_array_equal(same, x0)
    drawn = couplings.independent()(KEY, x0, None)[1]
    np.testing.assert_array_equal(np.sort(eps, axis=0), np.sort(drawn, axis=0))
    cost = np.array([[((a - b) ** 2).sum() ** power for b in drawn] for a in np.asarray(x0)])
    least = cost[linear_sum_assignment(cost)].sum()
    found = ((x0 - eps) ** 2).sum(axis=(1, 2)) ** power
    np.testing.assert_allclose(found.sum(), least, rtol=1e-9)


@pytest.mark.parametrize("name", ["optimal_transport", "sinkhorn", "immiscible"])
def test_noise_stays_within_its_class(x64, name):
    """The noise of each example was drawn for one of its class."""
    label = jnp.arange(48) % 3
    x0 = jax.random.normal(jax.random.key(0), (48, 2)) + 3 * label[:, None]
    key = jax.random.split(KEY)[0] if name == "sinkhorn" else KEY
    drawn = couplings.independent()(key, x0, None)[1]
    eps = couplings.COUPLINGS[name]()(KEY, x0, {"label": label})[1]
    origin = jnp.argmin(couplings.squared_distances(eps, drawn), axis=1)
    np.testing.assert_array_equal(label[origin], label)
    assert (origin != jnp.arange(48)).any()


def test_a_condition_that_is_no_class_is_refused():
    """A coupling would tie its noise to it."""
    with pytest.raises(ValueError, match="the condition size is no class"):
        couplings.optimal_transport()(KEY, jnp.zeros((4, 2)), {"size": jnp.zeros(4)})


def test_the_plan_is_a_plan_and_tends_to_the_assignment(x64):
    """Rows and columns sum to 1; with little entropy it has the assignment's pairs and cost."""
    x0, eps = jax.random.normal(KEY, (2, 32, 2))
    cost = couplings.squared_distances(x0, eps)
    p = jnp.exp(couplings.plan(cost, 0.05, 2000))
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-3)
    least = cost[jnp.arange(32), couplings.assignment(cost)].sum()
    sharp = jnp.exp(couplings.plan(cost, 5e-4, 20_000))
    np.testing.assert_array_equal(sharp.argmax(1), couplings.assignment(cost))
    np.testing.assert_allclose((sharp * cost).sum(), least, rtol=5e-3)
    assert least < (p * cost).sum() < cost.mean() * 32
