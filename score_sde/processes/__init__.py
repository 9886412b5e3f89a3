"""Forward processes, one a file: x_t = alpha(t) x_0 + sigma(t) eps of numbers, masks of tokens."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from score_sde import sections
from score_sde.checks import check_name
from score_sde.processes.base import SDE, expand, namespace
from score_sde.processes.cosine import CosineVP
from score_sde.processes.edm import EDM
from score_sde.processes.masked import MASK, Masked
from score_sde.processes.own import OWN, FromAlphaSigma, from_alpha_sigma
from score_sde.processes.process import Process
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
    "GAUSSIAN",
    "MASK",
    "PROCESSES",
    "SDE",
    "SMLD",
    "VE",
    "VP",
    "CosineVP",
    "FromAlphaSigma",
    "Known",
    "Masked",
    "Process",
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
GAUSSIAN: dict[str, type[SDE]] = {**CONTINUOUS, "smld": SMLD, "ddpm": DDPM}
PROCESSES: dict[str, type[Process]] = {**GAUSSIAN, "masked": Masked}

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
        """Raise a ValueError, which begins with the name, if value is no name of a process."""
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


def section(process: Process) -> dict[str, Any]:
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


def read(section: Mapping[str, Any]) -> Process:
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
    process.check_ends()
    return process


def _check_parameters(name: str, values: Mapping[str, Any], process: type[Process]) -> None:
    for parameter in values:
        check_name(f"parameter of config.sde.name={name}", parameter, sections.entries(process))
