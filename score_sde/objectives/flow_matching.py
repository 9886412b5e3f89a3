r"""Flow matching: the velocity of paths between data and noise, which may be coupled.

    E_t E_(x_0, eps) || velocity(x_t, t) - (alpha' x_0 + sigma' eps) ||^2,                   (1)
    x_t = alpha x_0 + sigma eps,

(Lipman et al. 2022, arXiv 2210.02747; Liu et al. 2022, arXiv 2209.03003; Albergo and
Vanden-Eijnden 2022, arXiv 2209.15571). It is the loss of objectives.denoising with its weighting
"uniform" on the velocity, and of every process: rectified_flow has straight paths, cosine_vp and
trig_flow trigonometric ones, vp those that keep the variance. What is added is the coupling of x_0
and eps, see objectives.couplings. Unless they are independent, the model is no longer E[x_0 | x_t]
of noised data: its probability flow still leads from noise to data, as samplers without noise
follow it, but its score is not that of p_t.

With a teacher it is reflow (Liu et al. 2022, Section 2.1): x_0 is what the flow of a trained run
makes of eps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Self

from score_sde.objectives.couplings import COUPLINGS, Coupling
from score_sde.objectives.denoising import Denoising
from score_sde.objectives.weightings import WEIGHTINGS
from score_sde.sections import DERIVED
from score_sde.values import Path, between, one_of


@dataclasses.dataclass(frozen=True)
class FlowMatching(Denoising):
    """Equation (1) of the module; see Denoising for the options that are not here.

    Attributes:
        weighting: of the error; "uniform" with its own quantity is equation (1).
        coupling: of noise and data in a batch, a name in couplings.COUPLINGS.
        teacher: of reflow, the folder of a run whose flow gives the data of each noise, in place
            of the data set and the coupling; empty for none. See runs.teacher.
        pairs: how many of these are drawn once, before training, and kept in the run's folder; 0 to
            draw them anew in each step. Of a model that is told no condition.
        regularization: of the coupling sinkhorn; its own if None. A smaller one takes more
            iterations.
        iterations: of the coupling sinkhorn; its own if None.
        taught: the coupling of the teacher, while it trains.

    Raises:
        ValueError: as for Denoising.
    """

    weighting: Annotated[str, one_of(WEIGHTINGS)] = "uniform"
    coupling: Annotated[str, one_of(COUPLINGS)] = "independent"
    teacher: Path = ""
    pairs: Annotated[int, between(0, 100_000_000)] = 0
    regularization: Annotated[float, between(1e-4, 1e4)] | None = None
    iterations: Annotated[int, between(1, 100_000)] | None = None
    taught: Coupling | None = dataclasses.field(default=None, metadata=DERIVED)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.teacher and self.coupling != "independent":
            raise ValueError(
                f"coupling={self.coupling} is of the data, which teacher={self.teacher} replaces: "
                "give one of them"
            )
        if self.pairs and not self.teacher:
            raise ValueError(f"pairs={self.pairs} are of a teacher: give the folder of its run")
        if self.second_order and (self.teacher or self.coupling != "independent"):
            raise ValueError(
                "second_order is of noise that is independent of the data: leave it out, or give "
                "coupling=independent and no teacher"
            )
        self._check_of("coupling", ("sinkhorn",), "regularization", "iterations")

    def check_conditions(self, told: Mapping[str, tuple[str, float]]) -> None:
        """Raise ValueError if noise is assigned within classes of what is no class."""
        for name, (kind, _) in told.items():
            if self.coupling != "independent" and kind != "label":
                raise ValueError(
                    f"coupling={self.coupling} is within classes, and {name} is no class: no two "
                    "examples need share it. Use coupling=independent"
                )

    def given(self, teacher: Coupling) -> Self:
        """See Objective."""
        return dataclasses.replace(self, taught=teacher)

    def couple(self) -> Coupling:
        """See Denoising: that of the teacher, or the one that is named."""
        if self.taught is not None:
            return self.taught
        chosen = {"regularization": self.regularization, "iterations": self.iterations}
        given = {name: value for name, value in chosen.items() if value is not None}
        return COUPLINGS[self.coupling](**given)
