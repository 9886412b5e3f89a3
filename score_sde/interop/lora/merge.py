"""Adapters in the arrays of networks: what each adds to which, and the sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from score_sde.interop.lora import file
from score_sde.interop.lora.factors import Factors
from score_sde.interop.lora.names import Named, table
from score_sde.interop.slots import names
from score_sde.models.functional import Arrays

# Of each network, and each of its weights, what is added to it: factors and their strength.
Added = dict[str, dict[str, list[tuple[Factors, float]]]]


def fitted(networks: Sequence[Named], adapters: Sequence[tuple[Path, float]]) -> Added:
    """What files add to networks.

    Args:
        networks: those that may be adapted, of different names.
        adapters: files, see file.read, each with its strength.

    Raises:
        ValueError: a file cannot be read, or is of other networks; the message names the first
            array that does not fit.
    """
    places, found = table(networks), {network.name: {} for network in networks}
    shapes = {network.name: network.shapes for network in networks}
    for path, strength in adapters:
        for name, layer in file.read(path).items():
            parts = places.get(name.replace(".processor.", ".").replace(".", "_"))
            if parts is None:
                raise ValueError(
                    f"{path} does not fit this model, first at {layer.key[:120]}: there is no such "
                    "layer"
                )
            there = [shapes[place.network][place.weight] for place in parts]
            shape = (sum(one[0] for one in there), *there[0][1:])
            if not layer.factors.fits(shape):
                raise ValueError(
                    f"{path} does not fit this model, first at {layer.key[:120]}: it is for a "
                    f"weight of {list(layer.factors.shape)}, and there it is {list(shape)}"
                )
            last = 0
            for place, (n_out, *_) in zip(parts, there, strict=True):
                first, last = last, last + n_out
                of_part = layer.factors.rows(first, last), strength
                found[place.network].setdefault(place.weight, []).append(of_part)
    return found


def merged(
    network: Named, arrays: Arrays, added: Mapping[str, Sequence[tuple[Factors, float]]]
) -> Arrays:
    """The arrays of a network with what is added: W + sum_k (W'_k - W) of adapters k.

    So their order does not matter. Arrays to which nothing is added are the same ones.

    Args:
        network: whose arrays these are.
        arrays: by the names of models.functional; those of weights that are not there stay out.
        added: of its weights; see `fitted`.
    """
    paths, changed = names(network.model), {}
    for slot in network.slots:
        (path,) = (paths[id(variable)] for variable in slot.variables)
        if path not in arrays or not added.keys() & slot.shapes.keys():
            continue
        before = np.asarray(arrays[path])
        changes = [
            sum(
                (factors.change(weight, strength) for factors, strength in added.get(name, ())),
                np.zeros(weight.shape, np.float32),
            )
            for name, weight in zip(slot.shapes, slot.back(before), strict=True)
        ]
        (change,) = slot.ours(*changes)
        changed[path] = jnp.asarray(before.astype(np.float32) + change, before.dtype)
    return {path: changed.get(path, array) for path, array in arrays.items()}
