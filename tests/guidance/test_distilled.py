"""A student of guidance is told the scale, where it guides, and costs one evaluation."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from score_sde import VP, composite, guidance
from score_sde.objectives.guidance_distillation import SCALE
from score_sde.prediction import Prediction


def test_it_is_told_the_scale_in_one_evaluation(x64):
    sde, x, t = VP(), jnp.zeros((2, 1)), jnp.array([0.001, 0.4])
    label = {"label": jnp.array([0, 1])}

    def student(x, t, cond):
        assert cond["label"] is label["label"]
        return Prediction(cond[SCALE], x)

    rule = guidance.Distilled(None, 3.0, (0.3, 4.0))
    guided = composite.bound(rule.of(student), sde)
    np.testing.assert_array_equal(guided(x, t, label).x0, [1, 3])
    everywhere = dataclasses.replace(guided, interval=())
    np.testing.assert_array_equal(everywhere(x, t, label).x0, [3, 3])
    assert composite.evaluations(everywhere, 0.4) == 1
    assert dataclasses.replace(rule, scale=1.0).of(student) is student
