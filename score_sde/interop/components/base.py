"""What a released component is to us: options of a network of ours, and a place for each array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx

from score_sde.interop.released import Arrays
from score_sde.interop.slots import Placed, Placing, Slot, to_params
from score_sde.models import functional

# What is put among the values of the config.json of a network of tokens: how many there are beside
# the mask, by the tokeniser. Released tables have more rows than that.
VOCABULARY = "tokens beside the mask"


class Component(NamedTuple):
    """How components of one class become networks of ours.

    Attributes:
        make: a network of ours, by options by name, then param_dtype and rngs.
        options: those options, by the values of config.json, of which old files lack some.
            ValueError: we have no such network; the message says which value.
        slots: of every array of the component, by the names that released files of today have.
        prepare: from the arrays of a file, and the values of config.json, to those that `slots`
            names: old names become today's, and what is no parameter (tables that are computed,
            positions in order) is left out.
    """

    make: Callable[..., nnx.Module]
    options: Callable[[Mapping[str, Any]], dict[str, Any]]
    slots: Callable[[Any], Iterable[Slot]]
    prepare: Callable[[Arrays, Mapping[str, Any]], Arrays] = lambda arrays, config: arrays


def abstract(
    component: Component, config: Mapping[str, Any], dtype: jnp.dtype = jnp.float32
) -> nnx.Module:
    """The network that a config.json asks for, without its arrays.

    Raises:
        ValueError: see Component.options.
    """
    options = {**component.options(config), "param_dtype": dtype}
    return functional.abstract(functional.Maker(component.make, options))


def place(
    component: Component,
    config: Mapping[str, Any],
    arrays: Arrays,
    dtype: jnp.dtype = jnp.float32,
) -> tuple[nnx.Module, Placed]:
    """A network of ours without its arrays, and what these are; see slots.to_params.

    Args:
        component: one of COMPONENTS.
        config: the values of config.json.
        arrays: of the file, by their authors' names.
        dtype: of the parameters.

    Raises:
        ValueError: the arrays do not fit, or see Component.options.
    """
    model = abstract(component, config, dtype)
    return model, to_params(model, component.slots(model), component.prepare(arrays, config))


def placing(
    component: Component, config: Mapping[str, Any], arrays: Arrays, model: nnx.Module
) -> Placing:
    """The same one array at a time, for a network that is there, without its arrays."""
    return Placing(model, component.slots(model), component.prepare(arrays, config))
