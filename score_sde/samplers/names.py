"""Names that others have for the samplers of this package: diffusers', k-diffusion's, common ones.

A name stands for a member of samplers.SAMPLERS with some of its options fixed.
"""

from __future__ import annotations

from typing import Any

Named = tuple[str, dict[str, Any]]

_ANCESTRAL: Named = ("ddim", {"eta": 1.0})
_DEIS: Named = ("deis", {"order": 1, "variable": "log_rho"})
_UNIPC: Named = ("unipc", {"order": 2, "variant": "bh2", "prediction": "x0"})

ALIASES: dict[str, Named] = {
    "ancestral": _ANCESTRAL,
    "ddpm": _ANCESTRAL,
    "euler_ancestral": _ANCESTRAL,
    "euler_a": _ANCESTRAL,
    "dpm_2": ("dpm2", {}),
    "dpmpp": ("dpmpp_2m", {}),
    "dpmsolver++": ("dpmpp_2m", {}),
    "sde-dpmsolver++": ("dpmpp_2m_sde", {"eta": 1.0}),
    "dpmpp_2s_ancestral": ("dpmpp_2s", {"eta": 1.0}),
    "pndm": ("plms", {"order": 4}),
    "lcm": ("jump", {"eta": 1.0}),
    # Classes of diffusers, with the options that they have there by themselves (PNDMScheduler: as
    # Stable Diffusion has it). The corrector_order of SASolverScheduler counts the new prediction.
    "CMStochasticIterativeScheduler": ("jump", {"eta": 1.0}),
    "CogVideoXDDIMScheduler": ("ddim", {"eta": 0.0}),
    "CosineDPMSolverMultistepScheduler": ("dpmpp_2m_sde", {"eta": 1.0}),
    "DDIMParallelScheduler": ("ddim", {"eta": 0.0}),
    "DDIMScheduler": ("ddim", {"eta": 0.0}),
    "DDPMParallelScheduler": _ANCESTRAL,
    "DDPMScheduler": _ANCESTRAL,
    "DDPMWuerstchenScheduler": _ANCESTRAL,
    "DEISMultistepScheduler": _DEIS,
    "DPMSolverMultistepScheduler": ("dpmpp_2m", {}),
    "DPMSolverSDEScheduler": ("dpmpp_sde", {"eta": 1.0}),
    "EDMDPMSolverMultistepScheduler": ("dpmpp_2m", {}),
    "EDMEulerScheduler": ("euler", {}),
    "EulerAncestralDiscreteScheduler": _ANCESTRAL,
    "EulerDiscreteScheduler": ("euler", {}),
    "FlowMatchEulerDiscreteScheduler": ("euler", {}),
    "FlowMatchHeunDiscreteScheduler": ("heun", {}),
    "FlowMatchLCMScheduler": ("jump", {"eta": 1.0}),
    "HeunDiscreteScheduler": ("heun", {}),
    "IPNDMScheduler": ("ipndm", {"order": 4}),
    "KDPM2DiscreteScheduler": ("dpm2", {}),
    "LCMScheduler": ("jump", {"eta": 1.0}),
    "LMSDiscreteScheduler": ("lms", {"order": 4}),
    "PNDMScheduler": ("plms", {"order": 4}),
    "SASolverScheduler": ("sa_solver", {"predictor": 2, "corrector": 1}),
    "SCMScheduler": ("jump", {"eta": 1.0}),
    "TCDScheduler": ("jump", {"eta": 0.3}),
    "ScoreSdeVeScheduler": ("predictor_corrector", {"predictor": "reverse_diffusion"}),
    "ScoreSdeVpScheduler": (
        "predictor_corrector",
        {"predictor": "euler_maruyama", "corrector": "none"},
    ),
    "UnCLIPScheduler": _ANCESTRAL,
    "UniPCMultistepScheduler": _UNIPC,
    # Functions of k-diffusion.
    "sample_ddim": ("ddim", {"eta": 0.0}),
    "sample_dpm_2": ("dpm2", {}),
    "sample_dpmpp_2m": ("dpmpp_2m", {}),
    "sample_dpmpp_2m_sde": ("dpmpp_2m_sde", {"eta": 1.0}),
    "sample_dpmpp_2s_ancestral": ("dpmpp_2s", {"eta": 1.0}),
    "sample_dpmpp_3m_sde": ("dpmpp_3m_sde", {"eta": 1.0}),
    "sample_dpmpp_sde": ("dpmpp_sde", {"eta": 1.0}),
    "sample_euler": ("euler", {}),
    "sample_euler_ancestral": _ANCESTRAL,
    "sample_heun": ("heun", {}),
    "sample_lms": ("lms", {"order": 4}),
}

_ADAPTIVE = "chooses its own steps, as rk45 does here"
_FAST = "is not here: use dpmpp_3m or unipc"
_STAGES = "is not here: dpmpp_2s with eta=1 is the ancestral method of two stages"

# What is not here, and what to use in its place.
ELSEWHERE: dict[str, str] = {
    "AmusedScheduler": "is ordered here, which unmasks the likeliest tokens first",
    "CogVideoXDPMScheduler": "is of one model: dpmpp_2m_sde is nearest",
    "DDIMInverseScheduler": "goes from data to noise: score_sde.latent.encode does that exactly",
    "DPMSolverMultistepInverseScheduler": "goes from data to noise: use score_sde.latent.encode",
    "DPMSolverSinglestepScheduler": "counts steps otherwise: dpmpp_2s is its method of order 2",
    "KDPM2AncestralDiscreteScheduler": _STAGES,
    "KarrasVeScheduler": "is called edm here, with edm.churn, churn_min, churn_max, churn_noise",
    "RePaintScheduler": "is a method of inpainting: use --task=inpaint with any sampler",
    "VQDiffusionScheduler": "is of another process of tokens: of masked ones use unmasking",
    "dpm_2_ancestral": _STAGES,
    "dpm_adaptive": _ADAPTIVE,
    "dpm_fast": _FAST,
    "sample_dpm_2_ancestral": _STAGES,
    "sample_dpm_adaptive": _ADAPTIVE,
    "sample_dpm_fast": _FAST,
}
