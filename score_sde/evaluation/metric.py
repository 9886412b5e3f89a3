"""What a metric is: a file of its own with its options, which says what it needs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

from jax.sharding import Mesh

from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn
from score_sde.evaluation.subject import Subject
from score_sde.objectives import AUTOENCODER, CLASSIFIER, DENOISER, TOKEN_PREDICTOR

__all__ = [
    "AUTOENCODER",
    "CLASSIFIER",
    "DENOISER",
    "SAMPLES",
    "TOKEN_PREDICTOR",
    "Entries",
    "Metric",
    "SampleMetric",
    "number",
]

# Entries of evaluation.json, by name: "value", "standard_error" or None, "protocol", and whatever
# else a metric has to tell.
Entries = dict[str, dict[str, Any]]

# What a metric needs, if not examples held against a denoiser or a classifier: features of samples.
SAMPLES = "samples"


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric of examples. Subclasses are the sections of a config that they share a name with.

    Attributes:
        NEEDS: DENOISER, CLASSIFIER, AUTOENCODER or TOKEN_PREDICTOR, what the subject must be.
    """

    NEEDS: ClassVar[str]

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """Find out what is missing before hours of work, not after.

        Args:
            subject: what is evaluated.

        Returns:
            What measures; it goes on with a measurement that was interrupted.

        Raises:
            ValueError: it cannot be measured of this subject; the engine says of which metric.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class SampleMetric:
    """A metric of samples: all that are asked for judge one set. Sections of a config, as Metric.

    Attributes:
        NEEDS: SAMPLES.
        LOGITS: whether it needs an extractor that gives logits.
        FEATURES: whether it needs features of real examples, as many as `fewest`, and not only
            their moments.
    """

    NEEDS: ClassVar[str] = SAMPLES
    LOGITS: ClassVar[bool] = False
    FEATURES: ClassVar[bool] = False

    @property
    def fewest(self) -> int:
        """Samples that it takes at least."""
        raise NotImplementedError

    def judge(self, drawn: Drawn, real: Reference, seed: int, mesh: Mesh | None) -> Entries:
        """Its entries, but for what all metrics of samples have in common.

        Args:
            drawn: the samples.
            real: the real examples, by the same extractor.
            seed: of everything random in it.
            mesh: the devices; all if None.

        Raises:
            ValueError: it cannot be had of these.
        """
        raise NotImplementedError


def number(value: float, error: float) -> dict[str, float | None]:
    """A value with its standard error, for which None stands where it is not known, as in JSON."""
    return {"value": value, "standard_error": error if math.isfinite(error) else None}
