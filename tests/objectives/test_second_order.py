"""The error of the Jacobian on Gaussians, whose Jacobian and whose floor are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import EDM, VP
from score_sde.objectives import Denoising, FlowMatching, second_order
from score_sde.prediction import Prediction

pytestmark = pytest.mark.slow

KEY = jax.random.key(4)
ROOT = np.array([[0.8, 0.0, 0.0], [0.4, 0.5, 0.0], [-0.3, 0.2, 0.6]])  # of the covariance


def inverse(matrix):
    """Of a 3x3 matrix; two of JAX's batched solvers at once wait for each other on two cores."""
    a, b, c = matrix
    adjugate = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], axis=1)
    return adjugate / (a @ jnp.cross(b, c))


def denoiser(sde, root):
    """E[x_0 | x] = alpha C (alpha^2 C + sigma^2)^-1 x of data ~ N(0, C), C = root root^T."""

    def one(x, t):
        c, alpha, sigma = root @ root.T, sde.alpha(t), sde.sigma(t)
        whitened = inverse(alpha**2 * c + sigma**2 * jnp.eye(3)) @ x
        return Prediction(alpha * c @ whitened, sigma * whitened)

    return lambda x, t, cond=None: jax.vmap(one)(x, t)


def data(n):
    return jax.random.normal(KEY, (n, 3), jnp.float64) @ ROOT.T


def second(objective, sde, x0, root):
    """The part of the loss that is of the second order."""
    model = denoiser(sde, root)
    with_it, without = (
        Denoising(**objective, second_order=weight)(jax.random.key(1), model, sde, x0)
        for weight in (1.0, 0.0)
    )
    return with_it - without


@pytest.mark.parametrize("sde", [VP(), EDM()], ids=lambda sde: type(sde).__name__)
def test_the_expected_slope_is_zero_at_the_true_covariance(x64, sde):
    """By all nine numbers of its root, off the diagonal too; elsewhere it leads back."""
    n = 1 << 14
    x0, objective = data(n), {"weighting": "simple", "times": "log_normal"}
    slopes = jax.jit(jax.jacfwd(lambda root: second(objective, sde, x0, root)))
    exact = slopes(ROOT)
    assert (jnp.abs(exact.mean(0)) < 4 * exact.std(0) / np.sqrt(n)).all()
    off = np.array([[0.3, 0.0, 0.0], [-0.3, 0.2, 0.0], [0.3, -0.2, 0.3]])
    away = jnp.einsum("bij,ij->b", slopes(ROOT + off), off)
    assert away.mean() > 8 * away.std() / np.sqrt(n)


def test_its_least_value_is_that_of_the_fourth_moments(x64):
    """Of l ~ N(0, V), V = Cov[eps | x]; and the parts of the loss are what they say."""
    sde, n, t = VP(), 1 << 16, 0.3
    alpha, sigma = float(sde.alpha(t)), float(sde.sigma(t))
    c = np.asarray(ROOT @ ROOT.T)
    v = np.eye(3) - sigma**2 * np.linalg.inv(alpha**2 * c + sigma**2 * np.eye(3))
    x0, eps = data(n), jax.random.normal(jax.random.key(2), (n, 3))
    times = jnp.full(n, t)

    @jax.jit
    def run(x0, eps):
        prediction, e, change = second_order.evaluated(
            jax.random.key(3), denoiser(sde, ROOT), alpha * x0 + sigma * eps, times, None
        )
        error = second_order.errors(sde, times, prediction, Prediction(x0, eps), e, change)
        return e, change, error, second_order.squares(error.eps, e).sum(1)

    e, change, error, squares = jax.tree.map(np.asarray, run(x0, eps))
    np.testing.assert_allclose(alpha * change, e @ v, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(alpha * error.x0 + sigma * error.eps, 0, atol=1e-12)
    trace = np.einsum("bi,bi->b", e, error.eps) ** 2
    np.testing.assert_allclose(squares, (error.eps**2).sum(1) + trace, rtol=1e-10)
    both = np.trace(v) ** 2, np.trace(v @ v)
    expected = sum(both) + 2 * (both[0] + 2 * (both[1] - (np.diag(v) ** 2).sum()))
    assert abs(squares.mean() - expected) < 4 * squares.std() / np.sqrt(n)


def test_it_is_weighted_as_the_first_order_is(x64):
    """An error of x_0 is sigma / alpha times that of eps; lambda and the reduction are shared."""
    sde, x0 = VP(), data(8)
    wide = ROOT + 0.3

    @jax.jit
    def losses(x0):
        of, first = {}, {}
        for q in ("eps", "x0"):
            uniform = {"weighting": "uniform", "quantity": q}
            of[q] = second({**uniform, "reduction": "half_sum"}, sde, x0, wide)
            first[q] = Denoising(**uniform)(jax.random.key(1), denoiser(sde, wide), sde, x0)
        return of, first, second({"weighting": "simple"}, sde, x0, wide)

    of, first, mean = losses(x0)
    np.testing.assert_allclose(of["x0"] / of["eps"], first["x0"] / first["eps"], rtol=1e-8)
    np.testing.assert_allclose(of["eps"], 1.5 * mean, rtol=1e-8)


def test_what_denoising_leaves_is_held_fixed(x64):
    """A shift of the denoiser changes the loss; it is not of its Jacobian, so there is no slope."""
    sde, t = VP(), jnp.full(4, 0.3)
    x0, eps = data(4), jax.random.normal(jax.random.key(2), (4, 3))

    def loss(shift):
        def shifted(x, t, cond):
            pair = denoiser(sde, ROOT)(x, t)
            return Prediction(pair.x0 + shift, pair.eps - sde.alpha(0.3) / sde.sigma(0.3) * shift)

        x = sde.alpha(0.3) * x0 + sde.sigma(0.3) * eps
        prediction, *along = second_order.evaluated(jax.random.key(3), shifted, x, t, None)
        error = second_order.errors(sde, t, prediction, Prediction(x0, eps), *along)
        return second_order.squares(error.eps, along[0]).sum()

    with_slope = jax.jit(jax.value_and_grad(loss))
    (shifted, slope), (plain, _) = with_slope(0.2), with_slope(0.0)
    assert abs(shifted - plain) > 0.01
    assert slope == 0


def test_held_out_losses_are_those_without_it(x64):
    held = Denoising(second_order=0.1).held_out()
    assert held == Denoising().held_out()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Denoising(second_order=0.1, times="discrete", learned_variance=True),
            "learned_variance for that of reverse steps: leave one of them out",
        ),
        (
            lambda: FlowMatching(second_order=0.1, coupling="immiscible"),
            "second_order is of noise that is independent of the data",
        ),
        (lambda: FlowMatching(second_order=0.1, teacher="runs/a"), "independent of the data"),
        (lambda: Denoising(second_order=-1.0), "second_order"),
    ],
)
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
