"""The learned uncertainty: its least is log L, and what is reported stays what it was."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from score_sde import analytic
from score_sde.models.functional import beside, functional, split
from score_sde.models.mlp import MLP
from score_sde.objectives import Denoising, weightings
from score_sde.objectives.uncertainty import Uncertainty, uncertain
from score_sde.processes import EDM, VP

pytestmark = pytest.mark.slow


def test_the_loss_is_the_golden_one_of_edm2(shared, x64):
    """weight / e^u err^2 + u with u = 0.3, for each number of an image."""
    golden = np.load(shared / "golden" / "modern" / "objectives.npz")
    images, sigma = golden["edm2/images"], np.exp(golden["edm2/rnd_normal"] - 0.4)
    noisy = images + sigma * golden["edm2/noise"]
    denoised = 0.3 * np.tanh(noisy) + 0.1 * np.cos(sigma)
    loss = weightings.edm_weighting(0.5).weight(EDM(), sigma) * (denoised - images) ** 2
    np.testing.assert_allclose(uncertain(loss, 0.3), golden["edm2/loss"], rtol=1e-10)


def test_the_least_is_at_log_of_the_loss(x64):
    loss = jnp.array([0.01, 1.0, 30.0])
    slope = jax.vmap(jax.grad(uncertain, argnums=1))
    np.testing.assert_allclose(slope(loss, jnp.log(loss)), 0, atol=1e-14)
    np.testing.assert_allclose(uncertain(loss, jnp.log(loss)), 1 + jnp.log(loss), rtol=1e-12)
    assert (slope(loss, jnp.log(loss) + 0.1) > 0).all()
    assert (slope(loss, jnp.log(loss) - 0.1) < 0).all()


def test_a_fixed_loss_is_learnt():
    """u comes to log L(t) for the L of EDM's zero network on data of another spread."""
    sde, model = EDM(), functional(lambda rngs: Uncertainty(rngs=rngs))
    t = jnp.exp(jnp.linspace(-5.0, 3.5, 64))
    loss = (0.3**2 + t**2) / (0.5**2 + t**2) * (1 + 4 / (1 + t))
    params, constants = model.init(jax.random.key(0))
    np.testing.assert_array_equal(model.apply(params, constants, sde, t), 0)  # before it learns
    # A rate that stayed would keep it jumping, now and then by 0.1, however long it learns.
    adam = optax.adam(optax.cosine_decay_schedule(0.02, 1500))

    def mean(params):
        return uncertain(loss, model.apply(params, constants, sde, t)).mean()

    def step(carry, _):
        params, state = carry
        updates, state = adam.update(jax.grad(mean)(params), state)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, adam.init(params)), length=1500)
    u = model.apply(params, constants, sde, t)
    np.testing.assert_allclose(u, jnp.log(loss), atol=0.01)


def test_the_value_is_the_plain_loss_and_the_gradient_that_with_uncertainty(x64):
    sde, x0 = VP(), jax.random.normal(jax.random.key(1), (64, 2))

    def losses(parameters, **options):
        mean, u = parameters
        own = {"own": lambda sde, t: u * jnp.sin(9 * t)} if options else {}
        denoise = analytic.gaussian(sde, jnp.full(2, mean), 0.7)
        return Denoising(**options)(jax.random.key(0), denoise, sde, x0, **own)

    at = jnp.array([0.4, 1.3])
    with_u = lambda at: losses(at, uncertainty=True)  # noqa: E731
    plain, learnt = jax.jit(losses)(at), jax.jit(with_u)(at)
    np.testing.assert_array_equal(learnt, plain)
    of_plain = jax.jit(jax.jacfwd(losses))(at)[:, 0]
    of_learnt = jax.jit(jax.jacfwd(with_u))(at)
    # du/du = sin(9 t) is found from the slope of e^(-u s) L + u s in u, and 1.3 s is u.
    ratio = of_learnt[:, 0] / of_plain
    sine = -jnp.log(ratio) / 1.3
    np.testing.assert_allclose(of_learnt[:, 1], sine * (1 - ratio * plain), rtol=1e-7, atol=1e-9)
    assert (jnp.abs(ratio - 1) > 0.01).any()


def test_the_arrays_stand_beside_those_of_the_network_which_are_what_they_were():
    make = lambda rngs: MLP(shape=(2,), channels=16, depth=1, rngs=rngs)  # noqa: E731
    alone, own = functional(make), functional(Denoising(uncertainty=True).module())
    both, apply = beside(alone, own, "objective")
    drawn, expected = (jax.jit(one.init)(jax.random.key(3)) for one in (both, alone))
    for found, plain, shapes in zip(drawn, expected, both.shapes, strict=True):
        network, other = split(found, "objective")
        assert network.keys() == plain.keys()
        for name in plain:
            np.testing.assert_array_equal(network[name], plain[name])
        assert {n: (a.shape, a.dtype) for n, a in found.items()} == {
            n: (s.shape, s.dtype) for n, s in shapes.items()
        }
        assert other
    assert sorted(split(drawn[0], "objective")[1]) == ["bias", "kernel"]
    x, label = jnp.ones((3, 2)), jnp.ones(3)
    np.testing.assert_array_equal(both.apply(*drawn, x, label), alone.apply(*expected, x, label))
    np.testing.assert_array_equal(apply(*drawn, EDM(), label), 0)
    assert Denoising().module() is None


def test_held_out_losses_are_those_without(x64):
    objective = Denoising(uncertainty=True).held_out()
    assert objective.uncertainty
    x0, denoise = jnp.ones((4, 2)), analytic.gaussian(VP(), jnp.zeros(2), 1.0)
    loss = jax.jit(lambda key: objective(key, denoise, VP(), x0, own=lambda sde, t: 1 + 0 * t))
    found = loss(jax.random.key(0))
    plain = jax.jit(lambda key: Denoising().held_out()(key, denoise, VP(), x0))(jax.random.key(0))
    assert found.mean() == pytest.approx(float(plain.mean()), rel=1e-12)
