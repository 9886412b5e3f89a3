"""Pickles of EDM and EDM2: modules that carry the source text of their class, read as records.

The released networks of Karras et al. 2022 (arXiv 2206.00364) and 2024 (arXiv 2312.02696) are plain
pickles of a dictionary, whose modules are pickled as a call of a function that would run the source
text beside them. Here such a module becomes a Record: the name of its class and its attributes. The
text is dropped. A tensor's storage is a byte string, itself a whole file of torch_legacy.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from score_sde.formats import torch_legacy
from score_sde.formats.mapped import mapped
from score_sde.formats.numpy_pickle import ARRAYS, Array
from score_sde.formats.restricted import (
    Function,
    Names,
    Program,
    Refused,
    Unpickler,
    Unreadable,
    line,
    reading,
)
from score_sde.formats.tensors import NAMES, Storage

_VERSION = 6
_DEEPEST = 32  # modules within modules
_LARGEST_PLAIN = 10_000  # numbers, texts and containers in the arguments of a class


class Record:
    """An object of a pickle, as data.

    Attributes:
        class_name: the name of its class, "SongUNet" for example.
        state: its attributes.
    """

    __slots__ = ("class_name", "state")

    def __init__(self, class_name: str, state: dict[str, Any]):
        self.class_name, self.state = class_name, state

    def build(self, state: Any) -> None:
        """Take the attributes of a module that is no persistent object.

        Raises:
            Refused: they are none.
        """
        if type(state) is not dict or self.state:
            raise Refused(f"a {line(self.class_name)} that is no module is refused")
        self.state = state


def load(path: str | Path) -> Any:
    """Everything in a file, with Records in place of modules.

    Args:
        path: a .pkl file of EDM or EDM2.

    Returns:
        The pickled object: dictionaries, lists (in place of sets, too), numbers, strings, Records,
        read-only NumPy arrays in place of tensors, and numpy_pickle.Array in place of NumPy's.

    Raises:
        ValueError: the file is damaged.
        pickle.UnpicklingError: the file asks for something else; the message names it. Nothing of
            it has been executed.
    """
    path = Path(path)
    with reading(path):
        return _Unpickler(Program(mapped(path)), _names()).load()


def modules(record: Record) -> Iterator[tuple[str, Record]]:
    """The module itself, "", and all within it by their names in it, such as "model.enc.8x8_conv".

    Raises:
        ValueError: one is in two places, or they are no tree.
    """
    seen: set[int] = set()

    def walk(name: str, module: Any, depth: int) -> Iterator[tuple[str, Record]]:
        if type(module) is not Record or id(module) in seen or depth > _DEEPEST:
            raise ValueError(f"{line(name)} is no module of its own")
        seen.add(id(module))
        yield name, module
        for part, child in _items(module, "_modules"):
            if child is not None:
                yield from walk(f"{name}.{part}" if name else part, child, depth + 1)

    return walk("", record, 0)


def state_dict(record: Record) -> dict[str, np.ndarray]:
    """Parameters and buffers of a module by their names, as PyTorch's state_dict has them.

    Raises:
        ValueError: one of them is no tensor; see modules, too.
    """
    arrays = {}
    for name, module in modules(record):
        passing = module.state.get("_non_persistent_buffers_set", [])
        if not isinstance(passing, list | tuple | set):
            raise ValueError(f"the buffers of {line(name)} that pass are no names")
        for group in ("_parameters", "_buffers"):
            for part, array in _items(module, group):
                whole = f"{name}.{part}" if name else part
                if array is None or (group == "_buffers" and part in passing):
                    continue
                if not isinstance(array, np.ndarray):
                    raise ValueError(f"{line(whole)} is no tensor")
                arrays[whole] = array
    return arrays


def plain(value: Any) -> Any:
    """A value of a record, copied: None, booleans, numbers, texts and arrays, in lists and dicts.

    NumPy's numbers become Python's.

    Raises:
        ValueError: it is, or holds, something else, or too much.
    """
    left = _LARGEST_PLAIN

    def copy(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > _DEEPEST:
            raise ValueError("there is too much in it")
        match value:
            case None | bool() | int() | float() | str():
                return value.item() if isinstance(value, np.generic) else value
            case np.generic():
                return value.item()
            case Array(array=array):
                return array
            case np.ndarray():
                return value
            case list() | tuple():
                return type(value)(copy(item, depth + 1) for item in value)
            case dict():
                return {key: copy(item, depth + 1) for key, item in value.items()}
        raise ValueError(f"it holds a {type(value).__name__}")

    return copy(value, 0)


def _items(module: Record, group: str) -> Iterator[tuple[str, Any]]:
    """The parameters, buffers or modules of a module."""
    found = module.state.get(group, {})
    if not isinstance(found, dict) or not all(type(name) is str for name in found):
        raise ValueError(f"{group} of a {line(module.class_name)} are no names")
    yield from found.items()


def _reconstruct(meta: Any) -> Record:
    """In place of torch_utils.persistence._reconstruct_persistent_obj."""
    match meta:
        case {
            "type": "class",
            "version": version,
            "module_src": str(),
            "class_name": str(name),
            "state": dict(state),
            **rest,
        } if not rest:
            if type(version) is not int or version != _VERSION:
                raise Refused(
                    f"a {line(name)} of a version of torch_utils.persistence other than {_VERSION} "
                    "is refused"
                )
            return Record(name, state)
    raise Refused("a persistent object that is not described as a class is refused")


def _names() -> Names:
    """What a pickle may name; made anew for each file, for the storages that were read."""
    # By the identity of their bytes, which are kept beside them: a few bytes of the pickle can ask
    # for the same storage again.
    read: dict[int, tuple[bytes, Storage]] = {}

    def storage(data: Any) -> Storage:
        """In place of torch.storage._load_from_bytes."""
        if type(data) is not bytes:
            raise Refused("a storage without bytes is refused")
        if id(data) not in read:
            found = torch_legacy.load(data)
            if type(found) is not Storage:
                raise Unreadable("is damaged: a storage holds something else")
            read[id(data)] = (data, found)
        return read[id(data)][1]

    container = "torch.nn.modules.container"
    return {
        **NAMES,
        **ARRAYS,
        ("torch.storage", "_load_from_bytes"): Function(storage),
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): Function(_reconstruct),
        ("dnnlib.util", "EasyDict"): Function(lambda: {}),
        (container, "ModuleDict"): Function(lambda: Record("ModuleDict", {})),
        (container, "ModuleList"): Function(lambda: Record("ModuleList", {})),
    }


class _Unpickler(Unpickler):
    """Reads sets, too: those of a module hold names. They become lists."""

    dispatch: ClassVar = dict(Unpickler.dispatch)

    def load_empty_set(self) -> None:
        self.append([])

    def load_additems(self) -> None:
        items = self.pop_mark()
        if type(self.stack[-1]) is not list or not all(type(item) is str for item in items):
            raise Refused("a set of something other than names is refused")
        self.stack[-1].extend(items)

    dispatch |= {
        pickle.EMPTY_SET[0]: load_empty_set,
        pickle.ADDITEMS[0]: load_additems,
    }
