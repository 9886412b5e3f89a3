"""Arguments of networks: which a config holds, and which the rest of the config gives.

The keyword arguments of a network are the section `model` of a config, but for those whose
annotation is Given, with their types and ranges (see score_sde.values):

    def __init__(self, *, shape: Given[Sequence[int]], channels: Width = 128, rngs: Given[nnx.Rngs])

What is given is named where the network is made, in score_sde/runs/build.py.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from score_sde import values
from score_sde.sections import Entry, meanings
from score_sde.values import Length, between

T = TypeVar("T")
_MARK = "given"
Given = Annotated[T, _MARK]

# Upper ends are far above what any machine holds, and low enough to count parameters in a minute.
Width = Annotated[int, between(4, 2**20)]
Multiples = Annotated[Sequence[Annotated[int, between(1, 1024)]], Length(1, 16)]


@functools.cache
def options(network: type) -> dict[str, Entry]:
    """The arguments of a network that a config holds, by name; the dtype is a name there."""
    found = {name: entry for name, entry in _arguments(network).items() if not _is_given(entry)}
    dtype = typing.Literal["float32", "bfloat16"]
    return found | {"dtype": Entry("float32", dtype, found["dtype"].meaning)}


@functools.cache
def given(network: type) -> frozenset[str]:
    """The names of the arguments that it is given."""
    return frozenset(name for name, entry in _arguments(network).items() if _is_given(entry))


def also(base: type) -> Callable[[T], T]:
    """Marks an __init__ that takes **others: these are the arguments of another network's.

    Args:
        base: the other, to whose __init__ they are passed on. An argument of both is described, and
            has the default, as here.
    """

    def marked(init: T) -> T:
        theirs, ours = (inspect.signature(one).parameters for one in (base.__init__, init))
        own = {name: p for name, p in ours.items() if p.kind != p.VAR_KEYWORD}
        init.__signature__ = inspect.Signature(list({**theirs, **own}.values()))
        hints = typing.get_type_hints(base.__init__, include_extras=True)
        init.__annotations__ = hints | {n: a for n, a in init.__annotations__.items() if n in own}
        return init

    return marked


def check(network: type, given: Mapping[str, Any]) -> None:
    """Raise a ValueError, which begins with its name, unless each argument is what it may be.

    Args:
        network: the class; what is Given, and the dtype, are its own to check.
        given: all its arguments by name.
    """
    for name, entry in options(network).items():
        if name != "dtype":
            values.check(name, given[name], entry.annotation)


def _arguments(network: type) -> dict[str, Entry]:
    annotations = typing.get_type_hints(network.__init__, include_extras=True)
    parameters = dict(inspect.signature(network.__init__).parameters)
    del parameters["self"]
    said = meanings(network)
    return {
        name: Entry(p.default, annotations[name], said.get(name, ""))
        for name, p in parameters.items()
    }


def _is_given(entry: Entry) -> bool:
    return _MARK in getattr(entry.annotation, "__metadata__", ())
