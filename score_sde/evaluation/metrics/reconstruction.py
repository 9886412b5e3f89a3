"""How well an autoencoder reconstructs images, and how much it says of them.

Of each held-out image x the reconstruction D(m), with m the mean of q(z | x) and rounded to the
levels of the data, is compared with it:

    MSE = mean of (x_i - D(m)_i)^2, with pixels in [0, 1],    PSNR = -10 log10 MSE  (dB).     (1)

The rate is KL(q(z | x) || N(0, I)): so many bits an image could be sent with at best, if the
latents were coded by a normal prior (Hoffman and Johnson 2016 call its mean over images the rate).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.autoencoder import KLAutoencoder
from score_sde.evaluation import per_example
from score_sde.evaluation.metric import AUTOENCODER, Entries, Metric
from score_sde.evaluation.subject import Subject
from score_sde.spaces import Space


@dataclasses.dataclass(frozen=True)
class Reconstruction(Metric):
    """The numbers of the module, which have no options."""

    NEEDS: ClassVar[str] = AUTOENCODER

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric; nothing can be missing."""
        return lambda: reconstruction(subject)


def reconstruction(subject: Subject) -> Entries:
    """Measure them, or go on with a measurement that was interrupted.

    Args:
        subject: the autoencoder and the images.

    Returns:
        The entries of evaluation.json, each with its standard error over images: "reconstruction",
        the mean of their PSNR, dB; "reconstruction_mse", that of their MSE; "latent_bits", that of
        the KL divergence, bits an image, with "bits_per_dim", the same for each number of an image.
    """

    def measure(
        model: KLAutoencoder, space: Space, key: jax.Array, batch: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        images = batch[subject.field]
        found = model.encode(space.encode(images))
        again = space.decode(model.decode(found.mean))
        error = (again.astype(jnp.float32) - images.astype(jnp.float32)) / 255
        return {"mse": jnp.mean(error**2, axis=(1, 2, 3)), "nats": found.kl()}

    protocol = subject.protocol() | subject.space.protocol
    found = per_example.of_examples(subject, "reconstruction", protocol, measure)
    rounding = 1 / (12 * 255**2)  # of a level, uniformly: so that no PSNR is infinite
    psnr = -10 * np.log10(np.maximum(found["mse"], rounding))
    bits = found["nats"] / math.log(2)
    shape = subject.source.info[subject.field].shape
    return {
        "reconstruction": _entry(psnr, "dB", protocol),
        "reconstruction_mse": _entry(found["mse"], "of pixels in [0, 1]", protocol),
        "latent_bits": {
            **_entry(bits, "bits an image", protocol),
            "bits_per_dim": float(bits.mean() / math.prod(shape)),
        },
    }


def _entry(values: np.ndarray, unit: str, protocol: dict[str, Any]) -> dict[str, Any]:
    error = per_example.standard_error(values)
    return {
        "value": float(values.mean()),
        "standard_error": None if error is None else float(error),
        "unit": unit,
        "examples": len(values),
        "protocol": protocol,
    }
