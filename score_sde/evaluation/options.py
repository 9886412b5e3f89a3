"""What can be chosen about evaluation. The section `evaluation` of a config is these classes."""

from __future__ import annotations

import dataclasses

from score_sde.evaluation.dequantization import DEQUANTIZATIONS
from score_sde.likelihood import DIVERGENCES, PROBES
from score_sde.samplers.options import check_count, check_name, check_positive
from score_sde.training.options import OptionError


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """The section `evaluation` of a config, but for the sections of single metrics in it.

    Attributes:
        batch_size: examples a batch, over all devices; no number depends on it.
        metrics: what to measure, names in evaluation.evaluate.METRICS.
        split: of the data set.
        num_images: evaluate the first so many; 0 for all.
        seed: of everything random in evaluation.
    """

    batch_size: int = 128
    metrics: tuple[str, ...] = ("bits_per_dim",)
    split: str = "test"
    num_images: int = 0
    seed: int = 0

    def __post_init__(self):
        for name, smallest in (("batch_size", 1), ("num_images", 0), ("seed", 0)):
            if getattr(self, name) < smallest:
                raise OptionError(
                    f"config.evaluation.{name}={getattr(self, name)} must be at least {smallest}"
                )


@dataclasses.dataclass(frozen=True)
class BitsOptions:
    """The section `evaluation.bits_per_dim` of a config: see evaluation.bits and likelihood.

    Attributes:
        dequantization: a name in evaluation.dequantization.DEQUANTIZATIONS.
        draws: K, the importance-weighted draws of one bound.
        repeats: bounds, each from draws of its own, whose mean is reported.
        divergence: "hutchinson" or "exact".
        probe: distribution of Hutchinson's probes, a name in likelihood.PROBES.
        probes: how many of them are averaged.
        rtol: relative tolerance of the solver.
        atol: absolute tolerance of the solver.
        t_min: where the ODE starts; the process's own if negative.
        max_steps: of the solver.
    """

    dequantization: str = "uniform"
    draws: int = 1
    repeats: int = 1
    divergence: str = "hutchinson"
    probe: str = "rademacher"
    probes: int = 1
    rtol: float = 1e-5
    atol: float = 1e-5
    t_min: float = -1.0
    max_steps: int = 4096

    def __post_init__(self):
        try:
            check_name("dequantization", self.dequantization, DEQUANTIZATIONS)
            check_name("divergence", self.divergence, DIVERGENCES)
            check_name("probe", self.probe, PROBES)
            for name in ("draws", "repeats", "probes", "max_steps"):
                check_count(name, getattr(self, name))
            for name in ("rtol", "atol"):
                check_positive(name, getattr(self, name))
        except ValueError as error:
            raise OptionError(f"config.evaluation.bits_per_dim: {error}") from error
