"""Processes that work together on this machine, as Slurm starts them."""

from __future__ import annotations

import random


def environments(count: int) -> list[dict[str, str]]:
    """What each finds in its environment, of a job of their own: JAX derives its port from it."""
    shared = {
        "SLURM_JOB_ID": str(random.SystemRandom().randrange(2**20)),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NTASKS": str(count),
    }
    return [{**shared, "SLURM_PROCID": str(n), "SLURM_LOCALID": str(n)} for n in range(count)]
