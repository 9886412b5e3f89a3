"""What XLA is told of a program beside the program: every flag that this house sets, and why.

A flag that the variable XLA_FLAGS names is the user's: it is not set here. Nothing is said to XLA
in any other place. Whoever imports score_sde has XLA as it was: only programs tell it flags of the
whole process.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

import jax
from jax.sharding import Mesh

from score_sde.errors import UserError

_VARIABLE = "XLA_FLAGS"
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


# Of all programs of a process: of this one XLA takes no other value for a single program.
PROCESS = (
    Flag(
        "xla_backend_extra_options",
        "xla_cpu_use_multi_output_fusion",
        "cpu",
        "results of the same arrays are one loop, such as a parameter, its moments and its "
        "average: a step of cifar_vp compiles in 0.78 of the time and takes 0.96 of it "
        "(experiments/throughput)",
    ),
)
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


def begin(environment: MutableMapping[str, str] = os.environ) -> None:
    """Tell XLA the flags of a process: it reads them once, when the first device is opened."""
    given = _given(environment)
    ours = [f"--{flag.name}={flag.value}" for flag in PROCESS if flag.name not in given]
    # No file is named any more: XLA would take all of the variable for the name.
    environment[_VARIABLE] = " ".join([*_said(environment).split(), *ours])


def options(
    flags: Sequence[Flag], mesh: Mesh, environment: Mapping[str, str] = os.environ
) -> dict[str, bool | int | str]:
    """Those of some flags that are for a mesh, and that the user has not set, by their names."""
    given = _given(environment)
    platform = mesh.devices.flat[0].platform
    return {
        flag.name: flag.value
        for flag in flags
        if flag.platform == platform
        and flag.name not in given
        and (mesh.size > 1 or not flag.several)
    }


def _given(environment: Mapping[str, str]) -> list[str]:
    """Names of flags that the user sets."""
    return re.findall(r"--(\w+)", _said(environment))


def _said(environment: Mapping[str, str]) -> str:
    """What the variable says, or the file that it names, as XLA lets it.

    Raises:
        UserError: the file cannot be read, where XLA would abort.
    """
    said = environment.get(_VARIABLE, "").strip()
    if not said or said.startswith("-"):
        return said
    try:
        return Path(said).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{_VARIABLE}={said}: flags begin with --, and no file of that name can be read"
        ) from error


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
