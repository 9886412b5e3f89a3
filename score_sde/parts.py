"""Parts: networks that a run has and does not train, such as an autoencoder, in one file each.

A file is NAME.safetensors: arrays by the paths of models.functional, and a text about them with the
kind of the network and its options. Nothing in it is executed, and no name of a class is read from
it: a kind is a key of KINDS.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde import records
from score_sde.checks import check_name
from score_sde.errors import first_line
from score_sde.formats import safetensors
from score_sde.formats.safetensors import Shaped
from score_sde.models.autoencoder import Autoencoder
from score_sde.models.clip_image import CLIPImage
from score_sde.models.controlnet import ControlNet
from score_sde.models.functional import (
    Arrays,
    Functional,
    Maker,
    fingerprint,
    functional,
    is_kernel,
    put,
)
from score_sde.models.image_prompt import IPAdapter
from score_sde.models.sound_autoencoder import SoundAutoencoder
from score_sde.models.t2i_adapter import T2IAdapter
from score_sde.models.text import CLIPText, T5Encoder
from score_sde.models.two_towers import TwoTowers

Place = Callable[[np.ndarray, Any], jax.Array]  # an array of a file, and the dtype that it gets
ABOUT = "part"  # the text of a file that says what network it is
KINDS: Mapping[str, type[nnx.Module]] = {
    "autoencoder": Autoencoder,
    "sound_autoencoder": SoundAutoencoder,
    "clip_text": CLIPText,
    "t5": T5Encoder,
    "clip_image": CLIPImage,
    "controlnet": ControlNet,
    "t2i_adapter": T2IAdapter,
    "ip_adapter": IPAdapter,
    "two_towers": TwoTowers,
}

AUTOENCODERS = ("autoencoder", "sound_autoencoder")  # those of KINDS, named as networks are


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A network with its arrays: a pytree, an argument of compiled functions.

    Attributes:
        apply: of (parameters, constants), then the network's own arguments; see Functional.
        params: the parameters.
        constants: the other arrays.
    """

    apply: Callable[..., Any] = dataclasses.field(metadata={"static": True})
    params: Arrays
    constants: Arrays

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of its arrays."""
        return fingerprint(self.params, self.constants)

    def __call__(self, *args: Any, method: str = "__call__", **kwargs: Any) -> Any:
        """A method of the network."""
        return self.apply(self.params, self.constants, *args, method=method, **kwargs)


@jax.jit
def called(part: Part, x: jax.Array) -> Any:
    """What a network makes of an array, compiled once for shapes and equal networks."""
    return part(x)


class Stored(NamedTuple):
    """What a file holds; save(path, *stored) writes it.

    Attributes:
        kind: a key of KINDS.
        options: of the network, by name; what is not there is the default.
        params: by their paths.
        constants: likewise.
    """

    kind: str
    options: Mapping[str, Any]
    params: Arrays
    constants: Arrays

    def part(self, dtype: jnp.dtype | None = None) -> Part:
        """The network, which computes in this dtype; in its own if None."""
        return Part(made(self.kind, self.options, dtype).apply, self.params, self.constants)


def save(
    path: Path, kind: str, options: Mapping[str, Any], params: Arrays, constants: Arrays
) -> None:
    """Write a network, whole or not at all; a file that exists is not replaced.

    Args:
        path: the file.
        kind: a key of KINDS.
        options: of the network, plain values by name; what is not there is the default.
        params: by their paths.
        constants: likewise.

    Raises:
        FileExistsError: the file exists.
    """
    arrays = {name: np.asarray(array) for name, array in {**params, **constants}.items()}
    write(path, kind, options, arrays, arrays.items())


def write(
    path: Path,
    kind: str,
    options: Mapping[str, Any],
    shapes: Mapping[str, Shaped],
    arrays: Iterable[tuple[str, np.ndarray]],
) -> None:
    """Write a network of arrays that are made one at a time; else as `save`.

    Args:
        path: the file.
        kind: a key of KINDS.
        options: see `save`.
        shapes: shapes and precision of its arrays in the file, by their paths.
        arrays: path and array of each.

    Raises:
        FileExistsError: the file exists.
    """
    about = json.dumps({"kind": kind, "options": dict(options)})
    cast = ((name, np.asarray(array).astype(shapes[name].dtype)) for name, array in arrays)
    safetensors.write(path, shapes, cast, {"format": "pt", ABOUT: about})


def described(path: Path) -> tuple[str, dict[str, Any]]:
    """The kind of the network in a file, and its options.

    Raises:
        ValueError: the file cannot be read, or is of no known network; it is named.
    """
    return _described(path, _read(path)[1])


def load(
    path: Path,
    dtype: jnp.dtype | None = None,
    kernels: jnp.dtype | None = None,
    place: Place = put,
) -> Part:
    """The network in a file.

    Args:
        path: the file.
        dtype: of the computation; the network's own if None.
        kernels: see `fitted`.
        place: likewise.

    Raises:
        ValueError: the file cannot be read, or its arrays are not those of the network it claims to
            hold; it is named.
    """
    return stored(path, kernels, place).part(dtype)


def stored(path: Path, kernels: jnp.dtype | None = None, place: Place = put) -> Stored:
    """What a file holds; arguments and errors as for `load`."""
    found, about = _read(path)
    kind, options = _described(path, about)
    arrays = fitted(path, found, made(kind, options), kernels, place)
    return Stored(kind, options, *arrays)


def fitted(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    network: Functional,
    kernels: jnp.dtype | None = None,
    place: Place = put,
) -> tuple[Arrays, Arrays]:
    """Parameters and constants of a network from the arrays of a file.

    Args:
        path: the file, for messages.
        arrays: by their paths.
        network: whose they are.
        kernels: dtype of the kernels of layers, see functional.is_kernel; None for that of the
            network's own, as the others have.
        place: puts an array on the devices.

    Raises:
        ValueError: they are not those of the network.
    """
    said = {name: array.shape for name, array in arrays.items()}
    asked = {name: array.shape for part in network.shapes for name, array in part.items()}
    if differing := sorted(said.items() ^ asked.items()):
        raise ValueError(f"{path} is damaged: {differing[0][0]} is not that of its network")
    dtypes = {
        name: kernels if kernels is not None and is_kernel(name) else array.dtype
        for part in network.shapes
        for name, array in part.items()
    }
    placed = ({n: place(arrays[n], dtypes[n]) for n in part} for part in network.shapes)
    params, constants = placed
    return params, constants


def made(kind: str, options: Mapping[str, Any], dtype: jnp.dtype | None = None) -> Functional:
    """A network of KINDS as a pure function, without arrays.

    The same one for the same options, so that what was compiled with it serves whoever asks again.

    Raises:
        ValueError: an option is unknown or cannot work.
    """
    return _made(kind, json.dumps(dict(options)), None if dtype is None else jnp.dtype(dtype))


@functools.lru_cache(maxsize=64)
def _made(kind: str, options: str, dtype: jnp.dtype | None) -> Functional:
    options, own = json.loads(options), {} if dtype is None else {"dtype": dtype}
    try:
        return functional(Maker(KINDS[kind], {**options, **own}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"no {kind} has these options: {first_line(error)}") from error


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file, mapped from it.

    Raises:
        ValueError: it cannot be read; it is named.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        return safetensors.load(path)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error


def _described(path: Path, about: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    try:
        said = records.parse(about[ABOUT])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} is no part of a run: nothing says what network it is") from error
    match said:
        case {"kind": str(kind), "options": dict(options)}:
            check_name(f"the kind of {path}", kind, KINDS)
            known = inspect.signature(KINDS[kind].__init__).parameters
            for name in options:
                if name not in known or name in ("self", "rngs", "dtype", "param_dtype"):
                    raise ValueError(f"{path} is damaged: no {kind} has the option {name[:60]}")
            return kind, {name: _tuples(value) for name, value in options.items()}
    raise ValueError(f"{path} is damaged: what it says of its network is nothing")


def _tuples(value: Any) -> Any:
    """With a tuple for each list, as options have them."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
