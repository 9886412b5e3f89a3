"""What is trained beside the weights of a run, which stay as they are.

So adapted, a network is another pure function: its parameters are the adapter's, and the arrays of
the network are among its constants. Whatever trains, averages and saves parameters then trains,
averages and saves the adapter.
"""

from __future__ import annotations

from typing import ClassVar

from score_sde.models.functional import Arrays, Functional


class Adapter:
    """Subclasses are sections of the section `training` of a config.

    Attributes:
        PREFIX: what the paths of its arrays begin with, and those of no network.
    """

    PREFIX: ClassVar[str]

    @property
    def said(self) -> str:
        """The field of the config that turns it on, with its value; "" where it is off."""
        raise NotImplementedError

    @property
    def told(self) -> tuple[str, ...]:
        """Names of fields of the data that it is told, and the network is not."""
        return ()

    def adapted(self, network: Functional) -> Functional:
        """A network whose parameters are the adapter's; the network itself where it is off.

        Raises:
            ValueError: it cannot be.
        """
        raise NotImplementedError

    def whole(self, arrays: Arrays) -> Arrays:
        """What another run can begin from: a run's arrays, or the network's with what was learnt.

        Args:
            arrays: parameters and constants of the adapted network, by path.
        """
        return arrays

    def begun(self, found: Arrays) -> Arrays:
        """Arrays of its own that begin as arrays of the network do, by path.

        Args:
            found: the network's.
        """
        return {}

    def owns(self, path: str) -> bool:
        """Whether an array is one of its own."""
        return path.startswith(f"{self.PREFIX}/")
