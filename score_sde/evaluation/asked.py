"""What can be chosen about evaluation: the section `evaluation` of a config."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from score_sde import sections
from score_sde.errors import UserError
from score_sde.evaluation.judgement import SampleOptions
from score_sde.evaluation.metrics import METRICS
from score_sde.values import Count, Every, Name, Seed, one_of


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

    batch_size: Count = 128
    metrics: tuple[Annotated[str, one_of(METRICS)], ...] = ("bits_per_dim",)
    split: Name = "test"
    num_examples: Every = 0
    seed: Seed = 0

    def __post_init__(self) -> None:
        sections.check(self, "config.evaluation.")


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
    own = {name: section[name] for name in sections.entries(EvaluationOptions)}
    options = EvaluationOptions(**own)
    if not options.metrics:
        raise UserError(f"config.evaluation.metrics is empty: name some of {', '.join(METRICS)}")
    if len(set(options.metrics)) < len(options.metrics):
        raise UserError(f"config.evaluation.metrics={tuple(options.metrics)} names one twice")
    found: dict[str, Any] = {}
    try:
        samples = _made("samples", SampleOptions, section)
        found = {name: _made(name, cls, section) for name, cls in METRICS.items()}
    except ValueError as error:
        raise UserError(str(error)) from error
    return Asked(options, samples, {name: found[name] for name in options.metrics})


def _made(name: str, cls: type, section: Mapping[str, Any]) -> Any:
    try:
        # A ConfigDict's own `get` looks for names that are alike before it says that there is none.
        return cls(**(section[name] if name in section else {}))  # noqa: SIM401
    except ValueError as error:
        raise ValueError(f"config.evaluation.{name}: {error}") from error
