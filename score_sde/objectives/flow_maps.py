"""What objectives of flow maps between any two times of straight paths have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

from score_sde.flow_map import INTERVAL, FlowMap, OfDenoiser
from score_sde.objectives.base import FLOW_MAP, Network, Objective
from score_sde.prediction import Denoiser
from score_sde.processes import SDE


@dataclasses.dataclass(frozen=True)
class StraightFlowMap(Objective):
    """What trains a flow map by its average velocity, (x - jump(x, t, s)) / (t - s).

    On the straight path of a rectified flow that is eps - x0 of the map's pair.
    """

    TRAINS: ClassVar[str] = FLOW_MAP
    NUMBERS: ClassVar[tuple[str, ...]] = (INTERVAL,)

    def model(
        self, network: Network, process: SDE, denoiser: Callable[[Network], Denoiser]
    ) -> FlowMap:
        """See Objective: the flow map of a network that is told the interval."""
        return OfDenoiser(process, denoiser(network))

    def check(self, process: SDE) -> None:
        """Raise ValueError if the paths are not straight."""
        if not process.straight:
            raise ValueError(
                f"{type(self).__name__} is of straight paths: use config.sde.name=rectified_flow"
            )
