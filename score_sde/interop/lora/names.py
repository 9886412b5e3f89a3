"""How adapters name the layers of a network: every layout that people have, as one table.

A layer of `unet` whose weight is `down_blocks.0.attentions.0.proj_in.weight` is named

    unet.down_blocks.0.attentions.0.proj_in                    peft, diffusers
    base_model.model.down_blocks.0.attentions.0.proj_in        peft alone
    lora_unet_down_blocks_0_attentions_0_proj_in               kohya
    lora_unet_input_blocks_1_1_proj_in                         kohya, the names of SGM
    lora_unet_double_blocks_0_img_attn_qkv                     kohya, those of Flux: three layers

and older diffusers have `attn1.processor.to_q` for `attn1.to_q`, and `to_out` for `to_out.0`. With
"_" for each point these are a prefix and one of a few names, which is how they are looked up.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from flax import nnx

from score_sde.interop import slots
from score_sde.interop.components import COMPONENTS
from score_sde.interop.components.original import inverse, module
from score_sde.interop.components.original_transformers import FLUX, MODULATION, SD3
from score_sde.interop.components.original_unet import modules
from score_sde.interop.layouts import CONV, LINEAR, one, stack
from score_sde.interop.slots import Shape, Slot

NETWORK = "network"  # what a run calls its own network, beside its text encoders
WEIGHT = ".weight"
_ALONE = ("base_model_model_", "")
_OF_NETWORK = ("unet_", "transformer_", "lora_unet_", "lora_transformer_", "diffusion_model_")


class Named(NamedTuple):
    """A network and the names of its weights that can be adapted.

    Attributes:
        name: NETWORK, or that of a text encoder, text_encoder or text_encoder_2.
        model: the network; an abstract one will do.
        slots: of the kernels of its layers, by their released names, or by our own if it is no
            network that was released.
        released: whether they are by released names.
    """

    name: str
    model: nnx.Module
    slots: tuple[Slot, ...]
    released: bool

    @property
    def shapes(self) -> dict[str, Shape]:
        """Of all weights by their names."""
        return {name: shape for slot in self.slots for name, shape in slot.shapes.items()}


class Place(NamedTuple):
    """A weight of one of several networks.

    Attributes:
        network: its name, see Named.
        weight: a key of its `shapes`.
    """

    network: str
    weight: str


def named(name: str, model: nnx.Module) -> Named:
    """The weights of a network that can be adapted; see Named."""
    paths = slots.names(model)
    own = tuple(_own(model, paths))
    component = next((c for c in COMPONENTS.values() if c.make is type(model)), None)
    try:
        released = tuple(_weights(component.slots(model), paths)) if component else ()
    except (AttributeError, ValueError):  # an option that released networks do not have
        released = ()
    if _variables(released) == _variables(own):
        return Named(name, model, released, True)
    return Named(name, model, own, False)


def _variables(found: Iterable[Slot]) -> set[int]:
    return {id(slot.variables[0]) for slot in found}


def _weights(found: Iterable[Slot], paths: dict[int, str]) -> Iterator[Slot]:
    for slot in found:
        kernel = len(slot.variables) == 1 and is_kernel(paths[id(slot.variables[0])])
        if kernel and all(name.endswith(WEIGHT) for name in slot.shapes):
            yield slot


def _own(model: nnx.Module, paths: dict[int, str]) -> Iterator[Slot]:
    """Kernels by our own names, as PyTorch would keep them; of stacked layers each by its own."""
    for _, variable in nnx.iter_graph(model):
        if not isinstance(variable, nnx.Param) or not is_kernel(paths[id(variable)]):
            continue
        layer = paths[id(variable)].rpartition("/")[0].replace("/", ".")
        shape = variable.shape
        layout = LINEAR if len(shape) in (2, 3) else CONV
        if len(shape) in (2, 4):
            yield one(f"{layer}{WEIGHT}", variable, layout)
        elif len(shape) in (3, 5):
            yield stack([f"{layer}.{i}{WEIGHT}" for i in range(shape[0])], variable, layout)


def is_kernel(path: str) -> bool:
    """Whether an array is the kernel of a layer, by its path."""
    return path.rpartition("/")[2] == "kernel"


def table(networks: Sequence[Named]) -> dict[str, tuple[Place, ...]]:
    """Every name that a layer of these networks may have, with "_" for each point.

    Of one name that several have, the first of these networks is meant.

    Returns:
        By name, the weights whose outputs, one after the other, are those of the layer.
    """
    found: dict[str, tuple[Place, ...]] = {}
    for network in networks:
        prefixes = _prefixes(network.name)
        layers = [name.removesuffix(WEIGHT) for name in network.shapes]
        original = _original(layers) if network.name == NETWORK else {}
        for layer in layers:
            names = {layer, original.get(layer, layer), layer.removeprefix("text_model.")}
            names |= {name.removesuffix(".0") for name in names if name.endswith(".to_out.0")}
            for prefix, name in itertools.product(prefixes, names):
                key = prefix + name.replace(".", "_")
                found.setdefault(key, (Place(network.name, layer + WEIGHT),))
        for name, parts in _joined(network.shapes).items() if network.name == NETWORK else ():
            for prefix in prefixes:
                places = tuple(Place(network.name, part) for part in parts)
                found.setdefault(prefix + name.replace(".", "_"), places)
    return found


def _prefixes(name: str) -> tuple[str, ...]:
    if name == NETWORK:
        return (*_OF_NETWORK, *_ALONE, *(f"base_model_model_{p}" for p in _OF_NETWORK[:2]))
    number = name.removeprefix("text_encoder").removeprefix("_") or "1"
    kohya = (f"lora_te{number}_", *(["lora_te_"] if number == "1" else []))
    return (f"{name}_", *kohya, *_ALONE)


def _original(layers: Sequence[str]) -> dict[str, str]:
    """The names in the original files of latent diffusion, of a U-Net that has them."""
    numbers = itertools.count()
    first = [n for n in layers if n.startswith("down_blocks.0.resnets.") and n.endswith(".conv1")]
    levels = next(i for i in numbers if f"down_blocks.{i}.resnets.0.conv1" not in layers)
    if not levels:
        return {}
    attention = [f"down_blocks.{i}.attentions.0.proj_in" in layers for i in range(levels)]
    back = inverse(modules(len(first), attention))
    return {layer: module(layer, back) for layer in layers if _known(layer, back)}


def _joined(shapes: Mapping[str, Shape]) -> dict[str, list[str]]:
    """The layers of a transformer by their authors' names, of which one may be several weights."""
    found = {}
    blocks = {match[0] for name in shapes if (match := re.search(r"(?<=_blocks\.)\d+", name))}
    for (layer, parts), number in itertools.product((SD3 | FLUX).items(), blocks):
        weights = [part.replace("#", number) + WEIGHT for part in parts]
        if not all(weight in shapes for weight in weights):
            continue
        n_out, *_, n_in = shapes[weights[0]]
        if layer.endswith(MODULATION) and n_out == 2 * n_in:  # its halves are the other way round
            continue
        found[layer.replace("#", number)] = weights
    return found


def _known(layer: str, back: dict[str, str]) -> bool:
    parts = layer.split(".")
    return any(".".join(parts[:n]) in back for n in range(1, len(parts) + 1))
