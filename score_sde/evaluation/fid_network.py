"""The Inception network of FID, from its standard weight file.

    net = fid_network.load()               # or fid_network.load(path)
    out = net(images)                      # uint8 [batch, H, W, 3]
    out.pool3, out.logits                  # [batch, 2048], [batch, 1008]

The file is the one that pytorch-fid published, a state dict in torchvision's names; it is read
without PyTorch, and nothing in it is executed. See score_sde.models.inception for the network.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from score_sde.errors import UserError
from score_sde.evaluation import cache
from score_sde.formats import torch_file
from score_sde.models.functional import Arrays, Functional, functional, put
from score_sde.models.inception import EPSILON, Features, InceptionV3, preprocess

FILE_NAME = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE_NAME}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Inception:
    """The network with its weights; a pytree, compiled once for each shape of images.

    Attributes:
        params: weights.
        sha256: of the file that they came from.
    """

    params: Arrays
    sha256: str = dataclasses.field(metadata={"static": True})

    def __call__(self, images: jax.Array | np.ndarray) -> Features:
        """Features and logits, float32.

        Args:
            images: uint8, [batch, H, W, 3], or [batch, H, W, 1] for gray ones; possibly sharded.

        Raises:
            ValueError: images are not such.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
            raise ValueError(
                "inception takes uint8 images [batch, H, W, 3] or [batch, H, W, 1], not "
                f"{images.dtype} {list(images.shape)}"
            )
        return _apply(self.params, _preprocess(images))

    @property
    def protocol(self) -> dict[str, Any]:
        """What determines the features, for the record."""
        return {
            "extractor": "inception",
            "features": "pool3 (2048) of Inception-v3, 2015-12-05; logits of 1008 classes",
            "resize": "bilinear to 299x299 without antialiasing or rounding",
            "weights_sha256": self.sha256,
        }


def load(path: str | os.PathLike[str] | None = None, check_hash: bool = True) -> Inception:
    """The network with the weights of a file.

    Args:
        path: the weight file; the standard file in the cache, $SCORE_SDE_CACHE or
            ~/.cache/score_sde, if None.
        check_hash: whether to demand that it is the standard file, by its SHA-256. False for
            weights of one's own, with which numbers compare only among themselves.

    Raises:
        UserError: there is no such file, it is another one or it is damaged, or its arrays are not
            those of the network; the message names the first that is not.
    """
    path = cache.folder() / FILE_NAME if path is None else Path(path)
    if not path.is_file():
        raise UserError(f"no Inception weights at {path}: download {URL} and put it there")
    digest = cache.sha256(path)
    if check_hash and digest != SHA256:
        raise UserError(
            f"{path} is not FID's Inception network, or it is damaged: its SHA-256 is "
            f"{digest[:16]}..., not {SHA256[:16]}... Download {URL} again, or load weights of "
            "your own with check_hash=False"
        )
    try:
        arrays = torch_file.load(path)
    except (ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if not isinstance(arrays, Mapping):
        raise UserError(f"{path} holds no state dict: a dictionary from names to arrays is needed")
    return Inception(_convert(path, arrays), digest)


@functools.cache
def _network() -> Functional:
    return functional(lambda rngs: InceptionV3(rngs=rngs))


_preprocess = jax.jit(preprocess)


@jax.jit
def _apply(params: Arrays, x: jax.Array) -> Features:
    return _network().apply(params, {}, x)


def _convert(path: Path, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The network's parameters from the state dict."""
    shapes, _ = _network().shapes

    def take(name: str, shape: tuple[int, ...]) -> np.ndarray:
        array = arrays.get(name)
        if not isinstance(array, np.ndarray):
            raise UserError(f"{path} is not FID's Inception network: {name} is missing")
        if array.shape != shape:
            raise UserError(
                f"{path} is not FID's Inception network: {name} has shape {array.shape}, not "
                f"{shape}"
            )
        return array.astype(np.float64)

    params = {}
    for module in sorted({name.rpartition("/")[0] for name in shapes}):
        key, kernel = module.replace("/", "."), shapes[f"{module}/kernel"].shape
        if module == "fc":
            weight, bias = take("fc.weight", kernel[::-1]).T, take("fc.bias", kernel[-1:])
        else:
            # OIHW, with the normalisation (y - mean) scale + bias folded in.
            weight = take(f"{key}.conv.weight", (*kernel[:1:-1], *kernel[:2]))
            gain, shift, mean, variance = (
                take(f"{key}.bn.{name}", kernel[-1:])
                for name in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gain / np.sqrt(variance + EPSILON)
            weight, bias = weight.transpose(2, 3, 1, 0) * scale, shift - mean * scale
        params[f"{module}/kernel"] = put(weight, np.float32)
        params[f"{module}/bias"] = put(bias, np.float32)
    return params
