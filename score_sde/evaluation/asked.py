"""What can be chosen about evaluation: the section `evaluation` of a config."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from score_sde import sections
from score_sde.checks import check_name
from score_sde.errors import UserError
from score_sde.evaluation.judgement import SampleOptions
from score_sde.evaluation.metrics import METRICS


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """The section `evaluation` of a config, but for the sections in it.

    Attributes:
        batch_size: examples a batch, over all devices; no number depends on it, except those of
            samples from a sampler that couples a batch.
        metrics: what to measure, names in evaluation.metrics.METRICS.
        split: of the data set.
        num_examples: evaluate the first so many; 0 for all.
        seed: of everything random in evaluation.
    """

    batch_size: int = 128
    metrics: tuple[str, ...] = ("bits_per_dim",)
    split: str = "test"
    num_examples: int = 0
    seed: int = 0

    def __post_init__(self):
        for name, smallest in (("batch_size", 1), ("num_examples", 0), ("seed", 0)):
            if getattr(self, name) < smallest:
                raise UserError(
                    f"config.evaluation.{name}={getattr(self, name)} must be at least {smallest}"
                )


def schema() -> dict[str, Any]:
    """The fields of the section `evaluation`, as sections.Entry, and of the sections in it."""
    return {
        **sections.entries(EvaluationOptions),
        "samples": sections.entries(SampleOptions),
        **sections.of_family(METRICS),
    }


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is asked of an evaluation.

    Attributes:
        options: of all of it.
        samples: of the set of samples, if a metric needs one.
        metrics: by name.
    """

    options: EvaluationOptions
    samples: SampleOptions
    metrics: dict[str, Any]


def read(section: Mapping[str, Any]) -> Asked:
    """What a section `evaluation` of a config asks for.

    Raises:
        UserError: no metric is named, or there is no such metric, or an option cannot work; also
            where it would make no difference.
    """
    own = sections.entries(EvaluationOptions)
    options = EvaluationOptions(**{name: section[name] for name in own})
    if not options.metrics:
        raise UserError(f"config.evaluation.metrics is empty: name some of {', '.join(METRICS)}")
    if len(set(options.metrics)) < len(options.metrics):
        raise UserError(f"config.evaluation.metrics={tuple(options.metrics)} names one twice")
    found: dict[str, Any] = {}
    try:
        for name in options.metrics:
            check_name("config.evaluation.metrics", name, METRICS)
        samples = _made("samples", SampleOptions, section)
        found = {name: _made(name, cls, section) for name, cls in METRICS.items()}
    except ValueError as error:
        raise UserError(str(error)) from error
    return Asked(options, samples, {name: found[name] for name in options.metrics})


def _made(name: str, cls: type, section: Mapping[str, Any]) -> Any:
    try:
        return cls(**section.get(name, {}))
    except ValueError as error:
        raise ValueError(f"config.evaluation.{name}: {error}") from error
