"""A released scheduler_config.json as ours: a process, how a network is read, a solver.

Keys and defaults are those of diffusers' classes; what a file lacks takes its class's default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers import SAMPLERS, Sampler
from score_sde.samplers.names import ALIASES, ELSEWHERE

FILE = "scheduler_config.json"
CLASS = "_class_name"

_SCHEDULES = {"linear": "linear", "scaled_linear": "scaled_linear", "squaredcos_cap_v2": "cosine"}
_FIRST = 1e-9  # t_min: level 0 to all digits of float32, since t = 0 itself means the data
_V = "v_prediction"
_SIGMA_GRIDS = {"exponential": "log_snr", "karras": "karras"}
_PREDICTIONS = {"epsilon": "eps", _V: "v", "sample": "x0"}


class _Kind(NamedTuple):
    """How schedulers of one kind place their steps.

    Attributes:
        spacing: of levels, unless the file says it.
        linspace: our grid for the spacing of this name.
        last: where the last step leads, unless the file says it: "data" or "level", the first one.
    """

    spacing: str
    linspace: str
    last: str


_ANCESTRAL = _Kind("leading", "linspace", "data")
_SIGMAS = _Kind("linspace", "between_levels", "data")
_MULTISTEP = _Kind("linspace", "linspace_open", "data")
_KINDS: Mapping[str, _Kind] = {
    "DDIMScheduler": _ANCESTRAL,
    "DDPMScheduler": _ANCESTRAL,
    "PNDMScheduler": _Kind("leading", "linspace", "level"),
    "EulerDiscreteScheduler": _SIGMAS,
    "EulerAncestralDiscreteScheduler": _SIGMAS,
    "HeunDiscreteScheduler": _SIGMAS,
    "KDPM2DiscreteScheduler": _SIGMAS,
    "LMSDiscreteScheduler": _SIGMAS,
    "DPMSolverMultistepScheduler": _MULTISTEP,
    "DEISMultistepScheduler": _MULTISTEP,
    "UniPCMultistepScheduler": _MULTISTEP,
}
# The others are multistep methods.
_OF_SAMPLER = {
    "ddim": _ANCESTRAL,
    "plms": _KINDS["PNDMScheduler"],
    "euler": _SIGMAS,
    "heun": _SIGMAS,
    "dpm2": _SIGMAS,
    "lms": _SIGMAS,
}
_COSINE = "CosineDPMSolverMultistepScheduler"
_FLOWS = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config of ours, by dotted path, that stand for a scheduler.

    Args:
        config: the values of a scheduler_config.json, with its "_class_name".

    Raises:
        ValueError: there is no such process or solver here; the message names the value.
    """
    name = config.get(CLASS)
    if name in _FLOWS:
        return _flow(config) | _solver(name, config)
    if name == _COSINE:
        return _cosine(config)
    if name not in _KINDS:
        known = ", ".join((*_KINDS, *_FLOWS, _COSINE))
        reason = ELSEWHERE.get(name, f"is not known; known are {known}")
        raise ValueError(f"{CLASS}={str(name)[:60]} of a scheduler {reason}")
    return {**_process(config), **_solver(name, config), **_steps(_KINDS[name], config)}


def of_sampler(config: Mapping[str, Any], sampler: str) -> dict[str, Any]:
    """The fields of the section `sampling` by which a pipeline would draw with another sampler.

    Args:
        config: the values of its scheduler_config.json.
        sampler: a name of ours, or one of samplers.ALIASES.

    Returns:
        Values by dotted path; of the sampler's own options those that its name or the file has.
    """
    member, options = ALIASES.get(sampler, (sampler, {}))
    if config.get(CLASS) in _FLOWS:
        steps = {path: v for path, v in _flow(config).items() if path.startswith("sampling.")}
    else:
        found = _steps(_OF_SAMPLER.get(member, _MULTISTEP), _without_own(config))
        steps = {path: v for path, v in found.items() if path.startswith("sampling.")}
    return {
        "sampling.sampler": member,
        **{f"sampling.{member}.{option}": value for option, value in options.items()},
        "sampling.offset": 0,
        **_plms(member, config),
        **steps,
    }


def dynamic_shift(config: Mapping[str, Any], tokens: int) -> float:
    """The shift of a flow for images of so many patches: its logarithm is linear in them."""
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    begin, end = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return math.exp(begin + (end - begin) * (tokens - low) / (high - low))


def first(config: Mapping[str, Any], sampler: Sampler, sde: SDE) -> float:
    """The standard deviation of what a released sampler begins with, over that of the prior.

    Those of the EDM frame begin with noise of its sigma there, unless their steps are "leading";
    the others with a standard normal, wherever they begin.
    """
    if _kind(sampler) is not _SIGMAS or getattr(sampler, "grid", "") == "leading":
        return 1.0
    return float(sde.sigma(np.float64(sampler.begins(sde)))) / sde.prior_std


def tells_whole_times(config: Mapping[str, Any], sampler: Sampler) -> bool:
    """Whether a network is told the nearest whole time step, between two levels.

    So the multistep methods of the variance-preserving frame do, released on the grid "karras":
    the state is of the time between, and the network is asked as of the nearest level.
    """
    chain = config.get(CLASS) not in _FLOWS
    return chain and _kind(sampler) is _MULTISTEP and getattr(sampler, "grid", "") == "karras"


def _kind(sampler: Sampler) -> _Kind:
    member = next((name for name, cls in SAMPLERS.items() if cls is type(sampler)), "")
    return _OF_SAMPLER.get(member, _MULTISTEP)


def _without_own(config: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is of the class that the file is of, and of no other."""
    return {name: v for name, v in config.items() if name != "final_sigmas_type"}


def _process(config: Mapping[str, Any]) -> dict[str, Any]:
    """A chain of noise levels, and what its network predicts."""
    levels = config.get("num_train_timesteps", 1000)
    if config.get("trained_betas") is not None:
        raise ValueError("trained_betas, a table of noise levels, is not imported")
    return {
        "sde.name": "ddpm",
        "sde.scales": levels,
        "sde.t_min": _FIRST,
        "sde.schedule": _one(config, "beta_schedule", "linear", _SCHEDULES),
        "sde.beta_min": levels * config.get("beta_start", 0.0001),
        "sde.beta_max": levels * config.get("beta_end", 0.02),
        "sde.zero_terminal_snr": bool(config.get("rescale_betas_zero_snr", False)),
        "model.parametrization": _one(config, "prediction_type", "epsilon", _PREDICTIONS),
        "model.noise_label": "time" if levels == 1000 else "nearest_level",
    }


def _flow(config: Mapping[str, Any]) -> dict[str, Any]:
    """A straight path, whose last level before the data is the first of the training, shifted.

    A fixed shift is applied to it twice, as published: once as the levels are made, once as the
    steps are chosen. With a dynamic shift it depends on the size of an image; the grid then ends at
    1 / steps, and the shift is chosen where samples are drawn.
    """
    first = 1 / config.get("num_train_timesteps", 1000)
    shift = config.get("shift", 1.0)
    dynamic = bool(config.get("use_dynamic_shifting", False))
    for _ in range(0 if dynamic else 2):
        first = shift * first / (1 + (shift - 1) * first)
    grid = {"sampling.grid": "trailing_shift" if dynamic else "shift"}
    return {
        "sde.name": "rectified_flow",
        "sde.t_min": first,
        "sde.t_max": 1.0,
        "model.parametrization": "velocity",
        "objective.name": "flow_matching",
        **grid,
        "sampling.shift": shift,
    }


def _cosine(config: Mapping[str, Any]) -> dict[str, Any]:
    """A cosine process between two noise levels, and a solver with noise; see names.ALIASES."""
    if config.get("sigma_data", 1.0) != 1:
        raise ValueError(f"sigma_data={config['sigma_data']} of a scheduler: only 1 is imported")
    low, high = (
        float(2 / math.pi * math.atan(config.get(name, usual)))
        for name, usual in (("sigma_min", 0.3), ("sigma_max", 500))
    )
    order, (sampler, options) = config.get("solver_order", 2), ALIASES[_COSINE]
    if order == 1:
        sampler = "ddim"
    else:
        options = {**options, "variant": config.get("solver_type", "midpoint")}
    lower = {} if config.get("lower_order_final", True) else {"sampling.lower_order_final": False}
    ends = {"zero": "tweedie", "sigma_min": "none"}
    return {
        "sde.name": "cosine_vp",
        "sde.t_min": low,
        "sde.t_max": high,
        "objective.denoising.times": "uniform",
        "model.parametrization": _one(config, "prediction_type", _V, _PREDICTIONS),
        "sampling.sampler": sampler,
        **{f"sampling.{sampler}.{option}": value for option, value in options.items()},
        "sampling.grid": _one(config, "sigma_schedule", "exponential", _SIGMA_GRIDS),
        "sampling.rho": config.get("rho", 7.0),
        "sampling.denoise_final": _one(config, "final_sigmas_type", "zero", ends),
        **lower,
    }


def _solver(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The sampler that has this name, with the options that a file changes."""
    sampler, options = ALIASES[name]
    order = config.get("solver_order", 2)
    if name == "DPMSolverMultistepScheduler":
        noisy = config.get("algorithm_type", "dpmsolver++").startswith("sde")
        if order == 1:
            sampler, options = "ddim", {"eta": 1.0 if noisy else 0.0}
        else:
            sampler = f"dpmpp_{order}m{'_sde' if noisy else ''}"
            options = {"eta": 1.0} if noisy else {}
    elif "order" in options and name != "PNDMScheduler":
        options = {**options, "order": order}
    found = {f"sampling.{sampler}.{option}": value for option, value in options.items()}
    clip = config.get("clip_sample", name in ("DDIMScheduler", "DDPMScheduler"))
    if clip or config.get("thresholding"):
        found["sampling.clip"] = float(
            config.get("clip_sample_range" if clip else "sample_max_value", 1.0)
        )
    if config.get("thresholding"):
        found["sampling.threshold"] = config.get("dynamic_thresholding_ratio", 0.995)
    if config.get("lower_order_final") is False:
        found["sampling.lower_order_final"] = False
    return {"sampling.sampler": sampler, **_plms(sampler, config), **found}


def _plms(sampler: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """PLMS keeps its order to the end, and weighs what the network predicts if that is v."""
    if sampler != "plms":
        return {}
    of = {"sampling.plms.prediction": "v"} if config.get("prediction_type") == _V else {}
    return {"sampling.lower_order_final": False, **of}


def _steps(kind: _Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """Where the steps are, and where the last one leads."""
    last = kind.last
    if "set_alpha_to_one" in config and kind in (_ANCESTRAL, _KINDS["PNDMScheduler"]):
        last = "data" if config["set_alpha_to_one"] else "level"
    if config.get("final_sigmas_type", "zero") == "sigma_min":
        last = "level"
    found = {"sampling.denoise_final": "tweedie" if last == "data" else "none"}
    if config.get("use_karras_sigmas"):
        return {**found, "sampling.grid": "karras"}
    spacing = config.get("timestep_spacing", kind.spacing)
    grids = {"leading": "leading", "trailing": "trailing", "linspace": kind.linspace}
    found["sampling.grid"] = _one({"timestep_spacing": spacing}, "timestep_spacing", "", grids)
    if spacing == "leading" and config.get("steps_offset", 0):
        found["sampling.offset"] = config["steps_offset"]
    return found


def _one(config: Mapping[str, Any], key: str, usual: str, known: Mapping[str, str]) -> str:
    """What a value is called here."""
    value = config.get(key, usual)
    if value not in known:
        choices = ", ".join(known)
        raise ValueError(f"{key}={str(value)[:60]} of a scheduler is none of {choices}")
    return known[value]
