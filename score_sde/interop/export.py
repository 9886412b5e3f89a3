"""`python -m score_sde.interop.export RUN OUT.pth`: a run as an official PyTorch checkpoint.

A command of its own, not a mode of main.py: a run's folder holds its config, so it needs none.
"""

from __future__ import annotations

import argparse
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from flax import nnx

from score_sde.errors import UserError
from score_sde.formats import torch_writer
from score_sde.interop import song
from score_sde.runs import folder
from score_sde.samplers import PredictorCorrector
from score_sde.training.options import OptimOptions

# The official networks keep these even where their SDE has no sigma.
_DEFAULT_SIGMAS = (0.01, 50.0)


def export_run(
    workdir: Path, path: Path, *, step: int | None = None, num_scales: int | None = None
) -> int:
    """Write the raw and the averaged parameters of a run as an official checkpoint.

    The official code, and `--mode=import`, read it. Of several moving averages the first is
    written. The optimiser's state is not: the file holds that of an Adam before its first step.

    Args:
        workdir: the run's folder.
        path: the file, which must not exist.
        step: which checkpoint; the newest if None.
        num_scales: the official config's model.num_scales, which sizes a buffer of the file; by
            default as many as the process has levels or, in continuous time, the sampler steps.

    Returns:
        The step that was written.

    Raises:
        UserError: there is no such run or checkpoint, its network has no place in the official
            layout, num_scales is below 2, or the file exists or cannot be written.
    """
    raw = folder.load(workdir, weights="raw", step=step)
    average = folder.load(workdir, weights="ema", step=raw.step)
    if raw.config.model.name != "unet":
        raise UserError(f"only networks of config.model.name=unet are exported, not {workdir}")
    model = nnx.eval_shape(lambda: raw.experiment.module(nnx.Rngs(0)))
    try:
        arrays, trainable = song.from_params(model, raw.params, raw.constants)
        averages, _ = song.from_params(model, average.params, average.constants)
    except ValueError as error:
        raise UserError(f"{workdir} cannot be exported: {error}") from error
    checkpoint = {
        "optimizer": _adam(raw.experiment.optim, len(arrays)),
        "model": OrderedDict({song.SIGMAS: _sigmas(raw, num_scales), **arrays}),
        "ema": {
            "decay": float(raw.config.training.ema_decays[0]),
            "num_updates": raw.step,
            "shadow_params": [averages[name] for name in trainable],
        },
        "step": raw.step,
    }
    try:
        torch_writer.save(path, checkpoint)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    return raw.step


def _sigmas(run: folder.Run, num_scales: int | None) -> np.ndarray:
    """The noise levels that the official networks keep as a buffer: geometric, descending."""
    low, high = (
        getattr(run.sde, name, default)
        for name, default in zip(("sigma_min", "sigma_max"), _DEFAULT_SIGMAS, strict=True)
    )
    if num_scales is None:
        steps = getattr(run.experiment.sampler, "steps", PredictorCorrector.steps)
        num_scales = run.sde.scales or steps
    if num_scales < 2:
        raise UserError(f"{num_scales} noise levels are too few: give --num_scales=N, at least 2")
    return np.geomspace(high, low, num_scales)


def _adam(options: OptimOptions, parameters: int) -> dict[str, Any]:
    """The state_dict of a torch.optim.Adam that has taken no step."""
    group = {
        "lr": options.learning_rate,
        "betas": (options.beta1, options.beta2),
        "eps": options.eps,
        "weight_decay": options.weight_decay,
        "amsgrad": False,
        "params": list(range(parameters)),
    }
    return {"state": {}, "param_groups": [group]}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments after the program's name; None takes those of the process.

    Returns:
        Exit status: 0, or 2 after one line on stderr if the input is bad.
    """
    parser = _Parser(
        prog="python -m score_sde.interop.export",
        description="Write a run as an official PyTorch checkpoint.",
    )
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("out", type=Path, help="the .pth file to write")
    parser.add_argument("--step", type=int, help="which checkpoint [the newest]")
    parser.add_argument(
        "--num_scales",
        type=int,
        help="the official config's model.num_scales [the run's noise levels or sampling.steps]",
    )
    args = parser.parse_args(argv)
    try:
        step = export_run(args.run, args.out, step=args.step, num_scales=args.num_scales)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote step {step} of {args.run} to {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
