"""Trajectories of the published multistep solvers, ../shared/golden/modern, step by step."""

import numpy as np
import pytest
from tables import FRAMES, Fitted, Golden, deis, exact, points_at, points_to_data, same, unipc, walk

from score_sde import samplers
from score_sde.processes import EDM

FULL = {"lower_order_final": False}
_3M = ("dpmpp_3m", {"corrected": False})
_SDE = ("dpmpp_2m_sde", {})

# Case -> (sampler, options): what it is here. Of those without "lower_order_final" it is off.
DIFFUSERS = {
    "dpmpp_1_midpoint_logsnr": ("ddim", {}),
    "dpmpp_2_midpoint_logsnr": ("dpmpp_2m", {}),
    "dpmpp_2_heun_logsnr": ("dpmpp_2m", {"variant": "heun"}),
    "dpmpp_3_midpoint_logsnr": _3M,
    "dpmpp_2_midpoint_logsnr_lof": ("dpmpp_2m", {"lower_order_final": None}),
    "dpmpp_3_logsnr_lof": ("dpmpp_3m", {"corrected": False, "lower_order_final": None}),
    "dpmpp_2_logsnr_euler_final": ("dpmpp_2m", {"lower_order_final": True}),
    "dpmpp_3_tuniform_2d": _3M,
    "dpmpp_2_discrete_zero": ("dpmpp_2m", {}),
    "dpmpp_2_discrete_zero_2d": ("dpmpp_2m", {}),
    "dpmpp_3_discrete_trailing_zero": _3M,
    "dpmpp_2_karras_zero": ("dpmpp_2m", {}),
    "dpmpp_2_lu_zero": ("dpmpp_2m", {}),
    "dpmpp_2_flow_shift3": ("dpmpp_2m", {}),
    "dpmpp_sde_2_midpoint_logsnr": _SDE,
    "dpmpp_sde_2_heun_logsnr": ("dpmpp_2m_sde", {"variant": "heun"}),
    "dpmpp_sde_1_logsnr_2d": ("ddim", {"eta": 1.0}),
    "dpmpp_sde_2_discrete_zero": _SDE,
    "unipc_1_bh1_x0_logsnr": unipc(1, "bh1"),
    "unipc_1_bh2_x0_logsnr": unipc(1),
    "unipc_2_bh1_x0_logsnr": unipc(2, "bh1"),
    "unipc_2_bh1_eps_logsnr": unipc(2, "bh1", "eps"),
    "unipc_2_bh2_x0_logsnr": unipc(2),
    "unipc_2_bh2_eps_logsnr": unipc(2, "bh2", "eps"),
    "unipc_3_bh1_x0_logsnr": unipc(3, "bh1"),
    "unipc_3_bh1_eps_logsnr": unipc(3, "bh1", "eps"),
    "unipc_3_bh2_x0_logsnr": unipc(3),
    "unipc_3_bh2_eps_logsnr": unipc(3, "bh2", "eps"),
    "unipc_4_bh2_x0_logsnr": unipc(4),
    "unipc_2_bh2_discrete_zero": unipc(2, lower_order_final=True),
    "unipc_3_bh2_discrete_zero_2d": unipc(3, lower_order_final=True),
    "unip_3_bh2_no_corrector_logsnr": ("dpmpp_3m", {}),
    "deis_logrho_2_logsnr": deis(1, "log_rho"),
    "deis_logrho_3_logsnr": deis(2, "log_rho"),
    "deis_logrho_3_discrete_lof": deis(2, "log_rho", lower_order_final=None),
    "deis_logrho_2_tuniform": deis(1, "log_rho"),
    "edm_dpmpp_2_karras_zero": ("dpmpp_2m", {}),
    "edm_dpmpp_2_karras_nofinal": ("dpmpp_2m", {}),
    "edm_dpmpp_3_karras_zero": ("dpmpp_3m", {"corrected": False, "lower_order_final": None}),
    "edm_dpmpp_3_karras_nofinal": _3M,
    "edm_dpmpp_2_exponential_zero_2d": ("dpmpp_2m", {}),
    "edm_dpmpp_sde_2_karras_zero": _SDE,
    "edm_dpmpp_sde_2_karras_nofinal_2d": ("dpmpp_2m_sde", {"variant": "heun"}),
    "lms_linspace": ("lms", {"order": 4}),
    "plms_skip_prk": ("plms", {}),
    "plms_skip_prk_offset1": ("plms", {}),
}
KDIFFUSION = {
    **{f"lms_order{order}_karras": ("lms", {"order": order}) for order in range(1, 5)},
    "lms_order3_karras_nofinal_2d": ("lms", {"order": 3}),
    **{
        f"dpmpp_2m_{grid}": ("dpmpp_2m", {})
        for grid in ("karras", "karras_nofinal", "exponential_2d", "vp")
    },
    "dpmpp_2m_sde_midpoint_karras": _SDE,
    "dpmpp_2m_sde_heun_karras": ("dpmpp_2m_sde", {"variant": "heun"}),
    "dpmpp_2m_sde_eta0.5_nofinal_2d": ("dpmpp_2m_sde", {"eta": 0.5}),
    "dpmpp_2m_sde_eta0_nofinal": ("dpmpp_2m_sde", {"eta": 0.0}),
    "dpmpp_3m_sde_karras": ("dpmpp_3m_sde", {}),
    "dpmpp_3m_sde_eta0_nofinal": ("dpmpp_3m_sde", {"eta": 0.0}),
    "dpmpp_3m_sde_eta0.5_nofinal_2d": ("dpmpp_3m_sde", {"eta": 0.5}),
}
DIFFSAMPLER = {
    **{f"ipndm_{order}_poly": ("ipndm", {"order": order}) for order in (2, 3, 4)},
    "ipndm_v_2_poly": ("lms", {"order": 2}),
    **{f"deis_tab_{number}_poly": deis(number - 1, "t") for number in (2, 3, 4)},
    "deis_tab_3_timeuniform_2d": deis(2, "t"),
    **{f"deis_rhoab_{number}_poly": deis(number - 1, "rho") for number in (2, 3, 4)},
    "dpmpp_1_x0_logsnr": ("ddim", {}),
    "dpmpp_1_eps_logsnr": ("ddim", {}),
    "dpmpp_2_x0_logsnr": ("dpmpp_2m", {}),
    "dpmpp_3_x0_logsnr": ("dpmpp_3m", {"corrected": False, "lower_order_final": True}),
    "unipc_2_bh1_logsnr": unipc(2, "bh1", lower_order_final=True),
    "unipc_2_bh2_logsnr": unipc(2),
    "unipc_3_bh1_logsnr": unipc(3, "bh1", lower_order_final=True),
    "unipc_3_bh2_logsnr": unipc(3),
    "unipc_3_bh2_eps_poly_2d": unipc(3, "bh2", "eps", lower_order_final=True),
}
# Case -> why a multistep method of a golden file is not one of these.
REASONS = {
    "solvers_diffusers": {
        "dpm_eps_2_midpoint_logsnr": "no eps form of dpmpp_2m: deis log_rho has the exact one",
        "dpm_eps_3_logsnr": "no eps form of dpmpp_3m: deis log_rho has the exact one",
        "dpmpp_sde_3_logsnr_SIGN_BUG": "a sign error: dpmpp_3m_sde has the right one",
        "unipc_3_bh2_first2_uncorrected": "no option leaves the corrector out of some steps",
        "pndm_prk": "the pseudo Runge-Kutta start: plms has that of Stable Diffusion",
    },
    "solvers_diffsampler": {
        "ipndm_3_poly_afs_2d": "its first step takes the direction x / sqrt(1 + sigma^2) for eps",
        "ipndm_v_3_poly": "not the weights of unequal steps: lms has them",
        "ipndm_v_4_poly": "not the weights of unequal steps: lms has them",
        "dpmpp_2_eps_logsnr": "no eps form of dpmpp_2m: deis log_rho has the exact one",
        "dpmpp_3_eps_logsnr": "no eps form of dpmpp_3m: deis log_rho has the exact one",
    },
}


def table_of(name, options, sde, ratios):
    """The table through the points of a golden grid, noise over signal; a last 0 is the data."""
    final = "tweedie" if ratios[-1] == 0 else "none"
    solver = samplers.get(name, **FULL | {"denoise_final": final} | options)
    return solver.of_points(points_at(sde, ratios), sde)


def to_data(name, options, sde, ratios):
    """The same, its last step to the data like the others."""
    solver = samplers.get(name, denoise_final="none", **FULL | options)
    return solver.of_points(points_to_data(sde, ratios), sde)


@pytest.mark.parametrize("case", DIFFUSERS)
def test_diffusers(shared, case):
    """Predicted states and denoised data of every step."""
    golden = Golden(shared, "solvers_diffusers")
    (name, options), about, arrays = DIFFUSERS[case], golden.about[case], golden[case]
    sde, make = FRAMES[about["frame"]], table_of
    if name == "plms":
        # It goes from the last time to the data, or to the last time once more.
        ratios = np.delete(arrays["eval_sigma"], 1)
        end = 0.0 if about["config"].get("set_alpha_to_one") else ratios[-1]
        ratios, make = np.append(ratios, end), to_data if end == 0 else table_of
    else:
        ratios, make = arrays["sigmas"], to_data if name == "lms" else table_of
    if about["frame"] == "flow":  # its sigma is that of the process
        ratios = ratios / (1 - ratios)
    denoise = exact(golden.mixture(case), sde)
    table = make(name, options, sde, ratios)
    states, data = walk(table, denoise, arrays["x"][0], lambda r: arrays["noise"][r])
    same(states, arrays["x"])
    same(data, arrays["x0"])


@pytest.mark.parametrize("case", KDIFFUSION)
def test_kdiffusion(shared, case):
    """States and denoised data of every step."""
    golden = Golden(shared, "solvers_kdiffusion")
    (name, options), arrays = KDIFFUSION[case], golden[case]
    ratios, scale = arrays["sigmas"], golden.about[case]["args"].get("s_noise", 1.0)
    make = to_data if name == "lms" and ratios[-1] == 0 else table_of
    table, denoise = make(name, options, EDM(), ratios), exact(golden.mixture(case), EDM())
    states, data = walk(table, denoise, arrays["x"][0], lambda r: scale * arrays["noise"][r])
    same(states, arrays["x"])
    same(data, arrays["x0"])


@pytest.mark.parametrize("case", DIFFSAMPLER)
def test_diffsampler(shared, case):
    """States of every evaluation and at the end; for tAB as exact as its coefficients there."""
    golden = Golden(shared, "solvers_diffsampler")
    (name, options), arrays = DIFFSAMPLER[case], golden[case]
    tab = "deis_tab" in case
    sde = Fitted() if tab else EDM()
    points = points_at(sde, arrays["sigmas"])
    solver = samplers.get(name, denoise_final="none", **FULL | options)
    table, denoise = solver.of_points(points, sde), exact(golden.mixture(case), sde)
    states, data = walk(table, denoise, points.alpha[0] * arrays["x"][0])
    states = states / points.alpha[:, None, None]
    tolerances = (1e-4, 1e-5) if tab else (1e-9, 1e-11)
    same(states, [*arrays["eval_x"], arrays["x"][-1]], *tolerances)
    same(data, arrays["x0"], *tolerances)


FAMILIES = ("DPMSolverMultistep", "UniPC", "DEIS", "LMS", "PNDM", "sample_lms", "sample_dpmpp_2m")
FAMILIES += ("sample_dpmpp_3m", "ipndm", "deis", "dpm_pp", "unipc")


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("solvers_diffusers", DIFFUSERS),
        ("solvers_kdiffusion", KDIFFUSION),
        ("solvers_diffsampler", DIFFSAMPLER),
    ],
)
def test_every_case_is_here_or_has_a_reason(shared, name, here):
    """Of the multistep methods."""
    about = Golden(shared, name).about
    kinds = {case: one.get("scheduler") or one["sampler"] for case, one in about.items()}
    multistep = {case for case, kind in kinds.items() if any(f in kind for f in FAMILIES)}
    reasons = REASONS.get(name, {})
    assert multistep <= set(here) | set(reasons)
    assert not set(here) & set(reasons)
    assert set(here) | set(reasons) <= set(about)
