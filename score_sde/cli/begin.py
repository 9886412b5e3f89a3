"""How every mode begins: processes and what was compiled are found, and signals are listened to."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from score_sde import interrupts
from score_sde.errors import UserError

if TYPE_CHECKING:
    from score_sde.cli.flags import CommandLine


def begin(line: CommandLine) -> None:
    """Tell XLA its flags; find the other processes, and what was compiled before; listen."""
    import jax

    from score_sde.cli import compilation
    from score_sde.models import attention_cudnn
    from score_sde.training import xla

    xla.begin()
    if line.distributed:
        _distribute(line)
    try:
        attention_cudnn.check()
    except ValueError as error:
        raise UserError(str(error)) from error

    def say(text: str) -> None:
        if jax.process_index() == 0:
            print(text, flush=True)

    compilation.keep(say)
    interrupts.listen()


def _distribute(line: CommandLine) -> None:
    import jax

    from score_sde.cli import cluster, gathering

    if line.cluster is not None:
        gathering.check_port(line.cluster)
    try:
        known = {} if line.cluster is None else dataclasses.asdict(line.cluster)
        own = cluster.local_devices(os.environ)
        if line.cluster is None and (port := cluster.port_of_step(os.environ)):
            os.environ["JAX_COORDINATOR_PORT"] = str(port)
        limit = int(2 * gathering.LAST)  # at which JAX would end the process
        with gathering.waiting(line.cluster):
            jax.distributed.initialize(**known, local_device_ids=own, initialization_timeout=limit)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--distributed found no cluster ({reason}); it needs Slurm, Open MPI, Kubernetes, a "
            "TPU pod, or --coordinator, --processes and --process. On one machine leave it out: "
            "all its devices are used anyway"
        ) from error
    from score_sde.runs import peers
    from score_sde.training import checkpoint_folder

    def advice() -> str:
        if line.mode != "train":
            return "The same command goes on with what is not done"
        step = checkpoint_folder.latest(line.workdir / "checkpoints")
        return "The same command " + (
            "begins again" if step is None else f"goes on from step {step}"
        )

    peers.watch(advice)
