"""Where the config of a command line comes from: a recipe, the run that it opens, or a file.

A recipe is a program, which is executed. A run's config.json is data, whoever wrote it: it is read
by runs.config.read, and nothing in it is executed. So is a released file, whose config is proposed
by interop.importer.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from score_sde.cli import arguments
from score_sde.errors import UserError
from score_sde.files import expanded
from score_sde.runs import config as configs
from score_sde.runs import recipes
from score_sde.values import Path as PathOf
from score_sde.values import check

RECORD = "config.json"
AUTO = "auto"
IMPORTS = "--mode=import and --checkpoint=FILE go together"


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a config comes from: a recipe and its file, a run, or a released file.

    Attributes:
        recipe: as it was typed: FILE.py or a name, perhaps with :ARGUMENT; "" for a run.
        file: of the recipe, which exists, perhaps with :ARGUMENT; "" for a run.
        run: the folder of a run, whose config.json is the config; None for a recipe.
        checkpoint: the released file whose config is proposed; None for a recipe or a run.
        image_size: of its data, if the command line says it.
        components: a folder of the file's pipeline, if the command line names one.
        motion: the folder of a motion adapter, if it names one.
    """

    recipe: str = ""
    file: str = ""
    run: Path | None = None
    checkpoint: Path | None = None
    image_size: int | None = None
    components: Path | None = None
    motion: Path | None = None

    def __str__(self) -> str:
        if self.checkpoint is not None:
            return f"--config={AUTO}"
        return self.recipe or str(self.run / RECORD)

    @property
    def workdir(self) -> Path:
        """The folder of a command that names none: that of the run, or runs/NAME."""
        if self.run is not None:
            return self.run
        if self.checkpoint is not None:
            return Path("runs") / re.sub(r"[^\w.=-]+", "_", self.checkpoint.stem)
        path, _, argument = self.recipe.partition(":")
        # configs/paper.py:ve/x is a run of its own, beside configs/paper.py:vp/x.
        name = "_".join(filter(None, (Path(path).stem, argument)))
        return Path("runs") / re.sub(r"[^\w.=-]+", "_", name)

    def opened(self) -> ConfigDict | None:
        """The config of the run, or that of the released file; None of a recipe.

        Raises:
            UserError: it cannot be read.
        """
        if self.checkpoint is not None:
            # It knows every network, and so needs JAX, which no mistake in flags waits for.
            from score_sde.interop.importer import propose

            return propose(self.checkpoint, self.image_size, self.components, self.motion)
        return None if self.run is None else configs.read(self.run)[0]


def find(argv: Sequence[str]) -> Origin:
    """Where the config of a command line comes from.

    Args:
        argv: its arguments, the program's name first.

    Raises:
        UserError: it does not say, or there is no such file or run.
    """
    files = _values(argv, "config")
    if len(files) > 1:
        raise UserError(f"--config is given {len(files)} times; give it once")
    file, workdir = "".join(files), "".join(_values(argv, "workdir")[-1:])
    checkpoint = "".join(_values(argv, "checkpoint")[-1:])
    imports = _values(argv, "mode")[-1:] == ["import"]
    if file == AUTO and not (imports and checkpoint):
        raise UserError(f"--config={AUTO} goes with --mode=import --checkpoint=FILE")
    if imports and not checkpoint:
        raise UserError(IMPORTS)
    if imports and (file == AUTO or not files):
        size = dict(arguments.overrides(list(argv))).get("data.image_size") or ""
        number = int(size) if re.fullmatch(r"[1-9]\d{0,5}", size) else None
        folders = {name: "".join(_values(argv, name)[-1:]) for name in ("components", "motion")}
        return Origin(
            checkpoint=expanded(checkpoint),
            image_size=number,
            **{name: expanded(folder) for name, folder in folders.items() if folder},
        )
    if Path(file.partition(":")[0]).suffix.lower() == ".json":
        return _record(expanded(file))
    if file:
        return _recipe(file)
    if files or not workdir:
        raise UserError(
            "give --config=RECIPE, such as --config=digits_vp, or --workdir=DIR of a run "
            "to open; see --help"
        )
    run = expanded(workdir)
    if not (run / RECORD).is_file():
        raise UserError(f"no run in {workdir}: to begin one there, give --config=FILE too")
    return Origin(run=run)


def without_config(argv: Sequence[str]) -> list[str]:
    """The arguments but for --config=FILE."""
    kept, skip = [], False
    for argument in argv:
        name, has_value, _ = argument.partition("=")
        named = name in ("--config", "-config")
        if not (named or skip):
            kept.append(argument)
        skip = named and not has_value
    return kept


def _values(argv: Sequence[str], flag: str) -> list[str]:
    """The values that a flag is given, as --flag=VALUE or --flag VALUE."""
    found = []
    for argument, following in zip(argv, [*argv[1:], ""], strict=True):
        name, has_value, value = argument.partition("=")
        if name in (f"--{flag}", f"-{flag}"):
            found.append(value if has_value else following)
    return found


def _record(path: Path) -> Origin:
    if path.name != RECORD:  # which would be executed, as a recipe is
        raise UserError(f"--config={path}: give a recipe, FILE.py, or the {RECORD} of a run")
    if not path.is_file():
        raise UserError(f"no run in {path.parent}: there is no {path}")
    return Origin(run=path.parent)


def _recipe(recipe: str) -> Origin:
    name, colon, argument = recipe.partition(":")
    try:
        check("--config", name, PathOf)
    except ValueError as error:
        raise UserError(str(error)) from error
    if (Path(name) / RECORD).is_file():
        raise UserError(f"--config={recipe} is a run: --workdir={recipe} alone opens it")
    return Origin(recipe=recipe, file=f"{recipes.find(name)}{colon}{argument}")
