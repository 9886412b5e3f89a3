r"""Bits/dim of a data set under a model.

For each image, `repeats` times, the bound of K importance-weighted draws (spaces.dequantization)

    bits = -(1 / (D log 2)) log (1/K) sum_{j <= K} w_j,    log w = log p(x) + log_factor,       (1)

with log p by the probability-flow ODE (see score_sde.likelihood); what is reported is the mean over
repeats, then over images, with the standard error over images. It is the protocol of Song et al.
2021 (arXiv 2011.13456, Section 4.3) for uniform noise, K = 1, 5 repeats and t_min = 1e-5 (which is
not that of their samples).

With K = 1 its expectation is an upper bound of the bits, also under Hutchinson's estimate, which is
unbiased for log w. With K > 1 the estimate is exponentiated, and its noise biases (1) downwards:
K > 1 is a bound with the exact divergence only.

All randomness is a function of (seed, repeat, draw, index of the image), so that neither the batch
size nor the number of devices matters, and each of these triples is one piece of work in a journal.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from score_sde import files
from score_sde.divergence import DIVERGENCES
from score_sde.errors import UserError, solver_error_as
from score_sde.evaluation.journal import Journal
from score_sde.evaluation.likelihood_metric import LikelihoodMetric
from score_sde.evaluation.metric import Entries
from score_sde.evaluation.metrics import variational_noise
from score_sde.evaluation.per_example import standard_error
from score_sde.evaluation.subject import Subject
from score_sde.models.functional import Arrays
from score_sde.processes import SDE
from score_sde.spaces.dequantization import DEQUANTIZATIONS
from score_sde.training.sharding import batch_sharding, replicated, to_devices
from score_sde.values import Count, one_of

# (parameters, constants, batch, repeat, draw, index) -> log w, log_factor and nfe; all [batch].
Weigh = Callable[..., tuple[jax.Array, jax.Array, jax.Array]]


@dataclasses.dataclass(frozen=True)
class BitsPerDim(LikelihoodMetric):
    """Equation (1) of the module.

    Attributes:
        dequantization: a name in spaces.dequantization.DEQUANTIZATIONS, or "variational": see
            metrics.variational_noise.
        dequantization_steps: of the fit of variational noise.
        draws: K, the importance-weighted draws of one bound.
        repeats: bounds, each from draws of its own, whose mean is reported.
    """

    divergence: Annotated[str, one_of(DIVERGENCES)] = "hutchinson"
    dequantization: Annotated[str, one_of(DEQUANTIZATIONS, ("variational",))] = "uniform"
    dequantization_steps: Count = 1000
    draws: Count = 1
    repeats: Count = 1

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the data are continuous, t_min cannot work, or the process does not go with
                the dequantisation.
        """
        if subject.space.lattice is None:
            raise ValueError("it is of discrete data, and these have no levels: use log_likelihood")
        process = self.process(subject.sde)
        if self.dequantization == "variational":
            variational_noise.log_snr_range(process)
        return lambda: {"bits_per_dim": bits_per_dim(subject, self)}


def bits_per_dim(subject: Subject, options: BitsPerDim) -> dict[str, Any]:
    """Measure the bits/dim of equation (1), or go on with a measurement that was interrupted.

    Args:
        subject: the model and the data.
        options: how.

    Returns:
        The entry of evaluation.json: value and standard error, bits/dim; how they were made.

    Raises:
        ValueError: t_min cannot work; as UserError, the solver gave up, or the run's folder cannot
            be written.
    """
    process = options.process(subject.sde)
    protocol = options.protocol(subject, process)
    journal = Journal(subject.folder, "bits_per_dim", protocol, subject.say)
    shape = options.repeats, options.draws, subject.number
    log_weights, nfe = np.full(shape, np.nan), np.zeros(shape, int)
    for row in journal.rows():
        _fill(row, log_weights, nfe)
    missing = np.argwhere(np.isnan(log_weights))
    # Every process has read the journal before the first one writes to it.
    multihost_utils.sync_global_devices("the journal was read")
    done = log_weights.size - len(missing)
    if done:
        subject.say(f"{done} of {log_weights.size} log-likelihoods are there from before")
    with subject.count(log_weights.size, "log-likelihoods", done) as count:
        for row in _work(subject, options, process, missing):
            if jax.process_index() == 0:
                with files.writing(subject.workdir):
                    journal.append(row)
            _fill(row, log_weights, nfe)
            done += len(row["log_weight"])
            count.reach(done, _running(subject, log_weights))
    return _entry(subject, log_weights, nfe, protocol)


def _weigh(subject: Subject, options: BitsPerDim, process: SDE) -> Weigh:
    """log w of equation (1) for a batch, compiled."""
    lattice = subject.space.lattice
    if options.dequantization == "variational":
        dequantize = variational_noise.fit(subject, process, options.dequantization_steps)
    else:
        dequantize = DEQUANTIZATIONS[options.dequantization]
    sharding = batch_sharding(subject.mesh)

    def key(repeat: jax.Array, draw: jax.Array, index: jax.Array) -> jax.Array:
        key = jax.random.key(subject.seed)
        for number in (repeat, draw, index):
            key = jax.random.fold_in(key, number)
        return key

    def weigh(
        params: Arrays, constants: Arrays, batch: dict[str, jax.Array], *numbers: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        batch, numbers = jax.lax.with_sharding_constraint((batch, numbers), sharding)
        keys = jax.vmap(key)(*numbers)
        key_noise, key_probe = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        x, log_factor = dequantize(key_noise, batch[subject.field], lattice, process)
        denoise = subject.make(params, constants)
        out = options.solve(key_probe, denoise, process, x, subject.told(batch))
        return out.logp, log_factor, out.nfe_each

    return jax.jit(weigh, out_shardings=replicated(subject.mesh))


def _work(
    subject: Subject, options: BitsPerDim, process: SDE, missing: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Work through the triples (repeat, draw, index), [n, 3], in batches; a row for each."""
    if not len(missing):
        return
    weigh = _weigh(subject, options, process)
    everywhere = replicated(subject.mesh)
    size = -(-min(subject.batch_size, len(missing)) // subject.mesh.size) * subject.mesh.size
    for start in range(0, len(missing), size):
        triples = missing[start : start + size]
        # The last batch is filled up with copies of its last triple, which are not counted.
        filled = triples[np.minimum(np.arange(size), len(triples) - 1)].astype(np.int32)
        batch = subject.source.gather(filled[:, 2].astype(np.int64))
        batch, numbers = to_devices(everywhere, (batch, tuple(filled.T)))
        with solver_error_as(UserError):
            out = jax.device_get(weigh(*subject.weights, batch, *numbers))
        logp, log_factor, nfe = (a[: len(triples)] for a in out)
        # Their sum in float32 would lose what a small difference of two large numbers is made of.
        log_weight = logp.astype(np.float64) + log_factor.astype(np.float64)
        yield {
            "triples": triples.tolist(),
            "log_weight": log_weight.tolist(),
            "nfe": nfe.tolist(),
        }


def _fill(row: dict[str, Any], log_weights: np.ndarray, nfe: np.ndarray) -> None:
    at = tuple(np.array(row["triples"]).T)
    log_weights[at], nfe[at] = row["log_weight"], row["nfe"]


def _bits(subject: Subject, log_weights: np.ndarray) -> np.ndarray:
    """Equation (1) from log w [repeats, K, n]; [repeats, n]."""
    dimensions = math.prod(subject.space.shape)
    draws = log_weights.shape[1]
    return -(np.logaddexp.reduce(log_weights, axis=1) - math.log(draws)) / dimensions / math.log(2)


def _running(subject: Subject, log_weights: np.ndarray) -> str:
    """The mean over what is complete, for those who wait."""
    with np.errstate(invalid="ignore"):  # those that are missing are NaN
        bits = _bits(subject, log_weights)
    return f"{np.nanmean(bits):.4f} bits/dim" if np.isfinite(bits).any() else "none complete"


def _entry(
    subject: Subject, log_weights: np.ndarray, nfe: np.ndarray, protocol: dict[str, Any]
) -> dict[str, Any]:
    bits = _bits(subject, log_weights)
    of_example = bits.mean(axis=0)
    error = standard_error(of_example)
    return {
        "value": float(of_example.mean()),
        "standard_error": None if error is None else float(error),
        "unit": "bits/dim",
        "examples": len(of_example),
        "of_each_repeat": bits.mean(axis=1).tolist(),
        "nfe_mean": float(nfe.mean()),
        "nfe_max": int(nfe.max()),
        "protocol": protocol,
    }
