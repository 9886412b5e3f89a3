"""DDIM and DDPM: the published trajectories of models with discrete times."""

import numpy as np
import pytest
from tables import DISCRETE, Golden, exact, points_at, walk

from score_sde import samplers
from score_sde.processes import CosineVP
from score_sde.samplers.points import Points

# Case -> (sampler, options): what it is here.
CASES = {
    "ddim_leading_eta0": ("ddim", {}),
    "ddim_leading_eta0.5": ("ddim", {"eta": 0.5}),
    "ddim_leading_eta1": ("ddim", {"eta": 1.0}),
    "ddim_trailing_eta0": ("ddim", {}),
    "ddim_trailing_eta0.5": ("ddim", {"eta": 0.5}),
    "ddim_trailing_eta1": ("ddim", {"eta": 1.0}),
    "ddim_trailing_2d_eta1": ("ddim", {"eta": 1.0}),
    "ddim_leading_offset1_final_abar0": ("ddim", {}),
    "ddim_zsnr_v_trailing": ("ddim", {}),
    "ddim_clip_x0_eps_recomputed": ("ddim", {}),
    "ddpm_fixed_small": ("ddim", {"eta": 1.0}),
    "dpm_singlestep_2_logsnr": ("dpmpp_2s", {}),
}
DISTILLED = "a method for models that were distilled to jump to the data, with all noise drawn anew"
# Case -> why it is another method than any here, or than any solver.
REASONS = {
    "ddim_linspace_eta0": "it asks the denoiser at another noise level than the state's: a mistake",
    "ddim_clip_x0": "x0 is clipped and eps is not: here the pair stays consistent",
    "ddpm_learned_range": "the variance is an output of the network, which a Prediction has not",
    "ddpm_fixed_large": "the larger variance: predictor_corrector has it, tested below",
    "dpm_singlestep_3_logsnr": "of three stages: those here have two, or are multistep",
    **{f"lcm_{steps}": DISTILLED for steps in (4, 8)},
    **{f"tcd_{which}": DISTILLED for which in ("4_eta0", "4_eta0.3", "4_eta1", "8_eta0.3")},
}


def published(case, arrays):
    """The process, and the noise levels over signal of its steps with the last."""
    levels = arrays["eval_sigma"]
    if case.startswith("dpm_singlestep"):  # a step over two of the published, from even to even
        return DISCRETE, np.append(levels[::2], arrays["sigmas"][-1])
    if case.endswith("abar0"):
        return DISCRETE, np.append(levels, Points.at(DISCRETE, 0.0).ratio)
    if np.isinf(levels[0]):
        return CosineVP(t_max=1.0), np.append(levels, 0.0)
    return DISCRETE, np.append(levels, 0.0)


@pytest.mark.parametrize("case", CASES)
def test_published(shared, case):
    """Every state and prediction to 1e-9."""
    golden, (name, options) = Golden(shared, "solvers_diffusers"), CASES[case]
    arrays = golden[case]
    sde, levels = published(case, arrays)
    solver = samplers.get(name, denoise_final="none" if levels[-1] else "tweedie", **options)
    follow(solver.of_points(points_at(sde, levels), sde), golden, case, sde)


def follow(table, golden, case, sde):
    arrays, clip = golden[case], golden.about[case]["config"].get("clip_sample", False)
    exactly, limit = exact(golden.mixture(case), sde), 0.9

    def clipped(x, t):
        x0 = np.clip(exactly(x, t)[0], -limit, limit)
        return x0, (x - sde.alpha(t) * x0) / sde.sigma(t)

    denoise = clipped if clip else exactly
    noise = arrays.get("noise")
    states, data = walk(table, denoise, arrays["x"][0], lambda row: noise[row])
    np.testing.assert_allclose(states, arrays["x"], rtol=1e-9, atol=1e-11)
    if not clip:  # the file has what the network said
        np.testing.assert_allclose(data, arrays["x0"], rtol=1e-9, atol=1e-11)


def test_the_larger_variance(shared):
    """sqrt(beta) of DDPM, by the ancestral predictor: its steps are a table too."""
    golden, case = Golden(shared, "solvers_diffusers"), "ddpm_fixed_large"
    times = tuple(np.maximum(golden[case]["timesteps"] / 999, DISCRETE.t_min))
    sampler = samplers.get(
        "predictor_corrector", predictor="ancestral", corrector="none", times=times
    )
    follow(sampler.plan(DISCRETE).table, golden, case, DISCRETE)


def test_every_case_of_these_methods_is_here(shared):
    """Reproduced, or with the reason why it is another method."""
    about = Golden(shared, "solvers_diffusers").about
    kinds = ("ddim", "ddpm", "dpm_singlestep", "lcm", "tcd")
    assert CASES.keys() | REASONS.keys() == {case for case in about if case.startswith(kinds)}
    assert not CASES.keys() & REASONS.keys()
