"""The examples of the page that draw and judge samples: solver, metric."""

import itertools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np


def used_solver(names):
    """It converges to the exact solution of the ODE, at order 4, with four evaluations a step."""
    import score_sde
    from score_sde import analytic, samplers

    out = names["out"]
    assert out.nfe == 4 * 19 + 1  # the last one is E[x_0 | x]
    # The mean and standard deviation of 1000 draws, within 5 standard errors.
    assert (abs(out.x.mean(0) - np.array([1.0, -1.0])) < 5 * 0.5 / np.sqrt(1000)).all()
    assert (abs(out.x.std(0) - 0.5) < 5 * 0.5 / np.sqrt(2000)).all()
    assert np.load("runs/arrows/samples.npz")["samples"].shape == (8, 2)

    sde = score_sde.VP(t_min=0.1)
    with jax.enable_x64(True):
        denoise = analytic.gaussian(sde, jnp.ones(2), 0.5)
        x = jnp.array([[0.3, -1.2]])
        t = np.array([sde.t_min, sde.t_max])
        std = np.sqrt((0.5 * sde.alpha(t)) ** 2 + sde.sigma(t) ** 2)
        exact = sde.alpha(t)[0] + std[0] / std[1] * (np.asarray(x) - sde.alpha(t)[1])

        def error(steps):
            sampler = samplers.get("rk4", steps=steps, denoise_final="none")
            draw = jax.jit(lambda x: sampler(jax.random.key(0), denoise, sde, x_init=x).x)
            return abs(draw(x) - exact).max()

        order = np.log2(error(32) / error(64))
    assert 3.8 < order < 4.2, order


def used_metric(names):
    """It is the sum over pairs, is known of two normal distributions, and is in evaluation.json."""
    from score_sde.evaluation.judgement import judge
    from score_sde.evaluation.metrics import METRICS
    from score_sde.evaluation.reference import Reference
    from score_sde.evaluation.samples import Drawn

    def measured(x, y):
        real = Reference(y.mean(0), np.cov(y, rowvar=False).reshape(2 * x.shape[1:]), features=y)
        entry = judge(Drawn(x), real, {"energy_distance": METRICS["energy_distance"]()})
        assert entry["energy_distance"]["standard_error"] is None
        return entry["energy_distance"]["value"]

    entry = json.loads(Path("runs/arrows/evaluation.json").read_text())["energy_distance"]
    assert np.isfinite(entry["value"])
    assert entry["nfe"] == 5

    x, y = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    pairs = itertools.product(x, y)
    across = sum(np.linalg.norm(a - b) for a, b in pairs) / 6
    within = 5, (1 + 5 + np.sqrt(18)) / 3
    np.testing.assert_allclose(measured(x, y), 2 * across - sum(within), rtol=1e-6)

    # Exact samples of N(1, 1) against N(0, 1): |X - Y| has the mean below, of N(1, 2). Its standard
    # error is from ten parts.
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((10, 200, 1)) + mean for mean in (1, 0))
    parts = np.array([measured(*pair) for pair in zip(x, y, strict=True)])
    across = 2 / np.sqrt(np.pi) * np.exp(-1 / 4) + 0.5204998778130465  # erf(1 / 2)
    exact = 2 * across - 4 / np.sqrt(np.pi)
    assert abs(parts.mean() - exact) < 4 * parts.std(ddof=1) / np.sqrt(10)
    assert exact > 4 * parts.std(ddof=1) / np.sqrt(10)
