"""Reading the command line: every mistake becomes one line that says what to do."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from score_sde.checks import check_name
from score_sde.cli import arguments, cluster, defined, invocation, mistakes, prompt_options
from score_sde.cli import help as texts
from score_sde.cli import origin as origins
from score_sde.cli.cluster import Cluster
from score_sde.cli.origin import Origin
from score_sde.cli.prompt_options import PromptOptions
from score_sde.data.load import is_registered
from score_sde.errors import UserError
from score_sde.files import expanded
from score_sde.models import NETWORKS
from score_sde.processes.own import OWN
from score_sde.runs import config as configs
from score_sde.values import describe, shown

_CONFIG = re.compile(r"--?config=")
_HELP = {"--help", "-h", "-help", "help"}


class HelpRequest(Exception):
    """The user asked for help; the message is the text."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What the flags say.

    Attributes:
        task: one of defined.TASKS, or "" for plain samples.
        classifier: the folder of a classifier's run, or None.
        label: the class to sample, its number or its name; None for each in turn.
        scale: of the classifier's guidance.
        mask: what to inpaint: a part of the example or a PNG file, white where pixels are known.
        text: of which a part is known, `_` for each token that is not.
        keep: of held-out examples, the places that are known: START:STOP:STEP.
        motif: FILE:RANGES of what is known, of a chain or a molecule.
        at: where its first stands, from 1; None for where there is room.
        predictions: the file of examples that are drawn anew.
        real: the file of what they are predictions of, which says from where; or "".
        strength: the share of the steps that is made; None for the usual, or what `real` says.
        factor: how many times larger the answer is than what is known of it, each way.
        method: how what is known is used: a key of guidance.methods.METHODS.
        sweeps: of the method "gibbs".
        conditions: what the model is told, by the name of the field, as it was typed.
    """

    task: str = ""
    classifier: str | None = None
    label: int | str | None = None
    scale: float = 1.0
    mask: str = "right"
    text: str = ""
    keep: str = ""
    motif: str = ""
    at: int | None = None
    predictions: str = ""
    real: str = ""
    strength: float | None = None
    factor: int = 2
    method: str = "replacement"
    sweeps: int = 100
    conditions: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """What the user asked for.

    Attributes:
        config: the config, with its overrides.
        mode: one of defined.MODES.
        workdir: the run's folder.
        num_samples: how many examples to sample, or None.
        out: where samples go: a file or a folder; None for the run's folder.
        overwrite: whether they may take the place of others.
        weights: parameters to sample, evaluate or start with.
        step: checkpoint to sample from, to evaluate or to start from, or None for the newest.
        overrides: dotted paths of the fields that were set on the command line.
        checkpoint: the file to import; given in the mode import and in no other.
        components: a folder of the pipeline that is imported, or None.
        motion: the folder of a motion adapter for it, or None.
        init_from: the run or checkpoint whose weights a new run starts from, or None.
        question: what to sample.
        prompted: which pictures of prompts to draw.
        loras: files of adapters, each with its strength.
        distributed: whether this is one process of several.
        cluster: who the others are; None where JAX finds out by itself.
        recipe: the recipe that the config comes from; "" if it comes from a run's config.json.
        rerun: the command that opens this run, to which a mode can be added.
    """

    config: ConfigDict
    mode: str
    workdir: Path
    num_samples: int | None
    out: Path | None
    overwrite: bool
    weights: str
    step: int | None
    overrides: tuple[str, ...]
    checkpoint: Path | None
    components: Path | None
    motion: Path | None
    init_from: str | None
    question: Options
    prompted: PromptOptions
    loras: tuple[tuple[Path, float], ...]
    distributed: bool
    cluster: Cluster | None
    recipe: str
    rerun: str


def parse(argv: list[str]) -> CommandLine:
    """Parse the command line.

    Args:
        argv: sys.argv, the program's name first.

    Raises:
        HelpRequest: the user asked for help.
        UserError: there is a mistake.
    """
    argv = arguments.joined(argv)
    if _HELP & set(argv[1:]):
        raise HelpRequest(_help([argument for argument in argv if argument not in _HELP]))
    defined.check_names(argv)
    origin = origins.find(argv)
    values, rest = _configured(argv, origin)
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}; flags are --name=value, see --help")
    defined.check_values(values)
    asked = prompt_options.read(values)
    question = _question(values)
    defined.check_mode(values)
    workdir = expanded(values.workdir) if values.workdir else origin.workdir
    return CommandLine(
        config=values.config,
        mode=values.mode,
        workdir=workdir,
        num_samples=values.num_samples,
        out=expanded(values.out) if values.out else None,
        overwrite=values.overwrite,
        weights="ema" if values.weights is None else values.weights,
        step=values.step,
        overrides=tuple(path for path, _ in arguments.overrides(argv)),
        checkpoint=expanded(values.checkpoint) if values.checkpoint else None,
        components=expanded(values.components) if values.components else None,
        motion=expanded(values.motion) if values.motion else None,
        init_from=str(expanded(values.init_from)) if values.init_from else values.init_from,
        question=question,
        prompted=asked,
        loras=tuple(_lora(text) for text in values.lora),
        distributed=values.distributed,
        cluster=cluster.read(values, os.environ),
        recipe=origin.recipe,
        rerun=_rerun(argv, origin, values.config, workdir),
    )


def _configured(argv: list[str], origin: Origin) -> tuple[flags.FlagValues, list[str]]:
    """The flags, among them the config with what they change, and the arguments that are none."""
    opened = _opened(origin, argv)
    argv = [f"--config={origin.file}" if _CONFIG.match(a) else a for a in argv]
    last = dict(arguments.overrides(argv))
    emptied = [path for path, value in last.items() if value == "None"]
    given = [a for a in argv if not re.fullmatch(r"--?config\.[^=]+=None", a)]
    try:
        values, rest = _read(given, opened)
    except HelpRequest:
        raise
    except Exception as error:  # the config file is a program: anything can happen in it
        _blame_override(argv, origin)
        message = mistakes.describe(error, origin.file or str(origin))
        raise UserError(_in_our_words(message, origin, argv)) from error
    if network := last.get(configs.NETWORK):
        _check_network(network, origin)
    for path in emptied:  # which absl would read as a text
        configs.set_field(values.config, path, None)
    configs.check_fields(values.config)
    configs.expand_paths(values.config)
    return values, rest


def _opened(origin: Origin, argv: list[str]) -> ConfigDict | None:
    """A config whose other fields the flags may change; None of a recipe that is read with them.

    The flag that names another network says which fields there are: it is obeyed first.
    """
    opened = origin.opened()
    return _without_overrides(origin, argv) if _network(argv) else opened


def _network(argv: list[str]) -> str:
    """The network that a flag names; "" for none."""
    name = dict(arguments.overrides(argv)).get(configs.NETWORK)
    return name if name in NETWORKS else ""


def _check_network(name: str, origin: Origin) -> None:
    """Raise UserError, which names those that can read these states, if there is no such network.

    That takes seconds, and all that there are are named where the rest of a config is wrong too.
    """
    if name in NETWORKS:
        return
    from score_sde.runs import build

    fitting: Sequence[str] = ()
    config = _config_alone(origin)
    if config is not None:
        with contextlib.suppress(UserError):
            fitting = build.networks(config)
    try:
        check_name(f"config.{configs.NETWORK}", name, fitting or NETWORKS)
    except ValueError as error:
        raise UserError(str(error)) from error


def _rerun(argv: list[str], origin: Origin, config: ConfigDict, workdir: Path) -> str:
    """The command that opens this run, whose folder says the rest.

    But for what a recipe registers: its folder has the name only, and the recipe, with what was
    changed about it, makes it again.
    """
    words = [f"--workdir={workdir}"]
    registers = is_registered(config.data.name) or config.sde.name.startswith(OWN)
    if registers and origin.recipe:
        words = [f"--config={origin.recipe}", *words, *arguments.changes(argv)]
    return f"{invocation.command(argv[0])} {shlex.join(words)}"


def _read(argv: list[str], opened: ConfigDict | None) -> tuple[flags.FlagValues, list[str]]:
    """The flags, with the config of a run or of a recipe, and the arguments that are no flags.

    Raises what absl raises, or the recipe.
    """
    values = defined.define()
    if opened is None:
        config_flags.DEFINE_config_file("config", None, "", flag_values=values, sys_argv=argv)
    else:
        argv = origins.without_config(argv)
        config_flags.DEFINE_config_dict("config", opened, "", flag_values=values, sys_argv=argv)
    return values, values(argv)


def _question(values: flags.FlagValues) -> Options:
    """The flags that say what to sample; those of another task or mode are a mistake."""
    if values.task and values.mode != "sample":
        raise UserError(f"--task={values.task} goes with --mode=sample")
    tasks = {
        **dict.fromkeys(("classifier", "label", "scale"), ("class",)),
        "mask": ("inpaint",),
        "text": ("infill",),
        "keep": ("infill", "inpaint"),
        **dict.fromkeys(("motif", "at"), ("motif",)),
        **dict.fromkeys(("from", "real"), ("shallow",)),
        "factor": ("superres",),
        "method": (*defined.OBSERVED, "outpaint"),
        "sweeps": defined.OBSERVED,
    }
    given = {name: values[name].value for name in tasks if values[name].value is not None}
    for name in given:
        if values.task not in tasks[name]:
            raise UserError(f"--{name} goes with --mode=sample --task={' or '.join(tasks[name])}")
    if values.task == "infill" and ("text" in given) == ("keep" in given):
        raise UserError(
            "--task=infill goes with --text=TEXT, in which _ stands for what is drawn, or with "
            "--keep=START:STOP:STEP, the places of held-out examples that are kept"
        )
    if values.task == "inpaint" and {"keep", "mask"} <= given.keys():
        raise UserError("--keep says what is known, --mask what is not: give one of them")
    if values.task == "motif" and "motif" not in given:
        raise UserError("--task=motif goes with --motif=FILE:10-30, of a file of the user's")
    if values.task == "shallow":
        if "from" not in given:
            raise UserError(
                "--task=shallow goes with --from=FILE.npz, examples that something else predicted"
            )
        if "real" in given and values.strength is not None:
            raise UserError("--real measures where to begin, --strength says it: give one of them")
        given |= {"predictions": given.pop("from"), "strength": values.strength}
    if "sweeps" in given and values.method != "gibbs":
        raise UserError("--sweeps goes with --method=gibbs")
    for name in given.keys() & {"classifier", "mask", "predictions", "real"}:
        given[name] = str(expanded(given[name]))
    if re.fullmatch("0|[1-9][0-9]{0,8}", given.get("label", "")):
        given["label"] = int(given["label"])
    if "scale" in given and not ("classifier" in given and 0 <= given["scale"] < math.inf):
        raise UserError(
            "--scale=S is a number of at least 0 and goes with --classifier=DIR; for a model that "
            "is told classes it is --config.guidance.scale=S"
        )
    if values.condition and values.mode != "sample":
        raise UserError("--condition goes with --mode=sample")
    conditions = {}
    for text in values.condition:
        name, is_value, value = text.partition("=")
        if not is_value or name in conditions:
            raise UserError(f"--condition={text}: give NAME=VALUE, each name once")
        conditions[name] = value
    return Options(values.task or "", **given, conditions=conditions)


def _lora(text: str) -> tuple[Path, float]:
    """FILE or FILE:STRENGTH."""
    path, colon, strength = text.rpartition(":")
    try:
        return expanded(path if colon else text), float(strength) if colon else 1.0
    except ValueError:
        raise UserError(
            f"--lora={shown(text)}: give FILE or FILE:STRENGTH, a number such as 0.7"
        ) from None


def _blame_override(argv: list[str], origin: Origin) -> None:
    """Raise UserError if an argument sets a field that the config does not have."""
    config = _without_overrides(origin, argv)
    if config is not None:
        for path, _ in arguments.overrides(argv):
            configs.check_field(config, path)


def _in_our_words(message: str, origin: Origin, argv: list[str]) -> str:
    """A message; where it is Python's, of a text that it cannot read, what the field takes."""
    match = re.match(r"flag --config\.([\w.]+)=", message)
    config = _without_overrides(origin, argv) if match else None
    entry = None if config is None else configs.entries(config.model.name).get(match[1])
    if entry is None:
        return message
    given = shown(dict(arguments.overrides(argv))[match[1]])
    return f"config.{match[1]}={given}: this field takes {describe(entry.annotation)}"


def _without_overrides(origin: Origin, argv: list[str]) -> ConfigDict | None:
    """The config before flags change its fields, or None if its file itself is wrong."""
    config, network = _config_alone(origin), _network(argv)
    if config is not None and network not in ("", config.model.name):
        configs.use_network(config, network)
    return config


def _config_alone(origin: Origin) -> ConfigDict | None:
    """The config of a run or a recipe, or None if its file itself is wrong."""
    try:
        return origin.opened() or _read(["main.py", f"--config={origin.file}"], None)[0].config
    except Exception:  # as in _configured, which meets it too and reports it
        return None


def _help(argv: list[str]) -> str:
    text = texts.HELP.replace("PROGRAM", invocation.command(argv[0]))
    if not any(re.match(r"--?(config|workdir)\b", argument) for argument in argv):
        return text
    origin = origins.find(argv)
    config = _configured(argv, origin)[0].config
    return "\n".join([text, f"Fields of {origin}:", texts.fields(config), ""])
