"""Reading the command line: every mistake becomes one line that says what to do."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import shlex
import traceback
from collections.abc import Mapping
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from score_sde.cli import help as texts
from score_sde.cli import invocation
from score_sde.cli import origin as origins
from score_sde.cli.origin import Origin
from score_sde.data.load import is_registered
from score_sde.errors import UserError
from score_sde.files import expanded
from score_sde.processes.own import OWN
from score_sde.runs import config as configs
from score_sde.values import Count, Every, check, shown
from score_sde.values import Path as PathOf

MODES = ("train", "sample", "evaluate", "import")
TASKS = ("class", "inpaint", "colorize")

_LONGEST = 1000  # characters of a message
_FIELD = re.compile(r"--?config\.([^=]+)=")
_CONFIG = re.compile(r"--?config=")


class HelpRequest(Exception):
    """The user asked for help; the message is the text."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What the flags say.

    Attributes:
        task: one of TASKS, or "" for plain samples.
        classifier: the folder of a classifier's run, or None.
        label: the class to sample; None for each in turn.
        scale: of the classifier's guidance.
        mask: what to inpaint: a part of the image or a PNG file, white where pixels are known.
        conditions: what the model is told, by the name of the field, as it was typed.
    """

    task: str = ""
    classifier: str | None = None
    label: int | None = None
    scale: float = 1.0
    mask: str = "right"
    conditions: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """What the user asked for.

    Attributes:
        config: the config, with its overrides.
        mode: one of MODES.
        workdir: the run's folder.
        num_samples: how many examples to sample, or None.
        out: where samples go: a file or a folder; None for the run's folder.
        overwrite: whether they may take the place of others.
        weights: parameters to sample, evaluate or start with.
        step: checkpoint to sample from, to evaluate or to start from, or None for the newest.
        overrides: dotted paths of the fields that were set on the command line.
        checkpoint: the file to import; given in the mode import and in no other.
        init_from: the run or checkpoint whose weights a new run starts from, or None.
        question: what to sample.
        distributed: whether this is one process of several.
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
    init_from: str | None
    question: Options
    distributed: bool
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
    argv = _joined(argv)
    if {"--help", "-h", "-help", "help"} & set(argv[1:]):
        raise HelpRequest(_help(argv))
    _check_names(argv)
    origin = origins.find(argv)
    opened = origin.opened()
    argv = [f"--config={origin.file}" if _CONFIG.match(a) else a for a in argv]
    last = dict(_overrides(argv))
    emptied = [path for path, value in last.items() if value == "None"]
    given = [a for a in argv if not re.fullmatch(r"--?config\.[^=]+=None", a)]
    try:
        values, rest = _read(given, opened)
    except HelpRequest:
        raise
    except Exception as error:  # the config file is a program: anything can happen in it
        _blame_override(argv, origin)
        raise UserError(_describe(error, origin.file or str(origin))) from error
    for path in emptied:  # which absl would read as a text
        configs.set_field(values.config, path, None)
    configs.check_fields(values.config)
    configs.expand_paths(values.config)
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}; flags are --name=value, see --help")
    _check_values(values)
    question = _question(values)
    _check_mode(values)
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
        overrides=tuple(path for path, _ in _overrides(argv)),
        checkpoint=expanded(values.checkpoint) if values.checkpoint else None,
        init_from=str(expanded(values.init_from)) if values.init_from else values.init_from,
        question=question,
        distributed=values.distributed,
        recipe=origin.recipe,
        rerun=_rerun(argv, origin, values.config, workdir),
    )


def _rerun(argv: list[str], origin: Origin, config: ConfigDict, workdir: Path) -> str:
    """The command that opens this run, whose folder says the rest.

    But for what a recipe registers: its folder has the name only, and the recipe, with what was
    changed about it, makes it again.
    """
    words = [f"--workdir={workdir}"]
    registers = is_registered(config.data.name) or config.sde.name.startswith(OWN)
    if registers and origin.recipe:
        changes = [argument for argument in argv[1:] if re.match(r"--?(no)?config\.", argument)]
        words = [f"--config={origin.recipe}", *words, *changes]
    return f"{invocation.command(argv[0])} {shlex.join(words)}"


def _joined(argv: list[str]) -> list[str]:
    """The arguments, with `--config.path value` as one and each field once: the last one counts.

    ml_collections would take None for a text, and join the tuples that a field is given. It is also
    to find the recipe, so a ~ in its path is replaced here.
    """
    found: list[str] = []
    for argument in argv:
        is_value = not re.match(r"-+[A-Za-z]", argument)
        if is_value and found and re.fullmatch(r"--?config\.[^=]+", found[-1]):
            found[-1] += f"={argument}"
        elif found and found[-1] in ("--config", "-config"):
            found[-1] += f"={expanded(argument)}"
        else:
            name, is_given, value = argument.partition("=")
            own = is_given and name in ("--config", "-config") and value
            found.append(f"{name}={expanded(value)}" if own else argument)
    last = {match[1]: i for i, text in enumerate(found) if (match := _FIELD.match(text))}
    return [
        text
        for i, text in enumerate(found)
        if not (match := _FIELD.match(text)) or last[match[1]] == i
    ]


def _read(argv: list[str], opened: ConfigDict | None) -> tuple[flags.FlagValues, list[str]]:
    """The flags, with the config of a run or of a recipe, and the arguments that are no flags.

    Raises what absl raises, or the recipe.
    """
    values = _define()
    if opened is None:
        config_flags.DEFINE_config_file("config", None, "", flag_values=values, sys_argv=argv)
    else:
        argv = origins.without_config(argv)
        config_flags.DEFINE_config_dict("config", opened, "", flag_values=values, sys_argv=argv)
    return values, values(argv)


def _define() -> flags.FlagValues:
    """All flags but the config and its fields."""
    values = flags.FlagValues()
    flags.DEFINE_enum("mode", "train", MODES, "", flag_values=values)
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    flags.DEFINE_integer("num_samples", None, "", flag_values=values)
    flags.DEFINE_string("out", None, "", flag_values=values)
    flags.DEFINE_bool("overwrite", False, "", flag_values=values)
    flags.DEFINE_string("weights", None, "", flag_values=values)
    flags.DEFINE_integer("step", None, "", flag_values=values)
    flags.DEFINE_enum("task", None, TASKS, "", flag_values=values)
    flags.DEFINE_integer("label", None, "", flag_values=values)
    flags.DEFINE_string("classifier", None, "", flag_values=values)
    flags.DEFINE_float("scale", None, "", flag_values=values)
    flags.DEFINE_string("mask", None, "", flag_values=values)
    flags.DEFINE_multi_string("condition", [], "", flag_values=values)
    flags.DEFINE_string("checkpoint", None, "", flag_values=values)
    flags.DEFINE_string("init_from", None, "", flag_values=values)
    flags.DEFINE_bool("distributed", False, "", flag_values=values)
    return values


def _check_names(argv: list[str]) -> None:
    """Raise UserError if there is no flag of a name."""
    values = ["config", *_define()]
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


def _check_values(values: flags.FlagValues) -> None:
    """Raise UserError if a number is out of its range, or a path cannot be one."""
    kinds = {
        **dict.fromkeys(("num_samples",), Count),
        **dict.fromkeys(("step", "label"), Every),
        **dict.fromkeys(
            ("workdir", "classifier", "checkpoint", "init_from", "mask", "out"), PathOf
        ),
    }
    try:
        for name, kind in kinds.items():
            if (value := values[name].value) is not None:
                check(f"--{name}", value, kind)
    except ValueError as error:
        raise UserError(str(error)) from error


def _check_mode(values: flags.FlagValues) -> None:
    """Raise UserError if a flag cannot be, or is of another mode."""
    measured = ("sample", "evaluate")
    goes = {"num_samples": ("sample",), "weights": (*measured, "import"), "step": measured}
    for name, modes in goes.items():
        begins = name != "num_samples" and values.init_from is not None
        if values[name].value is not None and values.mode not in modes and not begins:
            raise UserError(f"--{name} goes with {' or '.join(f'--mode={mode}' for mode in modes)}")
    if values.init_from is not None and values.mode != "train":
        raise UserError("--init_from goes with --mode=train")
    for name in ("out", "overwrite"):
        if values[name].value and values.mode != "sample":
            raise UserError(f"--{name} goes with --mode=sample")
    if (values.mode == "import") != bool(values.checkpoint):
        raise UserError("--mode=import and --checkpoint=FILE.pth go together")
    if values.mode == "import" and values.weights not in (None, "raw", "ema"):
        raise UserError(f"--mode=import takes --weights=ema or raw, not {shown(values.weights)}")
    if values.mode == "import" and values.distributed:
        raise UserError("--mode=import runs in one process: leave out --distributed")


def _question(values: flags.FlagValues) -> Options:
    """The flags that say what to sample; those of another task or mode are a mistake."""
    if values.task and values.mode != "sample":
        raise UserError(f"--task={values.task} goes with --mode=sample")
    tasks = {"classifier": "class", "label": "class", "scale": "class", "mask": "inpaint"}
    given = {name: values[name].value for name in tasks if values[name].value is not None}
    for name in given:
        if values.task != tasks[name]:
            raise UserError(f"--{name} goes with --mode=sample --task={tasks[name]}")
    for name in given.keys() & {"classifier", "mask"}:
        given[name] = str(expanded(given[name]))
    if "scale" in given and not ("classifier" in given and 0 <= given["scale"] < math.inf):
        raise UserError("--scale=S is a number of at least 0 and goes with --classifier=DIR")
    if values.condition and values.mode != "sample":
        raise UserError("--condition goes with --mode=sample")
    conditions = {}
    for text in values.condition:
        name, is_value, value = text.partition("=")
        if not is_value or name in conditions:
            raise UserError(f"--condition={text}: give NAME=VALUE, each name once")
        conditions[name] = value
    return Options(values.task or "", **given, conditions=conditions)


def _overrides(argv: list[str]) -> list[tuple[str, str | None]]:
    """Dotted paths of the fields that the arguments set, and the values that follow a "="."""
    matches = (re.match(r"--?config\.([^=]+)(?:=(.*))?", argument) for argument in argv[1:])
    return [(match[1], match[2]) for match in matches if match]


def _blame_override(argv: list[str], origin: Origin) -> None:
    """Raise UserError if an argument sets a field that the config does not have."""
    config = _config_alone(origin)
    if config is not None:
        for path, _ in _overrides(argv):
            configs.check_field(config, path)


def _describe(error: Exception, file: str) -> str:
    """One line for what went wrong in parsing, with its place if that is in the config file."""
    path = Path(file.split(":")[0])
    message = str(error).strip().replace("\\n", "\n").splitlines()[-1]
    if len(message) > _LONGEST:  # it holds a value of any length
        message = f"{message[: _LONGEST // 2]} ... {message[-_LONGEST // 2 :]}"
    if message.count("'") % 2:  # what is left of the quotes around a message of several lines
        message = message.strip("'")
    ours = f"{UserError.__module__}.UserError: "
    if message.startswith(ours):  # what a recipe itself says to its user needs no place
        return message.removeprefix(ours)
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    # ml_collections puts the traceback of some errors into the message of another.
    quoted = re.findall(rf'File "[^"]*{re.escape(path.name)}", line (\d+)', str(error))
    frames = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if _same(f.filename, path)
    ]
    lines = quoted or frames
    if not lines:
        return message
    kind = "" if quoted else f"{type(error).__name__}: "
    return f"{path}:{lines[-1]}: {kind}{message}"


def _same(filename: str, path: Path) -> bool:
    return Path(filename).exists() and Path(filename).samefile(path)


def _config_alone(origin: Origin) -> ConfigDict | None:
    """The config without any override, or None if its file itself is wrong."""
    try:
        return origin.opened() or _read(["main.py", f"--config={origin.file}"], None)[0].config
    except Exception:  # reported by parse, which has met it too
        return None


def _help(argv: list[str]) -> str:
    text = texts.HELP.replace("PROGRAM", invocation.command(argv[0]))
    try:
        origin = origins.find(argv)
    except UserError:
        return text
    config = _config_alone(origin)
    if config is None:
        return text
    return "\n".join([text, f"Fields of {origin}:", texts.fields(config), ""])
