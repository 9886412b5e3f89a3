"""Score-based generative models through stochastic differential equations, in JAX."""

from score_sde import analytic, samplers
from score_sde.prediction import Prediction
from score_sde.sde import EDM, SDE, VE, VP, CosineVP, RectifiedFlow, SubVP
from score_sde.version import __version__

__all__ = [
    "EDM",
    "SDE",
    "VE",
    "VP",
    "CosineVP",
    "Prediction",
    "RectifiedFlow",
    "SubVP",
    "__version__",
    "analytic",
    "samplers",
]
