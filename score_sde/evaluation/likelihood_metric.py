"""What metrics have in common that solve the probability-flow ODE; see score_sde.likelihood."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from typing import Annotated, Any, ClassVar

import jax

from score_sde import likelihood, sections
from score_sde.divergence import DIVERGENCES, PROBES
from score_sde.evaluation.metric import DENOISER, Metric
from score_sde.evaluation.subject import Subject
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.spaces import Space
from score_sde.values import Count, Positive, one_of


@dataclasses.dataclass(frozen=True)
class LikelihoodMetric(Metric):
    """Options of the solver.

    Attributes:
        divergence: "hutchinson" or "exact".
        probe: distribution of Hutchinson's probes, a name in PROBES.
        probes: how many of them are averaged.
        rtol: relative tolerance of the solver.
        atol: absolute tolerance of the solver.
        t_min: where the ODE starts; the process's own if None.
        max_steps: of the solver.
    """

    NEEDS: ClassVar[str] = DENOISER

    divergence: Annotated[str, one_of(DIVERGENCES)] = "exact"
    probe: Annotated[str, one_of(PROBES)] = "rademacher"
    probes: Count = 1
    rtol: Positive = 1e-5
    atol: Positive = 1e-5
    t_min: Positive | None = None
    max_steps: Count = 4096

    def __post_init__(self) -> None:
        sections.check(self)

    def process(self, sde: SDE) -> SDE:
        """The process from t_min on.

        Raises:
            ValueError: t_min cannot work.
        """
        if self.t_min is None:
            return sde
        try:
            return dataclasses.replace(sde, t_min=self.t_min)
        except ValueError as error:
            raise ValueError(f"t_min={self.t_min}: {error}") from error

    def solve(
        self, keys: jax.Array, denoise: Denoiser, process: SDE, x: jax.Array, cond: Any
    ) -> likelihood.LogLikelihood:
        """log p(x), with these options; see likelihood.log_likelihood."""
        return likelihood.log_likelihood(
            keys,
            denoise,
            process,
            x,
            self.divergence,
            self.probes,
            self.rtol,
            self.atol,
            cond=cond,
            probe=self.probe,
            max_steps=self.max_steps,
        )

    def protocol(self, subject: Subject, process: SDE) -> dict[str, Any]:
        """All that determines log p of examples, as JSON values."""
        versions = {name: importlib.metadata.version(name) for name in ("diffrax", "equinox")}
        return {
            **subject.protocol(),
            **subject.data_protocol(),
            **dataclasses.asdict(self),
            "solver": "Dormand-Prince 5(4), steps of each example its own",
            "sde": {"name": type(process).__name__, **process.parameters},
            "t_min": process.t_min,
            "versions": subject.identity["versions"] | versions,
        }


def check_continuous(space: Space) -> None:
    """Raise ValueError if the examples of a space are discrete, and have no density."""
    if space.lattice is not None:
        raise ValueError("it is of continuous data, and these are discrete: use bits_per_dim")
