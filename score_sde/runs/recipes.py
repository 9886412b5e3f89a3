"""Recipes: files of Python whose get_config() gives a config, and those that come with the code.

A recipe is meant by the path of its file or by its name. `digits_vp` is configs/digits_vp.py of the
folder one is in, else the recipe of this name that comes with the code, wherever one is. Some take
an argument, after a colon: `paper:vp/ddpm/cifar10`.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ml_collections import ConfigDict

from score_sde.errors import UserError

_PACKAGE = Path(__file__).resolve().parent.parent
_FOLDER = "configs"


def find(recipe: str, root: Path = Path()) -> Path:
    """The file of a recipe.

    Args:
        recipe: its path or its name, without an argument.
        root: the folder that paths start from, and whose configs/ is looked into first.

    Raises:
        UserError: there is none; the message names the nearest.
    """
    path = root / recipe
    if path.is_file():
        return path
    for folder in _folders(root):
        if (path := folder / f"{recipe}.py").is_file():
            return path
    names = sorted({file.stem for folder in _folders(root) for file in folder.glob("*.py")})
    paths = [f"{_FOLDER}/{name}.py" for name in names if (root / _FOLDER / f"{name}.py").is_file()]
    near = difflib.get_close_matches(recipe, paths + names, n=1)
    # The path of a recipe that comes with the code, in a folder that is not the checkout.
    near = near or difflib.get_close_matches(Path(recipe).stem, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}"
    raise UserError(f"no config file {recipe}; {hint}")


def get(recipe: str) -> ConfigDict:
    """The config of a recipe, a new one each time, to start from in a recipe or a notebook.

    Args:
        recipe: its path or its name, and after a colon its argument: "digits_vp".

    Raises:
        UserError: there is none; the message names the nearest.
    """
    name, _, argument = recipe.partition(":")
    return module(find(name).resolve()).get_config(*([argument] if argument else []))


@functools.cache
def module(path: Path) -> ModuleType:
    """A recipe as a module, executed once.

    Args:
        path: of its file, absolute.
    """
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found  # dataclasses look their module up
    spec.loader.exec_module(found)
    return found


def _folders(root: Path) -> Iterator[Path]:
    """Where a name is looked for: here, then in the package, or beside it in a checkout."""
    yield root / _FOLDER
    # setup.cfg puts the folder into the package that is installed. Beside an installed one, a
    # folder of this name would be somebody else's.
    inside = _PACKAGE / _FOLDER
    yield inside if inside.is_dir() else _PACKAGE.parent / _FOLDER
