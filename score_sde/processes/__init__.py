"""Forward processes: x_t = alpha(t) x_0 + sigma(t) eps. One process a file."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from score_sde import sections
from score_sde.checks import check_name
from score_sde.processes.base import SDE, expand, namespace
from score_sde.processes.cosine import CosineVP
from score_sde.processes.edm import EDM
from score_sde.processes.rectified_flow import RectifiedFlow
from score_sde.processes.sequences import DDPM, SMLD
from score_sde.processes.subvp import SubVP
from score_sde.processes.ve import VE
from score_sde.processes.vp import VP

__all__ = [
    "CONTINUOUS",
    "DDPM",
    "EDM",
    "PROCESSES",
    "SDE",
    "SMLD",
    "VE",
    "VP",
    "CosineVP",
    "RectifiedFlow",
    "SubVP",
    "expand",
    "namespace",
    "read",
]

# By its name in a config.
CONTINUOUS: dict[str, type[SDE]] = {
    "vp": VP,
    "subvp": SubVP,
    "ve": VE,
    "edm": EDM,
    "cosine_vp": CosineVP,
    "rectified_flow": RectifiedFlow,
}
PROCESSES: dict[str, type[SDE]] = {**CONTINUOUS, "smld": SMLD, "ddpm": DDPM}


def read(section: Mapping[str, Any]) -> SDE:
    """The process that a section `sde` of a config names; a parameter it has not is an error.

    Raises:
        ValueError: the name or a parameter is unknown, or a value cannot work.
    """
    values = {k: v for k, v in section.items() if v is not None}
    name = values.pop("name")
    check_name("config.sde.name", name, PROCESSES)
    for parameter in values:
        check_name(f"parameter of sde {name}", parameter, sections.entries(PROCESSES[name]))
    process = PROCESSES[name](**values)
    _check_numbers(process)
    return process


def _check_numbers(process: SDE) -> None:
    """Raise ValueError if a process cannot be computed with at an end of its times."""
    for t in (process.t_min, process.t_max):
        with np.errstate(all="ignore"):  # reported here
            alpha, sigma = (float(f(np.float64(t))) for f in (process.alpha, process.sigma))
            there = np.isfinite(np.float32([alpha, sigma])).all() and np.float32(sigma) > 0
        if not there:
            raise ValueError(
                f"{process} has alpha={alpha:g} and sigma={sigma:g} at t={t:g}: both must be "
                "numbers that a float32 can be, and sigma above 0"
            )
