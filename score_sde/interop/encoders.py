"""Released encoders as compiled functions, and images as they are shown to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.errors import UserError
from score_sde.evaluation import cache
from score_sde.interop.components import COMPONENTS, base, folder
from score_sde.interop.components.base import Component
from score_sde.models import clip_image, dinov2
from score_sde.models.functional import Maker, functional

BATCH = 32
_PREPARED = {clip_image.CLIPImage: clip_image.prepared, dinov2.DINOv2: dinov2.prepared}
_CLIP = "CLIPVisionModelWithProjection"
_KINDS = (_CLIP, "CLIPVisionModel", "Dinov2Model", "Dinov2WithRegistersModel")
# DINOv2's positions are for 518 pixels, and it is compared by at as many as CLIP is shown (Stein et
# al. 2023, arXiv 2306.04675).
_USUAL = 224


class ImageEncoder(NamedTuple):
    """One that makes a vector of an image.

    Attributes:
        encode: images as `prepared` makes them, [batch, side, side, 3], to vectors [batch, d].
        prepared: of uint8 [height, width, 3] and `side`.
        side: of an image, in pixels.
        about: what it is, and by which weights.
    """

    encode: Callable[[np.ndarray], jax.Array]
    prepared: Callable[[np.ndarray, int], np.ndarray]
    side: int
    about: dict[str, Any]

    def vectors(self, pictures: Callable[[slice], list[np.ndarray]], count: int) -> np.ndarray:
        """Of `count` pictures, uint8 [height, width, 3] each and read by part: [count, d]."""

        def shown(part: slice) -> np.ndarray:
            return np.stack([self.prepared(picture, self.side) for picture in pictures(part)])

        return in_batches(self.encode, shown, count)


def image_encoder(path: Path, side: int | None = None) -> ImageEncoder:
    """That of a released CLIP or DINOv2, from its folder: config.json and the arrays.

    Args:
        path: the folder; that of a whole CLIP will do.
        side: of the images that it is shown, in pixels. None: its own for CLIP, for DINOv2 224.

    Raises:
        ValueError: it cannot be read, is neither, or is for images of another size.
        OSError: likewise.
    """
    config = folder.config(path)
    kind = next(iter(config.get("architectures") or [""]))
    if isinstance(config.get("vision_config"), dict):
        own = config["vision_config"]
        kind, config = _CLIP, {**own, "projection_dim": projection(config)}
    if kind not in _KINDS:
        raise ValueError(
            f"{path} is a {kind!r:.60}, and no image encoder: CLIPModel, {', '.join(_KINDS)}"
        )
    component = COMPONENTS[kind]
    encode, options = opened(component, config, folder.arrays(path))
    flexible = component.make is dinov2.DINOv2
    side = side or (_USUAL if flexible else options["side"])
    if side % options["patch"] or (not flexible and side != options["side"]):
        sizes = f"a multiple of {options['patch']}" if flexible else options["side"]
        raise ValueError(f"{path} takes no images of {side} pixels: the side must be {sizes}")
    weights = {file.name: cache.sha256(file) for file in folder.files(path)}
    about = {"encoder": path.resolve().name, "class": kind, "side": side, "sha256": weights}
    return ImageEncoder(encode, _PREPARED[component.make], side, about)


def projection(config: Mapping[str, Any]) -> int:
    """Features of the embeddings of a whole CLIP, by its config.json."""
    return config.get("projection_dim", 512)


def opened(
    component: Component,
    config: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    taken: Callable[[Any], jax.Array] = lambda found: found,
) -> tuple[Callable[[np.ndarray], jax.Array], dict[str, Any]]:
    """An encoder as a compiled function, and its options.

    Args:
        component: one of COMPONENTS.
        config: the values of config.json.
        arrays: of the file.
        taken: of what the network gives.

    Raises:
        ValueError: see base.place.
    """
    options = component.options(config)
    _, placed = base.place(component, config, dict(arrays))
    network = functional(Maker(component.make, options))
    encode = jax.jit(lambda params, given: taken(network.apply(*params, given)))
    return lambda given: encode(placed, jnp.asarray(given)), options


def in_batches(
    encode: Callable[[np.ndarray], jax.Array], given: Callable[[slice], np.ndarray], count: int
) -> np.ndarray:
    """Vectors, [count, d], of batches of one size, so that it is compiled once.

    Args:
        encode: of a batch.
        given: what it encodes, by part.
        count: how many there are.

    Raises:
        UserError: a vector is not of finite numbers.
    """
    found = []
    for first in range(0, count, BATCH):
        part = given(slice(first, min(first + BATCH, count)))
        filled = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
        found.append(np.asarray(encode(filled))[: len(part)])
        if not np.isfinite(found[-1]).all():
            raise UserError(
                "the encoder gives numbers that are not finite: its weights are damaged"
            )
    return np.concatenate(found)


def of_length_one(vectors: np.ndarray) -> np.ndarray:
    """[n, d], each divided by its length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
