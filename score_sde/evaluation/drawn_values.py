"""Samples themselves, as a metric looks at them that compares no features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from score_sde.evaluation import extractors
from score_sde.evaluation.samples import draw, protocol
from score_sde.evaluation.subject import Subject

_AT_ONCE = 1 << 13  # examples that are read at a time


class Values(NamedTuple):
    """What was drawn, and how.

    Attributes:
        samples: [n, *shape of the field]; uint8 of pixels, else float32.
        about: entries of evaluation.json: the cost of a sample and the protocol.
    """

    samples: np.ndarray
    about: dict[str, object]


def drawn_values(subject: Subject, number: int) -> Values:
    """Samples of a model of pixels or continuous examples; goes on after a kill, see samples.draw.

    Args:
        subject: the model.
        number: how many.

    Raises:
        UserError: the sampler gave up, or the run's folder cannot be written.
    """
    field = subject.source.info[subject.field]
    extractor = extractors.get("pixels" if field.of_pixels else "values")
    found = draw(subject, extractor, number)
    values = found.features.reshape(number, *field.shape)
    if field.of_pixels:
        values = np.round(255 * values).astype(np.uint8)
    return Values(values, {"nfe": found.nfe, "protocol": protocol(subject, extractor, number)})


def all_of(subject: Subject, source: object, first: int | None = None) -> np.ndarray:
    """The modelled field of all examples of a source, or of the first so many."""
    n = len(source) if first is None else min(first, len(source))
    parts = [np.arange(i, min(i + _AT_ONCE, n)) for i in range(0, n, _AT_ONCE)]
    return np.concatenate([source.gather(rows)[subject.field] for rows in parts])
