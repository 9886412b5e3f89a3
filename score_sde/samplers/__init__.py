"""Samplers: from a denoiser and an SDE to samples.

sampler = get("predictor_corrector", steps=1000)
out = sampler(key, denoise, sde, shape=(64, 32, 32, 3))
out.x, out.nfe
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from score_sde.samplers.grids import GRIDS
from score_sde.samplers.ode import RK45
from score_sde.samplers.options import check_name
from score_sde.samplers.predictor_corrector import PredictorCorrector
from score_sde.samplers.sample import Sampler, Samples

__all__ = ["GRIDS", "RK45", "SAMPLERS", "PredictorCorrector", "Sampler", "Samples", "get"]

SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "predictor_corrector": PredictorCorrector,
    "rk45": RK45,
}


def get(name: str, **options: Any) -> Sampler:
    """The sampler of this name with these options.

    Args:
        name: a key of SAMPLERS.
        **options: the fields of that sampler's dataclass.

    Raises:
        ValueError: the name or an option is unknown, or an option's value is out of range.
    """
    check_name("sampler", name, SAMPLERS)
    fields = [field.name for field in dataclasses.fields(SAMPLERS[name])]
    for option in options:
        check_name(f"option of {name}", option, fields)
    return SAMPLERS[name](**options)
