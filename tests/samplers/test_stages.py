"""Solvers with inner stages: golden trajectories, orders of convergence, exact moments."""

import dataclasses

import numpy as np
import pytest
from tables import (
    FRAMES,
    GAUSSIAN,
    Golden,
    errors,
    exact,
    marginal,
    moment_errors,
    moments,
    points_at,
    walk,
)

from score_sde import processes, samplers
from score_sde.processes import EDM, VP
from score_sde.samplers.points import Points

pytestmark = pytest.mark.slow

# Largest errors, ../shared/ORACLES.md: EDM frame for 10, 20, 40 and 80 steps, VP for 20 to 160.
STATED = [
    ("euler", EDM(), "karras", (10, 20, 40, 80), [1.65e-1, 8.66e-2, 4.45e-2, 2.26e-2]),
    ("euler", VP(), "log_snr", (20, 40, 80, 160), [7.29e-2, 3.70e-2, 1.86e-2, 9.36e-3]),
    ("heun", EDM(), "karras", (10, 20, 40, 80), [1.46e-1, 2.97e-2, 6.77e-3, 1.62e-3]),
    ("edm", EDM(), "karras", (10, 20, 40, 80), [1.46e-1, 2.97e-2, 6.77e-3, 1.62e-3]),
]


@pytest.mark.parametrize(("name", "sde", "grid", "numbers", "stated"), STATED)
def test_stated_errors(name, sde, grid, numbers, stated):
    """Errors within 1 % of what is stated to three digits."""
    np.testing.assert_allclose(
        errors(samplers.get(name, grid=grid), sde, numbers), stated, rtol=0.01
    )


@pytest.mark.parametrize(("sde", "grid"), [(VP(), "log_snr"), (EDM(), "karras")])
@pytest.mark.parametrize(
    ("name", "options", "order"),
    [
        ("euler", {}, 1),
        ("heun", {}, 2),
        ("midpoint", {}, 2),
        ("midpoint", {"r": 0.7}, 2),
        ("dpm2", {}, 2),
        ("dpm2", {"r": 0.3}, 2),
        ("dpmpp_2s", {}, 2),
        ("dpmpp_sde", {"eta": 0.0}, 2),
        ("dpmpp_sde", {"eta": 0.0, "r": 0.4}, 2),
        ("edm", {}, 2),
    ],
)
def test_order(sde, grid, name, options, order):
    """The order of the largest error from 80 to 160 steps."""
    found = errors(samplers.get(name, grid=grid, **options), sde, (80, 160))
    assert np.log2(found[0] / found[1]) == pytest.approx(order, abs=0.07)


# Relative errors of the standard deviation for 20, 40, ... 320 steps, ../shared/golden/modern.
STOCHASTIC = [
    ("ddim", {"eta": 1.0}, [-0.234, None, None, None, -1.87e-2], 1),
    ("dpmpp_2s", {"eta": 1.0}, [-6.7e-2, None, None, None, -3.6e-4], 2),
    ("dpmpp_sde", {}, [-3.8e-2, -9.3e-3, -2.1e-3, -4.6e-4, -1.0e-4], 2),
]


@pytest.mark.parametrize(("name", "options", "stated", "order"), STOCHASTIC)
def test_moments(name, options, stated, order):
    """Errors as stated, to two digits; the order from the last two; the mean exact; EDM, Karras."""
    solver = samplers.get(name, grid="karras", **options)
    mean, std = moment_errors(solver, EDM(), (20, 40, 80, 160, 320))
    for error, known in zip(std, stated, strict=True):
        assert known is None or error == pytest.approx(known, rel=0.05)
    assert np.log2(std[-2] / std[-1]) == pytest.approx(order, abs=0.15)
    np.testing.assert_allclose(mean, 0, atol=1e-12)


CHURN = {"churn": 40.0, "churn_min": 0.05, "churn_max": 50.0}


@pytest.mark.parametrize(
    ("options", "stated"),
    [
        ({}, {18: (-1.98e-3, 5.52e-2), 40: (-1.89e-3, 9.75e-3), 256: (-1.88e-3, 1.91e-4)}),
        (CHURN, {18: (-7.5e-5, 1.25e-1), 40: (-8e-7, 3.74e-2), 256: (0, 1.97e-3)}),
        (
            CHURN | {"churn_noise": 1.003},
            {18: (-7.5e-5, 1.28e-1), 40: (-8e-7, 4.05e-2), 256: (0, 4.98e-3)},
        ),
    ],
)
def test_edm_moments(options, stated):
    """Of ../shared/ORACLES.md: mean and relative std error from N(0, 80^2), final step to 0."""
    for steps, (mean, std) in stated.items():
        table = samplers.get("edm", grid="karras", steps=steps, **options).table(EDM())
        found = [moment[-1] for moment in moments(table, EDM(), start=(0.0, 80.0))]
        assert found[0] - GAUSSIAN[0] == pytest.approx(mean, rel=0.05, abs=1e-11)
        assert found[1] / GAUSSIAN[1] - 1 == pytest.approx(std, rel=0.005)


# Case -> (sampler, options): what it is here; by file.
CASES = {
    "solvers_kdiffusion": {
        "euler_karras": ("euler", {}),
        "euler_vp_2d": ("euler", {}),
        "euler_ancestral_karras": ("ddim", {"eta": 1.0}),
        "euler_ancestral_eta0.5_nofinal_2d": ("ddim", {"eta": 0.5}),
        "heun_karras": ("heun", {}),
        "heun_karras_nofinal_2d": ("heun", {}),
        "heun_churn_karras": (
            "edm",
            {"churn": 20.0, "churn_min": 0.05, "churn_max": 50.0, "churn_noise": 1.003},
        ),
        "dpm_2_karras": ("dpm2", {}),
        "dpmpp_2s_ancestral_karras": ("dpmpp_2s", {"eta": 1.0}),
        "dpmpp_2s_eta0_nofinal": ("dpmpp_2s", {}),
        "dpmpp_2s_ancestral_eta0.7_2d": ("dpmpp_2s", {"eta": 0.7}),
        "dpmpp_sde_karras": ("dpmpp_sde", {}),
        "dpmpp_sde_eta0.5_r0.4_2d": ("dpmpp_sde", {"eta": 0.5, "r": 0.4}),
    },
    "solvers_edm": {
        "alg2_det": ("edm", {}),
        "alg2_det_2d": ("edm", {}),
        "alg2_churn": (
            "edm",
            {"churn": 40.0, "churn_min": 0.05, "churn_max": 50.0, "churn_noise": 1.003},
        ),
        "alg2_churn_2d": (
            "edm",
            {"churn": 4.0, "churn_min": 0.01, "churn_max": 1.0, "churn_noise": 1.007},
        ),
        "alg2_churn_capped": ("edm", {"churn": 80.0}),
        "ablation_iddpm_euler": ("euler", {}),
        "ablation_iddpm_heun": ("heun", {}),
        "ablation_edm_euler": ("euler", {}),
        "ablation_edm_heun": ("heun", {}),
        "ablation_edm_alpha0.7": ("midpoint", {"r": 0.7}),
    },
    "solvers_diffsampler": {
        "euler_poly": ("euler", {}),
        "heun_logsnr": ("heun", {}),
        "dpm_2_timeuniform": ("dpm2", {}),
        "dpm_2_r0.3_poly": ("dpm2", {"r": 0.3}),
    },
    "solvers_diffusers": {
        "edm_euler_karras_zero": ("euler", {}),
        "heun_discrete_linspace": ("heun", {}),
        "heun_discrete_karras_2d": ("heun", {}),
        "euler_discrete_leading": ("euler", {}),
        "euler_discrete_karras": ("euler", {}),
        "euler_ancestral_linspace": ("ddim", {"eta": 1.0}),
        "kdpm2_linspace": ("dpm2", {}),
        "flow_euler_shift1": ("euler", {}),
        "flow_euler_shift3": ("euler", {}),
        "flow_euler_dynamic_mu": ("euler", {}),
    },
}
NO_CHURN = "churn is of edm alone, whose steps are Heun's: the others are kept plain"
OWN_TIME = (
    "its steps are straight in x over the time of that schedule, ours in x / alpha over "
    "sigma / alpha, the best of them (Karras et al. 2022, Section 3)"
)
# Case -> why it is another method than any here.
REASONS = {
    "solvers_kdiffusion": {
        "euler_churn_karras": NO_CHURN,
        "dpm_2_churn_vp": NO_CHURN,
        "dpm_2_ancestral_karras": "dpm2 follows the ODE; its like with noise is dpmpp_2s with eta",
        "dpm_adaptive_order3": "the adaptive solver here is rk45",
        "dpm_adaptive_order2_rtol0.01": "the adaptive solver here is rk45",
    },
    "solvers_edm": {
        "ablation_vp_euler": OWN_TIME,
        "ablation_vp_heun": OWN_TIME,
        "ablation_vp_churn": OWN_TIME,
        "ablation_ve_euler": OWN_TIME,
        "ablation_ve_heun": OWN_TIME,
        "ablation_edm_on_vp_schedule": OWN_TIME,
    },
    "solvers_diffsampler": {
        "euler_poly_afs_dtz": "its first evaluation is a guess, x / sqrt(1 + sigma^2), not made",
    },
    "solvers_diffusers": {
        "edm_euler_exponential_sigmamin": "its last time is there twice, which is refused here",
        "flow_euler_stochastic": "it draws all noise anew in each step, as distilled models need",
        "flow_heun_shift2": OWN_TIME,
    },
}


def published(file, about, arrays):
    """The process, the noise levels over signal, the states at all evaluations and the end."""
    args = about.get("args", {})
    if file == "solvers_edm":
        levels = arrays["eval_sigma"]
        if "alpha" in args:
            levels = levels[::2]
        elif args.get("solver") != "euler":  # a second stage is at the end of its step
            levels = np.append(levels[0], levels[1::2])
        # The churn of one case goes beyond the first level: the process is one that goes further.
        return EDM(t_max=200.0), np.append(levels, 0.0), arrays["eval_x"], arrays["end"]
    if file == "solvers_diffusers":
        levels = np.unique(arrays["sigmas"])[::-1]
        if about["frame"] == "flow":
            with np.errstate(divide="ignore"):
                levels = levels / (1 - levels)
        return FRAMES[about["frame"]], levels, arrays["x"][:-1], arrays["x"][-1]
    return EDM(), arrays["sigmas"], arrays["eval_x"], arrays["x"][-1]


def draws(name, args, arrays, table):
    """Row -> the noise that the published code drew there."""
    rows, noise = np.flatnonzero(table.noise), arrays.get("noise")
    if name == "edm":  # one a step, for the evaluation after the row
        return {row: noise[(row + 1) // 2] for row in rows}
    if name == "dpmpp_sde":  # two independent ones a step, where the table makes them correlated
        noise, levels = noise.copy(), arrays["noise_sigmas"]
        w = np.sqrt((levels[::2, :1] - levels[::2, 1:]) / (levels[1::2, :1] - levels[1::2, 1:]))
        w = w[..., None]
        noise[1::2] = (noise[1::2] - w * noise[::2]) / np.sqrt(1 - w**2)
    return {row: args.get("s_noise", 1.0) * z for row, z in zip(rows, noise, strict=False)}


@pytest.mark.parametrize(("file", "case"), [(file, case) for file in CASES for case in CASES[file]])
def test_published(shared, file, case):
    """Every state, stages included, to 1e-9; every prediction; the end."""
    golden, (name, options) = Golden(shared, file), CASES[file][case]
    about, arrays = golden.about[case], golden[case]
    sde, levels, expected, end = published(file, about, arrays)
    final = "none" if levels[-1] else "tweedie"
    solver = samplers.get(name, denoise_final=final, **options)
    table = solver.of_points(points_at(sde, levels), sde)
    noise = draws(name, about.get("args", {}), arrays, table) if not table.deterministic else {}
    states, data = walk(table, exact(golden.mixture(case), sde), expected[0], noise.get)
    np.testing.assert_allclose(states[:-1], expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(data, arrays["x0"], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(states[-1], end, rtol=1e-9, atol=1e-11)


def test_every_case_of_these_methods_is_here(shared):
    """Reproduced, or with the reason why it is another method."""
    kinds = ("euler", "heun", "dpm_2_", "dpmpp_2s", "dpmpp_sde_k", "dpmpp_sde_e", "dpm_adaptive")
    kinds += ("alg2", "ablation", "edm_euler", "kdpm2", "flow")
    for file in CASES:
        known = CASES[file].keys() | REASONS[file].keys()
        assert known == {case for case in Golden(shared, file).about if case.startswith(kinds)}


@pytest.mark.parametrize("process", processes.GAUSSIAN.values())
def test_churn_stays_below_t_max(process):
    """However much there is, and where it is not limited it takes the level up by sqrt(2).

    Neither the first level is raised nor one at which nothing is evaluated.
    """
    sde = process()
    solver = samplers.get("edm", steps=80, churn=1e3)
    table, points = solver.table(sde), Points.at(sde, solver.at(sde, 80))
    assert points.ratio[1] * np.sqrt(2) > points.ratio[0]
    raised = Points.at(sde, table.t[::2])
    top = points.ratio[0]
    np.testing.assert_allclose(raised.ratio[0], top, rtol=1e-12)
    np.testing.assert_allclose(
        raised.ratio[1:], np.minimum(np.sqrt(2) * points.ratio[1:], top), rtol=1e-9
    )
    none = dataclasses.replace(solver, denoise_final="none", steps=79).table(sde)
    np.testing.assert_allclose(none.t, table.t[:-1], rtol=1e-12)
    assert none.noise[-1] == 0 < table.noise[-2]


@pytest.mark.parametrize(
    ("steps", "low", "high", "inner", "repeats", "evaluations"),
    [
        (18, (0.06,), (0.3,), (3,), (2,), 43),
        (
            36,
            (19.35, 1.09, 0.59, 0.30, 0.06),
            (40.79, 1.92, 1.09, 0.59, 0.30),
            (4, 4, 4, 4, 6),
            (1, 1, 5, 5, 6),
            203,
        ),
    ],
)
def test_restarts_cost_what_is_published(steps, low, high, inner, repeats, evaluations):
    """CIFAR-10 and ImageNet, Xu et al. 2023, Tables 3 and 5."""
    options = {"low": low, "high": high, "inner": inner, "repeats": repeats}
    solver = samplers.get("restart", grid="karras", steps=steps, **options)
    assert solver.pieces(EDM()) == evaluations


def test_a_restart():
    """Where it is and what it adds: after the time nearest to low, up to high and back."""
    solver = samplers.get("restart", grid="karras", steps=18, repeats=(1,), high=(0.3,))
    table, sde = solver.table(EDM()), EDM()
    grid = solver.at(sde, 18)
    near = np.argmin(np.abs(grid - 0.06))
    (row,) = np.flatnonzero(table.noise)
    assert table.noise[row] == pytest.approx(np.sqrt(0.3**2 - grid[near] ** 2), rel=1e-12)
    middle = ((0.3 ** (1 / 7) + grid[near] ** (1 / 7)) / 2) ** 7
    around = [grid[near - 1], grid[near], 0.3, middle, middle, grid[near], grid[near]]
    np.testing.assert_allclose(table.t[row - 1 : row + 6], around, rtol=1e-12)


@pytest.mark.parametrize("sde", [VP(), EDM()])
def test_restarts_keep_the_marginals(sde):
    """With order 2 in the steps of both grids; an error from before is contracted."""
    found = []
    for number in (20, 40, 80):
        options = {"low": (0.1, 1.0), "high": (0.5, 5.0), "repeats": (3, 2), "inner": (number,) * 2}
        solver = samplers.get(
            "restart", grid="karras", steps=number, denoise_final="none", **options
        )
        table = solver.table(sde)
        mean, std = moments(table, sde)
        exact_mean, exact_std = marginal(Points.at(sde, sde.t_min))
        found.append(np.abs([mean[-1] - exact_mean, std[-1] / exact_std - 1]).max())
        start = marginal(Points.at(sde, sde.t_max))
        off = moments(table, sde, start=(start[0], 1.5 * start[1]))[1][-1]
        plain = samplers.get("heun", grid="karras", steps=number, denoise_final="none").table(sde)
        plain_off = moments(plain, sde, start=(start[0], 1.5 * start[1]))[1][-1]
        assert abs(off / exact_std - 1) < 0.1 * abs(plain_off / exact_std - 1)
    assert np.log2(found[-2] / found[-1]) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": (0.1, 0.2)}, "one element an interval each"),
        ({"low": (0.4,)}, "each low must be below its high"),
        ({"high": (100.0,)}, "no restart from 0.06 to 100"),
        ({"low": (0.02,), "high": (0.0225,)}, "ends at sigma / alpha = 0.0229345"),
        ({"steps": 1}, "at least 2 times"),
        ({"inner": (1,)}, "at least 2"),
    ],
)
def test_restarts_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        samplers.get("restart", **{"grid": "karras", "steps": 18, **options}).table(EDM())
