"""`python -m score_sde.interop.export RUN OUT.safetensors`: a run by its authors' names for arrays.

A network that has no authors, or an option that they do not have, is written by our own names.
OUT.pth: an official PyTorch checkpoint, of the networks whose authors have them as plain data.

A command of its own, not a mode of main.py: a run's folder holds its config, so it needs none.
"""

from __future__ import annotations

import functools
import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from score_sde import files, interrupts, terminal
from score_sde.errors import UserError
from score_sde.formats import safetensors, torch_writer
from score_sde.interop import own_family, song
from score_sde.interop.families import FAMILIES
from score_sde.interop.lora import write as adapters
from score_sde.interop.recognise import ABOUT, OURS
from score_sde.interop.slots import from_params
from score_sde.models.functional import Arrays, split
from score_sde.models.lora import LoRA
from score_sde.objectives import OWN
from score_sde.runs import config as configs
from score_sde.runs import folder
from score_sde.runs.experiment import Experiment
from score_sde.runs.opened import Opened
from score_sde.samplers import PredictorCorrector
from score_sde.training.options import OptimOptions
from score_sde.values import is_path

# The official networks keep these even where their SDE has no sigma.
_DEFAULT_SIGMAS = (0.01, 50.0)


class Exported(NamedTuple):
    """What was written.

    Attributes:
        step: of the checkpoint.
        family: whose names for the arrays these are, a key of FAMILIES.
        says_run: whether the file says the run's config; else the arrays are all it holds.
    """

    step: int
    family: str
    says_run: bool


def export_run(
    workdir: Path,
    path: Path,
    *,
    step: int | None = None,
    num_scales: int | None = None,
    layout: str | None = None,
) -> Exported:
    """Write the parameters of a run as the official networks have them.

    Whose networks these are, follows from the run, see families. What is written follows from how
    the file's name ends:

    - .safetensors: the averaged parameters, by the names that the official network has for them,
      or by ours where no official network has all of them; its metadata say step and decay, and
      the run's config, with which `--mode=import` makes a run of it again. What an objective has
      learnt for itself (u of objective.denoising.uncertainty) follows under "objective.".
    - .pth or .pt: of the networks of Song et al. an official checkpoint, of the raw and the
      averaged parameters. The official code and `--mode=import` read it. The optimiser's state is
      not written: the file holds that of an Adam before its first step. Of DiT, SiT, U-ViT,
      guided-diffusion and its classifier, the averaged parameters alone, as their authors have it.

    Of several moving averages the first is written. Of a run that has trained factors beside
    another's weights (config.training.lora), it is these, as an adapter of the peft library: by
    released names, such as diffusers has, if the network has any.

    Args:
        workdir: the run's folder.
        path: the file, which must not exist.
        step: which checkpoint; the newest if None.
        num_scales: of Song et al., the official config's model.num_scales, which sizes a buffer of
            the file; by default as many as the process has levels or, in continuous time, the
            sampler steps.
        layout: of such an adapter, one of lora.write.LAYOUTS; None for the first.

    Raises:
        UserError: there is no such run or checkpoint, a .pth file is asked for of a network that
            has no place in the official layout, num_scales is below 2, the file's name ends
            otherwise, or it exists or cannot be written.
    """
    if path.suffix not in FORMATS:
        raise UserError(f"{path} must end with {' or '.join(FORMATS)}, which says what is written")
    raw = folder.opened(workdir, weights="raw", step=step)
    average = folder.opened(workdir, weights="ema", step=raw.step)
    if isinstance(raw.experiment.adapter, LoRA) and raw.experiment.adapter.said:
        return _adapter(average, path, num_scales, layout)
    if layout is not None:
        raise UserError(f"--layout is of runs of config.training.lora.rank, and {workdir} is none")
    families = _families(raw.experiment, path)
    if "song" not in families and num_scales is not None:
        raise UserError(
            f"--num_scales is of the networks of Song et al., not of {families[0]}: leave it out"
        )
    try:
        found = _found(families, raw, average, path, num_scales)
        FORMATS[path.suffix](path, found)
    except ValueError as error:
        raise UserError(f"{workdir} cannot be exported: {error}") from error
    except FileExistsError as error:
        raise UserError(f"{path} exists: give another file") from error
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    return Exported(raw.step, found.family, path.suffix == ".safetensors")


def _adapter(run: Opened, path: Path, num_scales: int | None, layout: str | None) -> Exported:
    """Of a run of config.training.lora."""
    if path.suffix != ".safetensors" or num_scales is not None:
        raise UserError(f"{run.workdir} is an adapter: give NAME.safetensors, without --num_scales")
    layout = adapters.LAYOUTS[0] if layout is None else layout
    try:
        released = adapters.write(run, path, layout)
    except ValueError as error:
        raise UserError(f"{run.workdir} cannot be exported: {error}") from error
    except FileExistsError as error:
        raise UserError(f"{path} exists: give another file") from error
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    return Exported(run.step, layout if released else OURS, True)


def _families(experiment: Experiment, path: Path) -> list[str]:
    """Whose network that of a run may be, keys of FAMILIES, the likeliest first."""
    model = experiment.config.model
    alone = model.name == "unet" and (model.patch > 1 or model.fourier_features)
    found = [
        name
        for name, family in FAMILIES.items()
        if name != OURS
        and not alone  # no official U-Net sees patches or Fourier features
        and model.name in family.networks
        and (name == "song" or (family.export is not None and family.exports(experiment)))
    ]
    if path.suffix == ".safetensors":
        return [*found, OURS]
    if not found:
        raise UserError(
            f"config.model.name={model.name} with the options of this run is no "
            f"network of a {path.suffix} file: give NAME.safetensors, which has all others too"
        )
    return found


def _found(
    families: Sequence[str],
    raw: Opened,
    average: Opened,
    path: Path,
    num_scales: int | None,
) -> _Found:
    """By the names of the first family that has a place for every array."""
    for name in families:
        try:
            if name == "song":
                return _of_song(raw, average, num_scales)
            return _of_family(name, raw, average, path)
        except ValueError:
            if name == families[-1]:
                raise
    raise AssertionError("there is a family at least")


def _of_song(raw: Opened, average: Opened, num_scales: int | None) -> _Found:
    model = FAMILIES["song"].model(raw.experiment)
    arrays, trainable = song.from_params(model, *_network(raw))
    averages, _ = song.from_params(model, *_network(average))
    sigmas = {song.SIGMAS: _sigmas(raw, num_scales)}
    return _Found("song", raw, sigmas | averages, _own(average), sigmas | arrays, trainable)


def _of_family(name: str, raw: Opened, average: Opened, path: Path) -> _Found:
    experiment = raw.experiment
    model = FAMILIES[name].model(experiment)
    try:
        places = FAMILIES[name].export(model, experiment, path)
        averages = from_params(model, places, *_network(average))
    except AttributeError as error:  # a layer of another kind, which an option of ours chooses
        raise ValueError(f"the networks of {name} have no such layer: {error}") from error
    return _Found(name, raw, averages, _own(average))


def _own(average: Opened) -> dict[str, np.ndarray]:
    """The averages that are the objective's own, by their paths."""
    learnt = (split(arrays, OWN)[1] for arrays in (average.params, average.constants))
    return {path: np.asarray(array) for part in learnt for path, array in part.items()}


def _network(run: Opened) -> tuple[Arrays, Arrays]:
    """Parameters and constants of the network alone."""
    params, constants = (split(arrays, OWN)[0] for arrays in (run.params, run.constants))
    return params, constants


class _Found(NamedTuple):
    """What is written: of which family, a run, its averages by their official names.

    Then the averages that are the objective's own, by their paths; of a checkpoint of Song et al.
    the raw parameters too, and the names of those that are trained.
    """

    family: str
    run: Opened
    averages: dict[str, np.ndarray]
    own: dict[str, np.ndarray]
    raw: dict[str, np.ndarray] | None = None
    trainable: Sequence[str] = ()

    @property
    def decay(self) -> float:
        return float(self.run.config.training.ema_decays[0])


def _checkpoint(path: Path, found: _Found) -> None:
    if FAMILIES[found.family].alone:
        torch_writer.save(path, OrderedDict(found.averages))
        return
    if found.raw is None:
        raise ValueError(
            f"the files of {found.family} hold the source of its code: give NAME.safetensors"
        )
    checkpoint = {
        "optimizer": _adam(found.run.experiment.optim, len(found.raw) - 1),
        "model": OrderedDict(found.raw),
        "ema": {
            "decay": found.decay,
            "num_updates": found.run.step,
            "shadow_params": [found.averages[name] for name in found.trainable],
        },
        "step": found.run.step,
    }
    torch_writer.save(path, checkpoint)


def _tensors(path: Path, found: _Found) -> None:
    named = {name.removeprefix(song.WRAPPER): array for name, array in found.averages.items()}
    named |= {own_family.named(f"{OWN}/{path}"): array for path, array in found.own.items()}
    about = {"format": "pt", "step": str(found.run.step), "ema_decay": str(found.decay)}
    safetensors.save(path, named, about | {ABOUT: json.dumps(_about(found))})


def _about(found: _Found) -> dict[str, Any]:
    """What recognise reads: the family, the run's config, and the data's fields.

    Of a path the last name is kept, which says what was meant and not where it lies here; that of
    the data is the reader's own.
    """
    config = configs.to_json(found.run.config)
    config["training"] |= {"ema_decays": [found.decay], "ema_profiles": []}
    for path, entry in configs.entries(found.run.config.model.name).items():
        if is_path(entry.annotation):
            *parts, name = path.split(".")
            section = functools.reduce(dict.__getitem__, parts, config)
            section[name] = "" if parts == ["data"] else Path(section[name]).name
    space = config["space"].get(config["space"]["name"], {})
    for name, array in found.run.space.arrays().items():  # what was measured is given from here on
        if name in space:
            space[name] = array.tolist()
    fields = found.run.experiment.data.to_json()["fields"]
    return {"family": found.family, "config": config, "fields": fields}


# How a file's name ends, and what writes it.
FORMATS: dict[str, Callable[[Path, _Found], None]] = {
    ".pth": _checkpoint,
    ".pt": _checkpoint,
    ".safetensors": _tensors,
}


def _sigmas(run: Opened, num_scales: int | None) -> np.ndarray:
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


def parser() -> terminal.Parser:
    """What the command takes."""
    parser = terminal.Parser(
        prog="python -m score_sde.interop.export",
        description="Write the averages of a run by the official names, or an official checkpoint.",
    )
    parser.add_argument("run", type=files.typed, help="the run's folder")
    parser.add_argument(
        "out",
        type=files.typed,
        help="the file to write: NAME.safetensors, or NAME.pth, an official checkpoint",
    )
    parser.add_argument("--step", type=int, help="which checkpoint [the newest]")
    parser.add_argument(
        "--num_scales",
        type=int,
        help="the official config's model.num_scales [the run's noise levels or sampling.steps]",
    )
    parser.add_argument(
        "--layout",
        choices=adapters.LAYOUTS,
        help="of an adapter, which config.training.lora trains [peft]",
    )
    return parser


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments after the program's name; None takes those of the process.

    Returns:
        Exit status: 0, or 2 after one line on stderr if the input is bad.
    """
    try:
        args = parser().parse_args(argv)
        interrupts.listen()  # a file that is written in part is removed
        options = {name: getattr(args, name) for name in ("step", "num_scales", "layout")}
        found = export_run(args.run, args.out, **options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    whose = "our own names" if found.family == OURS else f"the names of {found.family}"
    print(f"wrote step {found.step} of {args.run} to {args.out}, by {whose}")
    if not found.says_run:
        print(
            "note: the file says nothing of the run's process; a .safetensors file does, and is "
            "read by --mode=import without a config"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
