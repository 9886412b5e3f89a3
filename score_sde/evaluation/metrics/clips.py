"""Whether clips of moving digits show the digit and the motion that were asked for.

The digits move as those of Srivastava et al. 2015 (arXiv 1502.04681); the measure is of this house.

Samples are told what the model is told of the examples of `sampling.told_of`, and held against what
those show, as score_sde/evaluation/clip_quality.py measures it: clips_motion, clips_digit and
clips_both are shares of samples, each beside that of held-out clips.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar

import numpy as np

from score_sde import sections
from score_sde.data import moving_digits
from score_sde.evaluation import clip_quality
from score_sde.evaluation.drawn_values import drawn_values
from score_sde.evaluation.metric import DENOISER, Entries, Metric
from score_sde.evaluation.shares import share_error
from score_sde.evaluation.subject import Subject
from score_sde.values import LARGEST, between

_NAMES = ("digit", "motion")


@dataclasses.dataclass(frozen=True)
class Clips(Metric):
    """The shares of the module.

    Attributes:
        num_samples: how many clips are drawn.
    """

    NEEDS: ClassVar[str] = DENOISER

    num_samples: Annotated[int, between(2, LARGEST)] = 500

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the data are no moving digits, or the model is told no more than classes.
        """
        info = subject.source.info
        of_digits = info[subject.field].shape == moving_digits.FIELDS[0].shape
        if not of_digits or any(name not in info or info[name].kind != "label" for name in _NAMES):
            raise ValueError("it is of moving digits: of the data set digits_video")
        if all(info[name].kind == "label" for name in subject.conditions):
            raise ValueError("it is of a model that is told what to draw by more than classes")
        return lambda: _measured(subject, self.num_samples)


def _measured(subject: Subject, number: int) -> Entries:
    drawn = drawn_values(subject, number)
    training = subject.training()
    train = training.gather(np.arange(len(training)))
    still = np.flatnonzero(train["motion"] == 0)  # one clip of each digit is enough to know it by
    known = train[subject.field][still], _asked(train)[still]
    real = subject.source.gather(np.arange(subject.number))
    found = clip_quality.right(drawn.samples, _asked(subject.asked(number)), *known)
    theirs = clip_quality.right(real[subject.field], _asked(real), *known)
    return {
        f"clips_{name}": {
            "value": (share := float(shown.mean())),
            "standard_error": share_error(share, number),
            "of_real_examples": float(theirs[name].mean()),
            "unit": "share of samples that are right",
            **drawn.about,
        }
        for name, shown in found.items()
    }


def _asked(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """Digit and motion of each example, [n, 2]."""
    return np.stack([batch[name] for name in _NAMES], axis=1)
