"""Reflow: on a Gaussian the paths of its pairs are straight lines, which one Euler step follows."""

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import VP, RectifiedFlow, analytic, samplers
from score_sde.objectives import FlowMatching
from score_sde.prediction import Prediction
from score_sde.runs.teacher import Teacher

KEY = jax.random.key(9)
MEAN, STD = 0.3, 0.5


def test_after_one_reflow_one_euler_step_is_exact(x64):
    """The flow of the teacher is x_0 = a + b eps: the model that knows it has no loss left.

    Any other has, and one step of it from noise gives the data that the teacher gives.
    """
    theirs, sde = VP(), RectifiedFlow(t_max=1.0)
    exact = analytic.GaussianFlowMap(theirs, np.full(1, MEAN), STD)
    teacher = Teacher(exact, theirs, samplers.get("jump"))
    objective = FlowMatching().given(teacher)
    alpha, sigma = theirs.alpha(1.0), theirs.sigma(1.0)
    b = STD / jnp.sqrt((alpha * STD) ** 2 + sigma**2)
    a = MEAN - b * alpha * MEAN

    def straight(x, t, cond=None, shift=0.0):
        """eps and x_0 of the line through x = (1 - t) (a + b eps) + t eps."""
        t = jnp.broadcast_to(t, x.shape[:1])[:, None]
        eps = (x - (1 - t) * a) / ((1 - t) * b + t) + shift
        return Prediction(a + b * eps, eps)

    data = jnp.zeros((64, 1))  # of which the shape alone is read
    loss = objective(KEY, straight, sde, data)
    assert (loss < 1e-24).all()
    off = objective(KEY, lambda x, t, cond: straight(x, t, shift=0.1), sde, data)
    np.testing.assert_allclose(off, (0.1 * (1 - b)) ** 2, rtol=1e-9)
    drawn, eps = teacher(KEY, data, None)
    step = samplers.get("euler", steps=1, grid="uniform")(KEY, straight, sde, x_init=eps)
    np.testing.assert_allclose(step.x, drawn, rtol=1e-12)
    assert abs(drawn.mean() - MEAN) < 4 * STD / 8
