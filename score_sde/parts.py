"""Parts: networks that a run has and does not train, such as an autoencoder, in one file each.

A file is NAME.safetensors: arrays by the paths of models.functional, and a text about them with the
kind of the network and its options. Nothing in it is executed, and no name of a class is read from
it: a kind is a key of KINDS.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde import records
from score_sde.checks import check_name
from score_sde.errors import first_line
from score_sde.formats import safetensors
from score_sde.models.autoencoder import Autoencoder
from score_sde.models.functional import Arrays, Functional, functional
from score_sde.models.text import CLIPText, T5Encoder

ABOUT = "part"  # the text of a file that says what network it is
KINDS: Mapping[str, type[nnx.Module]] = {
    "autoencoder": Autoencoder,
    "clip_text": CLIPText,
    "t5": T5Encoder,
}


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

    def __call__(self, *args: Any, method: str = "__call__", **kwargs: Any) -> Any:
        """A method of the network."""
        return self.apply(self.params, self.constants, *args, method=method, **kwargs)


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
    about = json.dumps({"kind": kind, "options": dict(options)})
    safetensors.save(path, arrays, {"format": "pt", ABOUT: about})


def described(path: Path) -> tuple[str, dict[str, Any]]:
    """The kind of the network in a file, and its options.

    Raises:
        ValueError: the file cannot be read, or is of no known network; it is named.
    """
    return _described(path, _read(path)[1])


def load(
    path: Path,
    dtype: jnp.dtype | None = None,
    param_dtype: jnp.dtype | None = None,
) -> Part:
    """The network in a file.

    Args:
        path: the file.
        dtype: of the computation; the network's own if None.
        param_dtype: of the arrays; float32 if None.

    Raises:
        ValueError: the file cannot be read, or its arrays are not those of the network it claims to
            hold; it is named.
    """
    found, about = _read(path)
    kind, options = _described(path, about)
    network = made(kind, options, dtype)
    return Part(network.apply, *fitted(path, found, network, param_dtype))


def fitted(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    network: Functional,
    dtype: jnp.dtype | None = None,
) -> tuple[Arrays, Arrays]:
    """Parameters and constants of a network from the arrays of a file.

    Args:
        path: the file, for messages.
        arrays: by their paths.
        network: whose they are.
        dtype: of the result; that of the network's own if None.

    Raises:
        ValueError: they are not those of the network.
    """
    said = {name: array.shape for name, array in arrays.items()}
    asked = {name: array.shape for part in network.shapes for name, array in part.items()}
    if differing := sorted(said.items() ^ asked.items()):
        raise ValueError(f"{path} is damaged: {differing[0][0]} is not that of its network")
    params, constants = (
        {name: jnp.asarray(arrays[name], dtype or array.dtype) for name, array in part.items()}
        for part in network.shapes
    )
    return params, constants


def made(kind: str, options: Mapping[str, Any], dtype: jnp.dtype | None = None) -> Functional:
    """A network of KINDS as a pure function, without arrays.

    Raises:
        ValueError: an option is unknown or cannot work.
    """
    own = {} if dtype is None else {"dtype": jnp.dtype(dtype)}
    try:
        return functional(lambda rngs: KINDS[kind](**options, **own, rngs=rngs))
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
