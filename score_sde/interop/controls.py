"""Released networks that steer others, as controls: folders of a component, or files.

what           where
ControlNet     a folder with a config.json; or a file in the layout of the code that trained it,
               whose names begin with control_model., or with nothing
T2I-adapter    a folder with a config.json
IP-Adapter     a file; beside it, or in --components=FOLDER, the folder image_encoder
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from flax import nnx

from score_sde import files, parts
from score_sde.interop import containers
from score_sde.interop.components import (
    COMPONENTS,
    base,
    folder,
    ip_adapter,
    original,
    original_unet,
)
from score_sde.interop.importing import importing
from score_sde.interop.released import Arrays
from score_sde.runs import kept

# By what config.json calls its class: a key of controls.CONTROLS.
KINDS = {"ControlNetModel": "controlnet", "T2IAdapter": "t2i_adapter"}
_SUFFIXES = (".safetensors", ".bin", ".ckpt", ".pth")
_ENCODER = "image_encoder"  # the folder beside an IP-Adapter
_ENCODERS = ("CLIPVisionModelWithProjection", "CLIPVisionModel")


class Found(NamedTuple):
    """A network of a control.

    Attributes:
        kind: a key of parts.KINDS.
        component: how it becomes a network of ours.
        config: the values of its config.json.
        arrays: by their authors' names.
    """

    kind: str
    component: base.Component
    config: Mapping[str, Any]
    arrays: Arrays


def is_control(path: Path) -> bool:
    """Whether a path is a folder or a file of a network that steers others.

    Raises:
        ValueError: the folder's config.json cannot be read.
    """
    if path.is_dir():
        has_config = (path / folder.CONFIG).is_file()
        return has_config and folder.config(path).get("_class_name") in KINDS
    if path.suffix not in _SUFFIXES:
        return False
    try:
        arrays = containers.arrays(path)
    except (ValueError, pickle.UnpicklingError):
        return False  # whoever reads it next says what is wrong with it
    return ip_adapter.is_adapter(arrays) or bool(_original(arrays))


def import_control(path: Path, workdir: Path, components: Path | None = None) -> int:
    """Make a control of a released folder or file; nothing in it is executed.

    Args:
        path: the folder or file.
        workdir: the control's folder, which must be empty or missing.
        components: of a file: of an IP-Adapter the folder of its image encoder, or that in which it
            is; of a ControlNet a folder whose config.json says what shapes do not.

    Returns:
        How many parameters the network that steers has.

    Raises:
        ValueError: it does not hold what it has to; nothing is left then.
        UserError: the control's folder cannot be written, or is not empty.
    """
    found = _found(path, components)
    with importing(workdir):
        with files.writing(workdir):
            (workdir / kept.FOLDER).mkdir()
        counts = [_write(kept.path(workdir, name), one) for name, one in found.items()]
    return counts[0]


def _write(file: Path, found: Found) -> int:
    """Write a network one array at a time; its number of parameters."""
    component, config = found.component, found.config
    model = base.abstract(component, config)
    placing = base.placing(component, config, found.arrays, model)
    options = component.options(config)
    parts.write(file, found.kind, options, placing.shapes(), placing.each())
    shapes = [v.shape for v in placing.variables.values() if isinstance(v, nnx.Param)]
    return sum(map(math.prod, shapes))


def _found(path: Path, components: Path | None) -> dict[str, Found]:
    """The networks of a control by the names of their parts; the one that steers comes first."""
    if path.is_dir():
        if components is not None:
            raise ValueError(f"{path} says all about itself: leave out --components")
        config, arrays = folder.config(path), folder.arrays(path)
        name = config["_class_name"]
        return {kept.CONTROL: Found(KINDS[name], COMPONENTS[name], config, arrays)}
    arrays = containers.arrays(path)
    if not ip_adapter.is_adapter(arrays):
        return {kept.CONTROL: _controlnet(_original(arrays), components)}
    component = ip_adapter.component(arrays)
    features = component.options({})["features"]
    encoder = _image_encoder(path, components, features)
    return {
        kept.CONTROL: Found("ip_adapter", component, {}, arrays),
        kept.IMAGE_ENCODER: encoder,
    }


def _original(arrays: Arrays) -> Arrays:
    """The arrays of a ControlNet in its authors' layout, without a prefix; else none."""
    found = original.within(arrays, original_unet.CONTROL_PREFIX) or arrays
    return found if f"{original_unet.HINT}.0.weight" in found else {}


def _controlnet(arrays: Arrays, components: Path | None) -> Found:
    """A ControlNet in its authors' layout."""
    modules = original_unet.modules(*original_unet.structure(arrays))
    config = original_unet.config(arrays) if components is None else folder.config(components)
    component = COMPONENTS["ControlNetModel"]
    return Found("controlnet", component, config, original.renamed(arrays, modules))


def _image_encoder(path: Path, components: Path | None, features: int) -> Found:
    """What makes the embeddings, of so many features, that an IP-Adapter is shown."""
    beside = path.parent if components is None else components
    where = next((p for p in (beside / _ENCODER, beside) if (p / folder.CONFIG).is_file()), None)
    if where is None:
        raise ValueError(
            f"{path} is an IP-Adapter, and no {_ENCODER} is in {beside}: give "
            "--components=FOLDER, that of the CLIP image encoder that it is released with"
        )
    config = folder.config(where)
    name = next(iter(config.get("architectures") or [""]))
    if name not in _ENCODERS:
        raise ValueError(f"{where} is a {name!r:.60}, and no image encoder: {', '.join(_ENCODERS)}")
    component = COMPONENTS[name]
    options = component.options(config)
    if (made := options.get("projection", options["features"])) != features:
        raise ValueError(
            f"{path} is for embeddings of {features} features, and {where} makes those of {made}: "
            "give --components=FOLDER, that of another image encoder"
        )
    return Found("clip_image", component, config, folder.arrays(where))
