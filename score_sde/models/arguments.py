"""Arguments of networks: which a config holds, and which the rest of the config gives.

The keyword arguments of a network are the section `model` of a config, but for those whose
annotation is Given:

    def __init__(self, *, shape: Given[Sequence[int]], channels: int = 128, rngs: Given[nnx.Rngs])

What is given is named where the network is made, in score_sde/runs/build.py.
"""

from __future__ import annotations

import functools
import inspect
import typing
from typing import Annotated, TypeVar

from score_sde.sections import Entry

T = TypeVar("T")
_MARK = "given"
Given = Annotated[T, _MARK]


@functools.cache
def options(network: type) -> dict[str, Entry]:
    """The arguments of a network that a config holds, by name; the dtype is a name there."""
    found = {name: entry for name, entry in _arguments(network).items() if not _is_given(entry)}
    return found | {"dtype": Entry("float32", typing.Literal["float32", "bfloat16"])}


@functools.cache
def given(network: type) -> frozenset[str]:
    """The names of the arguments that it is given."""
    return frozenset(name for name, entry in _arguments(network).items() if _is_given(entry))


def _arguments(network: type) -> dict[str, Entry]:
    annotations = typing.get_type_hints(network.__init__, include_extras=True)
    parameters = dict(inspect.signature(network.__init__).parameters)
    del parameters["self"]
    return {name: Entry(p.default, annotations[name]) for name, p in parameters.items()}


def _is_given(entry: Entry) -> bool:
    return _MARK in getattr(entry.annotation, "__metadata__", ())
