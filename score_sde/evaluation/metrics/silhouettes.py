"""Whether pictures have the silhouette of the depth that they were asked by.

Samples are told what the model is told of the examples of `sampling.told_of`, their depth among it.
The silhouette of a picture is what is not its white background, that of a depth where there is any.
`silhouette_iou` is what both have over what either has (Jaccard 1912), the mean over samples;
beside it stand `of_real_examples`, the same of the real pictures of these depths, and
`of_other_depths`, that of the samples and depths of other examples.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, ClassVar

import numpy as np

from score_sde import sections
from score_sde.evaluation.drawn_values import drawn_values
from score_sde.evaluation.lines import iou
from score_sde.evaluation.metric import DENOISER, Entries, Metric, number
from score_sde.evaluation.subject import Subject
from score_sde.values import LARGEST, Name, between

WHITE = 245  # from here on; a quarter of a pixel of the lightest grey, 235, makes it 250


@dataclasses.dataclass(frozen=True)
class Silhouettes(Metric):
    """The numbers of the module.

    Attributes:
        num_samples: how many pictures are drawn.
        field: the image that is the depth: zero where there is nothing.
    """

    NEEDS: ClassVar[str] = DENOISER

    num_samples: Annotated[int, between(2, LARGEST)] = 256
    field: Name = "depth"

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the model draws no images, or is told no depth of their size.
        """
        info = subject.source.info
        if self.field not in subject.conditions or not info[self.field].of_pixels:
            raise ValueError(f"it is of a model that is told an image {self.field}")
        picture, depth = info[subject.field], info[self.field]
        if picture.kind != "image" or picture.shape[:2] != depth.shape[:2]:
            raise ValueError(f"{picture.words} has no silhouette as {depth.words} has")
        return lambda: _measured(subject, self)


def agreement(pictures: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Intersection over union of the silhouettes, float64 [n].

    Args:
        pictures: uint8 [n, height, width, channels].
        depths: uint8 [n, height, width, channels], one for each.
    """
    return iou(pictures.mean(axis=-1) < WHITE, (depths > 0).any(axis=-1))


def _measured(subject: Subject, options: Silhouettes) -> Entries:
    drawn = drawn_values(subject, options.num_samples)
    asked = subject.asked(options.num_samples)
    depths = asked[options.field]
    own = agreement(drawn.samples, depths)
    others = agreement(drawn.samples, np.roll(depths, len(depths) // 2, axis=0))
    entry = {
        **number(float(own.mean()), float(own.std(ddof=1)) / math.sqrt(len(own))),
        "of_real_examples": float(agreement(asked[subject.field], depths).mean()),
        "of_other_depths": float(others.mean()),
        "unit": "intersection over union",
        **drawn.about,
    }
    return {"silhouette_iou": entry}
