"""Forward processes: x_t = alpha(t) x_0 + sigma(t) eps. One process a file."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from score_sde import sections
from score_sde.checks import check_name
from score_sde.processes.base import SDE, expand, namespace
from score_sde.processes.cosine import CosineVP
from score_sde.processes.edm import EDM
from score_sde.processes.own import OWN, FromAlphaSigma, from_alpha_sigma
from score_sde.processes.rectified_flow import RectifiedFlow
from score_sde.processes.sequences import DDPM, SMLD
from score_sde.processes.subvp import SubVP
from score_sde.processes.trig_flow import TrigFlow
from score_sde.processes.ve import VE
from score_sde.processes.vp import VP
from score_sde.values import shown

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
    "FromAlphaSigma",
    "Known",
    "RectifiedFlow",
    "SubVP",
    "TrigFlow",
    "expand",
    "from_alpha_sigma",
    "namespace",
    "read",
    "register",
    "section",
]

# By its name in a config.
CONTINUOUS: dict[str, type[SDE]] = {
    "vp": VP,
    "subvp": SubVP,
    "ve": VE,
    "edm": EDM,
    "cosine_vp": CosineVP,
    "rectified_flow": RectifiedFlow,
    "trig_flow": TrigFlow,
}
PROCESSES: dict[str, type[SDE]] = {**CONTINUOUS, "smld": SMLD, "ddpm": DDPM}

_REGISTERED: dict[str, FromAlphaSigma] = {}


def register(process: FromAlphaSigma) -> str:
    """Gives a process of one's own a name, which a config can then ask for.

    A recipe calls it where it is executed: config.sde.name = register(process). A run holds this
    name and no code, and the name is made of alpha and sigma: what opens the run registers the
    process before, and another one is not taken for it.

    Args:
        process: see from_alpha_sigma.

    Returns:
        Its name: own_ and eight hexadecimal digits.
    """
    _REGISTERED[process.name] = process
    return process.name


@dataclasses.dataclass(frozen=True)
class Known:
    """The name of a process: of PROCESSES, or as `register` gave it; see values.Constraint."""

    SAYS_ALL: ClassVar[bool] = True

    def check(self, name: str, value: str) -> None:
        """Raise a ValueError, which begins with the name, if there is no such process."""
        if value.startswith(OWN) and value not in _REGISTERED:
            raise ValueError(
                f"{name}={shown(value)} is a process of one's own, of which a config holds the "
                "name only: call processes.register(process) before, with the same alpha and sigma"
            )
        if value not in _REGISTERED:
            check_name(name, value, PROCESSES)

    def words(self) -> str:
        """All that come with the code."""
        return f"one of {', '.join(PROCESSES)}, or a name that processes.register gave"


def section(process: SDE) -> dict[str, Any]:
    """The fields of a section `sde` that name a process, from which `read` makes it again.

    One's own is registered.

    Raises:
        ValueError: it is of no class of PROCESSES, and not from_alpha_sigma.
    """
    options = {name: getattr(process, name) for name in sections.entries(type(process))}
    if isinstance(process, FromAlphaSigma):
        return {"name": register(process), **options}
    names = [name for name, cls in PROCESSES.items() if cls is type(process)]
    if not names:
        raise ValueError(
            f"{type(process).__name__} is in no table: add it to processes.PROCESSES, or give "
            "processes.from_alpha_sigma(alpha, sigma)"
        )
    return {"name": names[0], **options}


def read(section: Mapping[str, Any]) -> SDE:
    """The process that a section `sde` of a config names; a parameter it has not is an error.

    Raises:
        ValueError: the name or a parameter is unknown, or a value cannot work.
    """
    values = {k: v for k, v in section.items() if v is not None}
    name = values.pop("name")
    Known().check("config.sde.name", name)
    if own := _REGISTERED.get(name):
        _check_parameters(name, values, FromAlphaSigma)
        return dataclasses.replace(own, **values)
    _check_parameters(name, values, PROCESSES[name])
    process = PROCESSES[name](**values)
    _check_numbers(process)
    return process


def _check_parameters(name: str, values: Mapping[str, Any], process: type[SDE]) -> None:
    for parameter in values:
        check_name(f"parameter of config.sde.name={name}", parameter, sections.entries(process))


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
