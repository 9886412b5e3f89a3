r"""Bits/dim of a data set under a model.

For each image, `repeats` times, the bound of K importance-weighted draws (see `dequantization`)

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
import importlib.metadata
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from score_sde import files
from score_sde.errors import UserError, solver_error_as
from score_sde.evaluation.journal import Journal
from score_sde.evaluation.metrics import variational_noise
from score_sde.evaluation.options import BitsOptions
from score_sde.evaluation.subject import Subject
from score_sde.likelihood import log_likelihood
from score_sde.models.functional import Arrays
from score_sde.processes import SDE
from score_sde.spaces.dequantization import DEQUANTIZATIONS
from score_sde.training.sharding import batch_sharding, replicated, to_devices

# (parameters, constants, images, labels, repeat, draw, index) -> log w and nfe; all [batch].
Weigh = Callable[..., tuple[jax.Array, jax.Array]]


def prepare(
    subject: Subject, options: BitsOptions, names: Sequence[str]
) -> Callable[[], dict[str, Any]]:
    """As evaluate.Section says.

    Raises:
        UserError: t_min cannot work, or the process does not go with the dequantisation.
    """
    process = _process(subject.run.sde, options.t_min)
    if options.dequantization == "variational":
        variational_noise.log_snr_range(process)
    return lambda: {"bits_per_dim": bits_per_dim(subject, options)}


def bits_per_dim(subject: Subject, options: BitsOptions) -> dict[str, Any]:
    """Measure the bits/dim of equation (1), or go on with a measurement that was interrupted.

    Args:
        subject: the model and the data.
        options: the section `evaluation.bits_per_dim`.

    Returns:
        The entry of evaluation.json: value and standard error, bits/dim; how they were made.

    Raises:
        UserError: t_min cannot work, the solver gave up, or the run's folder cannot be written.
    """
    process = _process(subject.run.sde, options.t_min)
    protocol = _protocol(subject, options, process)
    journal = Journal(subject.folder, "bits_per_dim", protocol)
    shape = options.repeats, options.draws, subject.number
    log_weights, nfe = np.full(shape, np.nan), np.zeros(shape, int)
    for row in journal.rows():
        _fill(row, log_weights, nfe)
    missing = np.argwhere(np.isnan(log_weights))
    # Every process has read the journal before the first one writes to it.
    multihost_utils.sync_global_devices("the journal was read")
    if len(missing) < log_weights.size:
        done = log_weights.size - len(missing)
        subject.say(f"{done} of {log_weights.size} log-likelihoods are there from before")
    for row in _work(subject, options, process, missing):
        if jax.process_index() == 0:
            with files.writing(subject.run.workdir):
                journal.append(row)
        _fill(row, log_weights, nfe)
        done = log_weights.size - int(np.isnan(log_weights).sum())
        subject.say(f"{done}/{log_weights.size} log-likelihoods, {_running(subject, log_weights)}")
    return _entry(subject, log_weights, nfe, protocol)


def _process(sde: SDE, t_min: float) -> SDE:
    if t_min < 0:
        return sde
    try:
        return dataclasses.replace(sde, t_min=t_min)
    except ValueError as error:
        raise UserError(f"config.evaluation.bits_per_dim.t_min={t_min}: {error}") from error


def _weigh(subject: Subject, options: BitsOptions, process: SDE) -> Weigh:
    """log w of equation (1) for a batch, compiled."""
    experiment, lattice = subject.run.experiment, subject.lattice
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

    def weigh(params: Arrays, constants: Arrays, batch: dict[str, jax.Array]) -> Any:
        batch = jax.lax.with_sharding_constraint(batch, sharding)
        keys = jax.vmap(key)(batch["repeat"], batch["draw"], batch["index"])
        key_noise, key_probe = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        x, log_factor = dequantize(key_noise, batch["image"], lattice, process)
        out = log_likelihood(
            key_probe,
            experiment.denoiser(params, constants),
            process,
            x,
            options.divergence,
            options.probes,
            options.rtol,
            options.atol,
            cond=batch["label"] if experiment.conditional else None,
            probe=options.probe,
            max_steps=options.max_steps,
        )
        return out.logp, log_factor, out.nfe_each

    return jax.jit(weigh, out_shardings=replicated(subject.mesh))


def _work(
    subject: Subject, options: BitsOptions, process: SDE, missing: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Work through the triples (repeat, draw, index), [n, 3], in batches; a row for each."""
    if not len(missing):
        return
    weigh = _weigh(subject, options, process)
    everywhere = replicated(subject.mesh)
    weights = jax.device_get((subject.run.params, subject.run.constants))
    params, constants = to_devices(everywhere, weights)
    size = -(-min(subject.batch_size, len(missing)) // subject.mesh.size) * subject.mesh.size
    for start in range(0, len(missing), size):
        triples = missing[start : start + size]
        # The last batch is filled up with copies of its last triple, which are not counted.
        filled = triples[np.minimum(np.arange(size), len(triples) - 1)].astype(np.int32)
        batch = subject.source.gather(filled[:, 2].astype(np.int64))
        batch |= dict(zip(("repeat", "draw", "index"), filled.T, strict=True))
        with solver_error_as(UserError):
            out = jax.device_get(weigh(params, constants, to_devices(everywhere, batch)))
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
    dimensions = math.prod(subject.source.info.shape)
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
    of_image = bits.mean(axis=0)
    error = of_image.std(ddof=1) / math.sqrt(len(of_image)) if len(of_image) > 1 else None
    return {
        "value": float(of_image.mean()),
        "standard_error": None if error is None else float(error),
        "unit": "bits/dim",
        "images": len(of_image),
        "of_each_repeat": bits.mean(axis=1).tolist(),
        "nfe_mean": float(nfe.mean()),
        "nfe_max": int(nfe.max()),
        "protocol": protocol,
    }


def _protocol(subject: Subject, options: BitsOptions, process: SDE) -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in ("diffrax", "equinox")}
    return {
        **subject.protocol(),
        **subject.data_protocol(),
        **dataclasses.asdict(options),
        "solver": "Dormand-Prince 5(4), steps of each image its own",
        "sde": {"name": type(process).__name__, **dataclasses.asdict(process)},
        "t_min": process.t_min,
        "versions": subject.protocol()["versions"] | versions,
    }
