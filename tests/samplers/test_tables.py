"""Every solver that is a table: golden trajectories, orders of convergence, the loop itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tables
from tables import DISCRETE, FRAMES, Golden, errors, exact, points_at, walk

from score_sde import analytic, samplers
from score_sde.processes import EDM, VP
from score_sde.samplers.loop import before, run


def sampler(name, **options):
    return samplers.get(name, lower_order_final=False, **options)


# Largest errors for 20, 40, 80 and 160 steps, ../shared/ORACLES.md; None where it states none.
ORDERS = [
    (VP(), "log_snr", "ddim", {}, [7.29e-2, 3.70e-2, 1.86e-2, 9.36e-3], 1),
    (VP(), "log_snr", "dpmpp_2m", {}, [1.36e-2, 3.21e-3, 7.76e-4, 1.91e-4], 2),
    (EDM(), "karras", "dpmpp_2m", {}, [3.63e-2, 7.81e-3, 1.80e-3, 4.34e-4], 2),
]


@pytest.mark.parametrize(("sde", "grid", "name", "options", "stated", "order"), ORDERS)
def test_order(sde, grid, name, options, stated, order):
    """Errors within 5 % of what is stated, and the order from the last two."""
    found = errors(sampler(name, grid=grid, **options), sde)
    np.testing.assert_allclose(found, stated, rtol=0.05)
    assert np.log2(found[-2] / found[-1]) == pytest.approx(order, abs=0.15)


# Case -> (sampler, options): what it is here.
DIFFUSERS = {
    "ddim_leading_eta0": ("ddim", {}),
    "ddim_leading_eta0.5": ("ddim", {"eta": 0.5}),
    "ddim_trailing_eta1": ("ddim", {"eta": 1.0}),
    "dpmpp_2_midpoint_logsnr": ("dpmpp_2m", {"lower_order_final": False}),
    "dpmpp_2_discrete_zero": ("dpmpp_2m", {}),
}


@pytest.mark.parametrize("case", DIFFUSERS)
def test_diffusers(shared, case):
    golden = Golden(shared, "solvers_diffusers")
    name, options = DIFFUSERS[case]
    about, arrays = golden.about[case], golden[case]
    discrete = about["frame"] == "vp" and about["grid"] == "scheduler"
    sde = DISCRETE if discrete else FRAMES[about["frame"]]
    # The schedulers without sigmas end at the data.
    ratios = arrays.get("sigmas", np.append(arrays["eval_sigma"], 0.0))
    final = "tweedie" if ratios[-1] == 0 else "none"
    table = samplers.get(name, denoise_final=final, **options).of_points(
        points_at(sde, ratios), sde
    )
    denoise = exact(golden.mixture(case), sde)
    states, data = walk(table, denoise, arrays["x"][0], lambda r: arrays["noise"][r])
    np.testing.assert_allclose(states, arrays["x"], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(data, arrays["x0"], rtol=1e-9, atol=1e-11)


def test_the_loop_is_the_walk(x64):
    """The compiled loop, in one piece and in three, gives what the table says."""
    sde = VP()
    table = samplers.get("dpmpp_2m", steps=7).table(sde)
    walked, _ = walk(table, exact(tables.BUMPS, sde), tables.START)
    weights, means, _ = tables.BUMPS
    denoise = analytic.gaussian_mixture(sde, means, np.full(2, 0.25), weights)
    step = jax.jit(lambda state, first, last: run(table, state, denoise, None, first, last))
    start = before(table, jnp.array(tables.START))
    whole = step(start, 0, 7)
    pieces = step(step(step(start, 0, 1), 1, 5), 5, 7)
    np.testing.assert_allclose(whole.states[0], walked[-1], rtol=1e-12)
    np.testing.assert_array_equal(whole.states[0], pieces.states[0])
    assert whole.nfe == pieces.nfe == 7
