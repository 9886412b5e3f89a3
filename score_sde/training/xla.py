"""What XLA is told of a program beside the program: every flag that this house sets, and why.

A flag that the variable XLA_FLAGS names is the user's: it is not set here. Nothing is said to XLA
in any other place.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence

import jax
from jax.sharding import Mesh

_UNKNOWN = "No such compile option"  # what a jaxlib says that lacks a flag


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of XLA for one program.

    Attributes:
        name: without its dashes.
        value: of the flag.
        platform: of the devices that it is for: "cpu", "gpu" or "tpu".
        why: the reason, and who says so.
        several: whether it is only for more than one device.
    """

    name: str
    value: bool | int | str
    platform: str
    why: str
    several: bool = False


# Of the program that is run once, before the first step.
INITIALISATION = (
    Flag(
        "xla_backend_optimization_level",
        0,
        "cpu",
        "optimising it takes longer than it could save",
    ),
)
# Of the training step.
STEP = (
    Flag(
        "xla_gpu_enable_latency_hiding_scheduler",
        True,
        "gpu",
        "gathers and reductions begin before products that do not wait for them (JAX's page of GPU "
        "performance tips; NVIDIA's images of JAX set it)",
        several=True,
    ),
)


def options(
    flags: Sequence[Flag], mesh: Mesh, environment: Mapping[str, str] = os.environ
) -> dict[str, bool | int | str]:
    """Those of some flags that are for a mesh, and that the user has not set, by their names."""
    given = re.findall(r"--(\w+)", environment.get("XLA_FLAGS", ""))
    platform = mesh.devices.flat[0].platform
    return {
        flag.name: flag.value
        for flag in flags
        if flag.platform == platform
        and flag.name not in given
        and (mesh.size > 1 or not flag.several)
    }


def compiled(
    lowered: jax.stages.Lowered, said: Mapping[str, bool | int | str]
) -> jax.stages.Compiled:
    """A program, compiled as is said; a jaxlib that lacks one of the flags is told none.

    Args:
        lowered: the program.
        said: flags by name, see `options`.
    """
    try:
        return lowered.compile(dict(said) or None)
    except jax.errors.JaxRuntimeError as error:
        if not said or _UNKNOWN not in str(error):
            raise
        return lowered.compile()
