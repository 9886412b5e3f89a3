"""How well an autoencoder reconstructs images or signals, and how much it says of them.

Of each held-out example x the reconstruction D(m), with m the mean of q(z | x) and rounded to the
levels of the data if it has any, is compared with it:

    MSE = mean of (x_i - D(m)_i)^2, of full scale 1,    PSNR = -10 log10 MSE  (dB);           (1)
    SNR = 10 log10 (mean of x_i^2 / MSE)  (dB), of signals.                                   (2)

Full scale is 255 of a pixel and 1 of a signal. Signals are seldom as loud, so that silence has a
PSNR of 20 dB or more; its SNR is 0. The rate is KL(q(z | x) || N(0, I)): so many bits an example
could be sent with at best, if the latents were coded by a normal prior (Hoffman and Johnson 2016
call its mean over images the rate).
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
        subject: the autoencoder and the examples.

    Returns:
        The entries of evaluation.json, each with its standard error over examples:
        "reconstruction", the mean of their PSNR, of signals of their SNR, dB;
        "reconstruction_mse", that of their MSE;
        "latent_bits", that of the KL divergence, bits an example, with "bits_per_dim", the same for
        each of its numbers.
    """
    field = subject.source.info[subject.field]
    full, steps = (255, 255) if field.values else (1, 2**15)  # as files have them

    def measure(
        model: KLAutoencoder, space: Space, key: jax.Array, batch: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        examples = batch[subject.field]
        found = model.encode(space.encode(examples))
        again = space.decode(model.decode(found.mean))
        error = (again.astype(jnp.float32) - examples.astype(jnp.float32)) / full
        axes = tuple(range(1, error.ndim))
        power = {} if field.values else {"power": jnp.mean(examples**2, axis=axes)}
        return {"mse": jnp.mean(error**2, axis=axes), "nats": found.kl(), **power}

    protocol = subject.protocol() | subject.space.protocol
    found = per_example.of_examples(subject, "reconstruction", protocol, measure)
    rounding = 1 / (12 * steps**2)  # of a level, uniformly: so that no ratio is infinite
    power = np.maximum(found.get("power", np.ones(())), rounding)
    decibels = 10 * np.log10(power / np.maximum(found["mse"], rounding))
    bits = found["nats"] / math.log(2)
    return {
        "reconstruction": _entry(decibels, "dB", protocol),
        "reconstruction_mse": _entry(found["mse"], "of full scale 1", protocol),
        "latent_bits": {
            **_entry(bits, "bits an example", protocol),
            "bits_per_dim": float(bits.mean() / math.prod(field.shape)),
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
