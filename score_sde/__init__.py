"""Score-based and diffusion models of images, text, sound, video, shapes and molecules, in JAX."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from score_sde import garbage, interrupts

interrupts.end_at_once()  # JAX, which takes a second, comes with the next lines

with garbage.imports(interrupts.is_ours(sys.argv, sys.orig_argv)):
    from score_sde import analytic, processes
    from score_sde.prediction import Prediction
    from score_sde.processes import (
        DDPM,
        EDM,
        SDE,
        SMLD,
        VE,
        VP,
        CosineVP,
        Masked,
        RectifiedFlow,
        SubVP,
        TrigFlow,
    )
    from score_sde.version import __version__

if TYPE_CHECKING:
    from score_sde import guidance, objectives, samplers
    from score_sde.interop.lora.use import with_lora
    from score_sde.likelihood import log_likelihood
    from score_sde.runs.controlled import Control
    from score_sde.runs.folder import load, load_autoencoder, load_classifier
    from score_sde.runs.notebook import train
    from score_sde.runs.weakened import SkipLayers

__all__ = [
    "DDPM",
    "EDM",
    "SDE",
    "SMLD",
    "VE",
    "VP",
    "Control",
    "CosineVP",
    "Masked",
    "Prediction",
    "RectifiedFlow",
    "SkipLayers",
    "SubVP",
    "TrigFlow",
    "__version__",
    "analytic",
    "guidance",
    "load",
    "load_autoencoder",
    "load_classifier",
    "log_likelihood",
    "objectives",
    "processes",
    "samplers",
    "train",
    "with_lora",
]


# What is imported when it is asked for: samplers, objectives and networks are many files, and runs
# need Orbax and more, which would triple the time of `import score_sde`.
_LATER = {
    "Control": "score_sde.runs.controlled",
    "SkipLayers": "score_sde.runs.weakened",
    "guidance": "score_sde.guidance",
    "objectives": "score_sde.objectives",
    "load": "score_sde.runs.folder",
    "load_autoencoder": "score_sde.runs.folder",
    "load_classifier": "score_sde.runs.folder",
    "log_likelihood": "score_sde.likelihood",
    "samplers": "score_sde.samplers",
    "train": "score_sde.runs.notebook",
    "with_lora": "score_sde.interop.lora.use",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = importlib.import_module(_LATER[name])
    return found if found.__name__ == f"{__name__}.{name}" else getattr(found, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
