"""Score-based generative models through stochastic differential equations, in JAX."""

from typing import TYPE_CHECKING, Any

from score_sde import interrupts

interrupts.end_at_once()  # JAX, which takes a second, comes with the next lines

from score_sde import analytic, guidance, objectives, processes, samplers  # noqa: E402
from score_sde.likelihood import log_likelihood  # noqa: E402
from score_sde.prediction import Prediction  # noqa: E402
from score_sde.processes import (  # noqa: E402
    DDPM,
    EDM,
    SDE,
    SMLD,
    VE,
    VP,
    CosineVP,
    RectifiedFlow,
    SubVP,
)
from score_sde.version import __version__  # noqa: E402

if TYPE_CHECKING:
    from score_sde.runs.folder import load, load_classifier
    from score_sde.runs.notebook import train

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
    "guidance",
    "load",
    "load_classifier",
    "log_likelihood",
    "objectives",
    "processes",
    "samplers",
    "train",
]


def __getattr__(name: str) -> Any:
    # Runs need Orbax and more, which would triple the time of `import score_sde`.
    if name in ("load", "load_classifier"):
        from score_sde.runs import folder

        return getattr(folder, name)
    if name == "train":
        from score_sde.runs import notebook

        return notebook.train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
