"""The flags that there are, what they take, and which go together; not those of a config."""

from __future__ import annotations

import difflib
import re
from typing import Annotated

from absl import flags

from score_sde.cli import cluster, prompt_options
from score_sde.cli.origin import IMPORTS
from score_sde.errors import UserError
from score_sde.values import Count, Every, NotNegative, Path, check, one_of, shown

MODES = ("train", "sample", "evaluate", "import")
OBSERVED = ("inpaint", "colorize", "superres", "motif")
TASKS = tuple(dict.fromkeys(("class", "infill", "shallow", *OBSERVED, *prompt_options.TASKS)))
METHODS = ("replacement", "pigdm", "dps", "moments", "gibbs")


def define() -> flags.FlagValues:
    """All flags but the config and its fields."""
    values = flags.FlagValues()
    flags.DEFINE_string("mode", "train", "", flag_values=values)
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    flags.DEFINE_integer("num_samples", None, "", flag_values=values)
    flags.DEFINE_string("out", None, "", flag_values=values)
    flags.DEFINE_bool("overwrite", False, "", flag_values=values)
    flags.DEFINE_string("weights", None, "", flag_values=values)
    flags.DEFINE_integer("step", None, "", flag_values=values)
    flags.DEFINE_string("task", None, "", flag_values=values)
    flags.DEFINE_string("label", None, "", flag_values=values)
    flags.DEFINE_string("classifier", None, "", flag_values=values)
    flags.DEFINE_float("scale", None, "", flag_values=values)
    flags.DEFINE_string("mask", None, "", flag_values=values)
    flags.DEFINE_string("text", None, "", flag_values=values)
    flags.DEFINE_string("keep", None, "", flag_values=values)
    flags.DEFINE_string("motif", None, "", flag_values=values)
    flags.DEFINE_integer("at", None, "", flag_values=values)
    flags.DEFINE_string("from", None, "", flag_values=values)
    flags.DEFINE_string("real", None, "", flag_values=values)
    flags.DEFINE_integer("factor", None, "", flag_values=values)
    flags.DEFINE_string("method", None, "", flag_values=values)
    flags.DEFINE_integer("sweeps", None, "", flag_values=values)
    flags.DEFINE_multi_string("condition", [], "", flag_values=values)
    prompt_options.define(values)
    flags.DEFINE_multi_string("lora", [], "", flag_values=values)
    flags.DEFINE_string("checkpoint", None, "", flag_values=values)
    flags.DEFINE_string("components", None, "", flag_values=values)
    flags.DEFINE_string("motion", None, "", flag_values=values)
    flags.DEFINE_string("init_from", None, "", flag_values=values)
    flags.DEFINE_bool("distributed", False, "", flag_values=values)
    cluster.define(values)
    return values


def check_names(argv: list[str]) -> None:
    """Raise UserError if there is no flag of a name."""
    values = ["config", *define()]
    for argument in argv[1:]:
        match = re.match(r"--?([A-Za-z][^=]*)", argument)
        name = match[1] if match else "config"
        if name in values or name.removeprefix("no") in values or name.startswith("config."):
            continue
        if name not in ("flagfile", "undefok"):  # absl's own
            near = difflib.get_close_matches(name, list(values), n=1, cutoff=0.0)[0]
            raise UserError(
                f"Unknown command line flag {shown(name)}. Did you mean: {near} ? See --help"
            )


def check_values(values: flags.FlagValues) -> None:
    """Raise UserError if a number is out of its range, a path cannot be one or a name is none."""
    kinds = {
        "mode": Annotated[str, one_of(MODES)],
        "task": Annotated[str, one_of(TASKS)],
        "method": Annotated[str, one_of(METHODS)],
        "scale": NotNegative,
        **dict.fromkeys(("num_samples", "factor", "sweeps", "at"), Count),
        "step": Every,
        **dict.fromkeys(("workdir", "classifier", "checkpoint", "components", "motion"), Path),
        **dict.fromkeys(("init_from", "mask", "out", "from", "real"), Path),
    }
    try:
        for name, kind in kinds.items():
            if (value := values[name].value) is not None:
                check(f"--{name}", value, kind)
    except ValueError as error:
        raise UserError(str(error)) from error


def check_mode(values: flags.FlagValues) -> None:
    """Raise UserError if a flag cannot be, or is of another mode."""
    measured = ("sample", "evaluate")
    goes = {"num_samples": ("sample",), "weights": (*measured, "import"), "step": measured}
    for name, modes in goes.items():
        begins = name != "num_samples" and values.init_from is not None
        if values[name].value is not None and values.mode not in modes and not begins:
            raise UserError(f"--{name} goes with {' or '.join(f'--mode={mode}' for mode in modes)}")
    if values.init_from is not None and values.mode != "train":
        raise UserError("--init_from goes with --mode=train")
    if values.lora and values.mode != "sample":
        raise UserError("--lora goes with --mode=sample")
    for name in ("out", "overwrite"):
        if values[name].value and values.mode != "sample":
            raise UserError(f"--{name} goes with --mode=sample")
    if (values.mode == "import") != bool(values.checkpoint):
        raise UserError(IMPORTS)
    for name in ("components", "motion"):
        if values[name].value and values.mode != "import":
            raise UserError(f"--{name} goes with --mode=import")
    if values.mode == "import" and values.weights not in (None, "raw", "ema"):
        raise UserError(f"--mode=import takes --weights=ema or raw, not {shown(values.weights)}")
    if values.mode == "import" and values.distributed:
        raise UserError("--mode=import runs in one process: leave out --distributed")
