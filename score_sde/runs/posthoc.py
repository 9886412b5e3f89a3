"""Power-function averages of any length, made after training of those that a run kept.

See training.power_ema for the mathematics. The averages of the checkpoint itself and the snapshots
of earlier steps are put together.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from score_sde import values
from score_sde.errors import UserError
from score_sde.models.functional import Arrays
from score_sde.training import checkpoint_folder, power_ema
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.options import POWER, SigmaRel, TrainingOptions
from score_sde.training.snapshots import FOLDER, Snapshots

PREFIX = "posthoc:"
LARGEST_ERROR = 0.1


def asked(weights: str, options: TrainingOptions) -> float | None:
    """The sigma_rel that weights ask for; None if they are of another kind.

    Raises:
        UserError: it is no length of an average, or the run keeps none that it could be made of.
    """
    if not weights.startswith(PREFIX):
        return None
    try:
        sigma_rel = float(weights.removeprefix(PREFIX))
        values.check(f"weights={PREFIX}SIGMA_REL", sigma_rel, SigmaRel)
    except ValueError as error:
        said = f"after {PREFIX} comes sigma_rel, {values.describe(SigmaRel)}: {PREFIX}0.10"
        raise UserError(f"weights={values.shown(weights)}: {said}") from error
    if not options.ema_profiles:
        raise UserError(
            f"weights={weights} is made of power-function averages, and this run kept none: train "
            "with --config.training.ema_profiles=0.05,0.10 --config.training.ema_snapshot_every=N"
        )
    return sigma_rel


def plan(
    kept: Sequence[int], step: int, profiles: Sequence[float], sigma_rel: float
) -> tuple[np.ndarray, power_ema.Combination]:
    """What the average of a length at a step is made of.

    Args:
        kept: steps of the snapshots.
        step: of the checkpoint, which has averages of its own.
        profiles: sigma_rel of the averages of each step.
        sigma_rel: the length.

    Returns:
        The steps of the averages, those of one step in the order of the profiles; and their sum.
    """
    each = [*(s for s in kept if s < step), step]
    steps, lengths = np.repeat(each, len(profiles)), np.tile(profiles, len(each))
    return steps, power_ema.combine(steps, lengths, step, sigma_rel)


def planned(
    workdir: Path, options: TrainingOptions, step: int | None, sigma_rel: float
) -> tuple[np.ndarray, power_ema.Combination]:
    """The `plan` of a run's average; of its arrays nothing is read.

    Args:
        workdir: the run's folder.
        options: of the training.
        step: the checkpoint; the newest if None.
        sigma_rel: the length.

    Raises:
        UserError: there is no such checkpoint, or what was kept is too little.
    """
    step = checkpoint_folder.chosen(workdir / "checkpoints", step)
    kept = checkpoint_folder.steps(workdir / FOLDER)
    steps, found = plan(kept, step, options.ema_profiles, sigma_rel)
    if found.error > LARGEST_ERROR:
        raise UserError(
            f"{workdir} kept too little for {PREFIX}{sigma_rel:g}: {_made_of(steps, found)}. Train "
            "with a smaller config.training.ema_snapshot_every, or ask for a length near "
            f"{' or '.join(f'{one:g}' for one in options.ema_profiles)}"
        )
    return steps, found


def _made_of(steps: np.ndarray, found: power_ema.Combination) -> str:
    number = len(set(steps.tolist()))
    return f"{len(steps)} averages of {number} steps: expected relative error {found.error:.1e}"


def read(
    workdir: Path,
    checkpoints: Checkpoints,
    options: TrainingOptions,
    shapes: Any,
    step: int | None,
    sigma_rel: float,
) -> tuple[Arrays, Arrays]:
    """The average of a length, and the constants. How it was made is said on stderr.

    Args:
        workdir: the run's folder.
        checkpoints: its checkpoints.
        options: of the training.
        shapes: (parameters, constants), jax.ShapeDtypeStruct with shardings.
        step: the checkpoint; see Checkpoints.
        sigma_rel: the length.

    Raises:
        UserError: what was kept is too little, or damaged.
    """
    steps, found = planned(workdir, options, step, sigma_rel)
    step = int(steps[-1])
    snapshots = Snapshots(workdir)
    try:
        if jax.process_index() == 0:
            print(f"{PREFIX}{sigma_rel:g} is made of {_made_of(steps, found)}", file=sys.stderr)
        params, constants = shapes
        total = {n: np.zeros(shape.shape, np.float64) for n, shape in params.items()}
        coefficients = iter(found.coefficients)
        names = [f"{POWER}{one}" for one in options.ema_profiles]
        for at in dict.fromkeys(steps.tolist()):
            source = checkpoints if at == step else snapshots
            for average in source.averages(at, names, params):
                factor = next(coefficients)
                for name, array in average.items():
                    total[name] += factor * np.asarray(array, np.float64)
        _, constants = checkpoints.restore_weights(shapes, "raw", step)
    finally:
        snapshots.close()
    made = {
        n: jax.device_put(a.astype(params[n].dtype), params[n].sharding) for n, a in total.items()
    }
    return made, constants
