"""Released ControlNets and T2I-adapters as controls: a folder with a component, see components."""

from __future__ import annotations

import shutil
from pathlib import Path

from score_sde import files, parts
from score_sde.errors import UserError
from score_sde.interop.components import COMPONENTS, base, folder
from score_sde.runs import begun, kept
from score_sde.runs.held import held

# By what config.json calls its class: a key of controls.CONTROLS.
KINDS = {"ControlNetModel": "controlnet", "T2IAdapter": "t2i_adapter"}


def is_control(path: Path) -> bool:
    """Whether a path is a folder with a component that steers networks.

    Raises:
        ValueError: its config.json cannot be read.
    """
    if not (path / folder.CONFIG).is_file():
        return False
    return folder.config(path).get("_class_name") in KINDS


def import_control(path: Path, workdir: Path) -> int:
    """Make a control of a released folder; nothing in it is executed.

    Args:
        path: the folder.
        workdir: the control's folder, which must be empty or missing.

    Returns:
        How many parameters it has.

    Raises:
        ValueError: the folder does not hold what its config.json says; nothing is left then.
        UserError: the control's folder cannot be written, or is not empty.
    """
    config = folder.config(path)
    name = config["_class_name"]
    component = COMPONENTS[name]
    with held(workdir):
        if begun.occupied(workdir):
            raise UserError(f"{workdir} is not an empty folder; give another --workdir")
        _, (params, constants) = base.place(component, config, folder.arrays(path))
        with files.writing(workdir):
            (workdir / kept.FOLDER).mkdir(parents=True, exist_ok=True)
        try:
            file = kept.path(workdir, kept.CONTROL)
            parts.save(file, KINDS[name], component.options(config), params, constants)
        except BaseException:
            shutil.rmtree(workdir / kept.FOLDER)
            raise
    return sum(array.size for array in params.values())
