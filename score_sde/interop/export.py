"""`python -m score_sde.interop.export RUN OUT.pth`: a run as an official PyTorch checkpoint.

OUT.safetensors: the averaged parameters alone.

A command of its own, not a mode of main.py: a run's folder holds its config, so it needs none.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from score_sde import files, terminal
from score_sde.errors import UserError
from score_sde.formats import safetensors, torch_writer
from score_sde.interop import song
from score_sde.models.functional import Arrays, split, streams
from score_sde.objectives import OWN
from score_sde.runs import folder
from score_sde.samplers import PredictorCorrector
from score_sde.training.options import OptimOptions

# The official networks keep these even where their SDE has no sigma.
_DEFAULT_SIGMAS = (0.01, 50.0)


def export_run(
    workdir: Path, path: Path, *, step: int | None = None, num_scales: int | None = None
) -> int:
    """Write the parameters of a run as the official networks have them.

    What is written follows from how the file's name ends, see FORMATS:

    - .pth or .pt: an official checkpoint, of the raw and the averaged parameters. The official code
      and `--mode=import` read it. Of several moving averages the first is written. The optimiser's
      state is not: the file holds that of an Adam before its first step.
    - .safetensors: the averaged parameters, by the names that the official network has for them;
      its metadata say step and decay. What an objective has learnt for itself (u of
      objective.denoising.uncertainty) follows under "objective."; the official layout has no place
      for it.

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
            layout, num_scales is below 2, the file's name ends otherwise, or it exists or cannot be
        written.
    """
    if path.suffix not in FORMATS:
        raise UserError(f"{path} must end with {' or '.join(FORMATS)}, which says what is written")
    raw = folder.load(workdir, weights="raw", step=step)
    average = folder.load(workdir, weights="ema", step=raw.step)
    if raw.config.model.name != "unet":
        raise UserError(f"only networks of config.model.name=unet are exported, not {workdir}")
    model = nnx.eval_shape(lambda: raw.experiment.module(streams(0)))
    try:
        arrays, trainable = song.from_params(model, *_network(raw))
        averages, _ = song.from_params(model, *_network(average))
    except ValueError as error:
        raise UserError(f"{workdir} cannot be exported: {error}") from error
    learnt = (split(arrays, OWN)[1] for arrays in (average.params, average.constants))
    own = {path: np.asarray(array) for part in learnt for path, array in part.items()}
    found = _Found(raw, _sigmas(raw, num_scales), arrays, averages, trainable, own)
    try:
        FORMATS[path.suffix](path, found)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    return raw.step


def _network(run: folder.Run) -> tuple[Arrays, Arrays]:
    """Parameters and constants of the network alone."""
    params, constants = (split(arrays, OWN)[0] for arrays in (run.params, run.constants))
    return params, constants


class _Found(NamedTuple):
    """What is written: a run, its noise levels, its arrays by their official names.

    Last, the averages that are the objective's own, by their paths.
    """

    run: folder.Run
    sigmas: np.ndarray
    raw: dict[str, np.ndarray]
    averages: dict[str, np.ndarray]
    trainable: list[str]
    own: dict[str, np.ndarray]

    @property
    def decay(self) -> float:
        return float(self.run.config.training.ema_decays[0])


def _checkpoint(path: Path, found: _Found) -> None:
    checkpoint = {
        "optimizer": _adam(found.run.experiment.optim, len(found.raw)),
        "model": OrderedDict({song.SIGMAS: found.sigmas, **found.raw}),
        "ema": {
            "decay": found.decay,
            "num_updates": found.run.step,
            "shadow_params": [found.averages[name] for name in found.trainable],
        },
        "step": found.run.step,
    }
    torch_writer.save(path, checkpoint)


def _tensors(path: Path, found: _Found) -> None:
    arrays = {song.SIGMAS: found.sigmas, **found.averages}
    named = {name.removeprefix(song.WRAPPER): array for name, array in arrays.items()}
    named |= {f"{OWN}.{path.replace('/', '.')}": array for path, array in found.own.items()}
    about = {"format": "pt", "step": str(found.run.step), "ema_decay": str(found.decay)}
    safetensors.save(path, named, about)


# How a file's name ends, and what writes it.
FORMATS: dict[str, Callable[[Path, _Found], None]] = {
    ".pth": _checkpoint,
    ".pt": _checkpoint,
    ".safetensors": _tensors,
}


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


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments after the program's name; None takes those of the process.

    Returns:
        Exit status: 0, or 2 after one line on stderr if the input is bad.
    """
    parser = terminal.Parser(
        prog="python -m score_sde.interop.export",
        description="Write a run as an official PyTorch checkpoint, or its averages as tensors.",
    )
    parser.add_argument("run", type=files.typed, help="the run's folder")
    parser.add_argument(
        "out",
        type=files.typed,
        help="the file to write: NAME.pth, an official checkpoint, or NAME.safetensors",
    )
    parser.add_argument("--step", type=int, help="which checkpoint [the newest]")
    parser.add_argument(
        "--num_scales",
        type=int,
        help="the official config's model.num_scales [the run's noise levels or sampling.steps]",
    )
    try:
        args = parser.parse_args(argv)
        step = export_run(args.run, args.out, step=args.step, num_scales=args.num_scales)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote step {step} of {args.run} to {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
