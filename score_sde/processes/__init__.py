"""Forward processes: x_t = alpha(t) x_0 + sigma(t) eps. One process a file."""

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
