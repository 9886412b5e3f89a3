"""Feature extractors: from examples to what samples are compared by.

An extractor is any callable from examples, as a space decodes them, such as uint8 images
[batch, H, W, C], to features [batch, d], or to a pair of features and class logits
[batch, classes]. If it is a pytree, such as Inception, its arrays are copied to the devices. What
it says in an attribute `protocol`, a dictionary, is recorded beside every number; without one its
name is. It raises ValueError for examples that it is not for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from score_sde.checks import check_name
from score_sde.errors import UserError
from score_sde.evaluation import fid_network
from score_sde.fields import Field
from score_sde.training.sharding import replicated, shared_batch, to_devices

Extractor = Callable[[jax.Array], Any]


@jax.jit
def pixels(images: jax.Array) -> jax.Array:
    """The pixels of uint8 images themselves, from 0 to 1: float32 [batch, H W C]. For digits."""
    if images.dtype != jnp.uint8:
        raise ValueError(f"pixels are of uint8 images, not of {images.dtype}: take values")
    return images.reshape(images.shape[0], -1).astype(jnp.float32) / 255


@jax.jit
def values(examples: jax.Array) -> jax.Array:
    """The numbers of continuous examples themselves: float32 [batch, d]. For vectors."""
    if not jnp.issubdtype(examples.dtype, jnp.floating):
        raise ValueError(f"values are of continuous examples, not of {examples.dtype}: take pixels")
    return examples.reshape(examples.shape[0], -1).astype(jnp.float32)


EXTRACTORS: dict[str, Callable[[Path | None, bool], Extractor]] = {
    "inception": fid_network.load,
    "pixels": lambda path, check_hash: pixels,
    "values": lambda path, check_hash: values,
}


def get(name: str, weights: Path | None = None, check_hash: bool = True) -> Extractor:
    """The extractor of this name.

    Args:
        name: a key of EXTRACTORS.
        weights: its weight file, if it has one; that in the cache if None.
        check_hash: as for `fid_network.load`.

    Raises:
        UserError: the name is unknown, or the weights cannot be had.
    """
    try:
        check_name("features", name, EXTRACTORS)
    except ValueError as error:
        raise UserError(str(error)) from error
    return EXTRACTORS[name](weights, check_hash)


def shapes(
    extractor: Extractor, field: Field
) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct | None]:
    """The shapes of features [1, d] and of logits of one example; nothing is computed.

    Args:
        extractor: that JAX can trace, as those of `get`.
        field: what it is of.

    Raises:
        UserError: it is not for such examples.
    """
    try:
        output = jax.eval_shape(extractor, jax.ShapeDtypeStruct((1, *field.shape), field.dtype))
    except ValueError as error:
        raise UserError(f"features of the field {field.name!r}: {error}") from error
    return output if isinstance(output, tuple) else (output, None)


def protocol(extractor: Extractor) -> dict[str, Any]:
    """What determines the features, for the record."""
    name = getattr(extractor, "__qualname__", type(extractor).__qualname__)
    return dict(getattr(extractor, "protocol", {"extractor": name}))


class Extracted(NamedTuple):
    """What an extractor says of a batch.

    Attributes:
        features: [batch, d].
        logits: [batch, classes], or None.
    """

    features: np.ndarray
    logits: np.ndarray | None


def extract(
    extractor: Extractor, batches: Iterable[np.ndarray], mesh: Mesh, batch_size: int
) -> Iterator[Extracted]:
    """The features of examples, a batch at a time, on the host of every process.

    Args:
        extractor: see the module.
        batches: [batch, ...], the same on every process, of at most batch_size examples.
        mesh: the devices that share a batch.
        batch_size: to which batches are filled up, so that only one size is compiled; rounded up
            to a multiple of the number of devices.

    Raises:
        UserError: the extractor gives something else than features of each example.
    """
    extractor = jax.tree.map(
        lambda leaf: (
            to_devices(replicated(mesh), np.asarray(leaf)) if isinstance(leaf, jax.Array) else leaf
        ),
        extractor,
    )
    batch_size = -(-batch_size // mesh.size) * mesh.size
    for examples in batches:
        rows = np.minimum(np.arange(batch_size), len(examples) - 1)
        output = extractor(shared_batch(mesh, examples[rows]))
        features, logits = output if isinstance(output, tuple) else (output, None)
        if np.ndim(features) != 2 or len(features) != batch_size:
            raise UserError(
                f"the extractor gave features {list(np.shape(features))} for a batch of "
                f"{batch_size} examples: it must give [batch, d]"
            )
        yield Extracted(*(_host(a, len(examples)) for a in (features, logits)))


def _host(array: jax.Array | np.ndarray | None, number: int) -> np.ndarray | None:
    if not isinstance(array, jax.Array):  # an extractor may work on the host
        return array if array is None else np.asarray(array)[:number]
    return multihost_utils.process_allgather(array, tiled=True)[:number]
