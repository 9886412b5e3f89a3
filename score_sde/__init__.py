"""Score-based generative models through stochastic differential equations, in JAX."""

from typing import TYPE_CHECKING, Any

from score_sde import analytic, samplers
from score_sde.discrete import DDPM, SMLD
from score_sde.prediction import Prediction
from score_sde.sde import EDM, SDE, VE, VP, CosineVP, RectifiedFlow, SubVP
from score_sde.version import __version__

if TYPE_CHECKING:
    from score_sde.runs import load

__all__ = [
    "DDPM",
    "EDM",
    "SDE",
    "SMLD",
    "VE",
    "VP",
    "CosineVP",
    "Prediction",
    "RectifiedFlow",
    "SubVP",
    "__version__",
    "analytic",
    "load",
    "samplers",
]


def __getattr__(name: str) -> Any:
    # Runs need Orbax and more, which would triple the time of `import score_sde`.
    if name == "load":
        from score_sde.runs import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
