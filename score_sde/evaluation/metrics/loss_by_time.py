"""The held-out denoising loss at each time: where along the process a model errs.

The mean over pixels and images of the squared error of a quantity, of x0, eps, v and so on, at x_t
(equation 1 of objectives.denoising without weights), with the standard error over images. For every
image the noise at a time is the same whatever the batch, and of independent draws at each time.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import files, keys
from score_sde.errors import UserError
from score_sde.evaluation import per_image
from score_sde.evaluation.options import CurveOptions
from score_sde.evaluation.subject import Subject
from score_sde.objectives.weightings import QUANTITIES
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand
from score_sde.samplers.grids import GRIDS
from score_sde.spaces import pixels
from score_sde.spaces.dequantization import Lattice

COLUMNS = ("t", "log_snr", "loss", "standard_error")


def prepare(
    subject: Subject, options: CurveOptions, names: Sequence[str]
) -> Callable[[], dict[str, Any]]:
    """As evaluate.Section says.

    Raises:
        UserError: the process does not go with the grid.
    """
    import matplotlib

    matplotlib.use("agg")
    try:
        GRIDS[options.grid](subject.run.sde, options.points)
    except ValueError as error:
        raise UserError(f"config.evaluation.loss_by_time.grid: {error}") from error
    return lambda: {"loss_by_time": loss_by_time(subject, options)}


def loss_by_time(subject: Subject, options: CurveOptions) -> dict[str, Any]:
    """Measure the curve, or go on with a measurement that was interrupted.

    Writes it to evaluation/loss_by_time.csv and .png in the run's folder.

    Args:
        subject: the model and the data.
        options: the section `evaluation.loss_by_time`.

    Returns:
        The entry of evaluation.json: "value" is the mean over the times, with its standard error
        over images; the curve itself is under "curve".
    """
    sde, lattice = subject.run.sde, subject.lattice
    times = GRIDS[options.grid](sde, options.points)[::-1]

    def measure(denoise: Denoiser, key: jax.Array, images: jax.Array, cond: Any) -> Any:
        x0 = data(keys.fold_in(key, 0), images, lattice)
        key = keys.fold_in(key, 1)
        draws = (
            losses(keys.fold_in(key, i), denoise, sde, x0, times, options.quantity, cond)
            for i in range(options.repeats)
        )
        return {"loss": sum(draws) / options.repeats}

    protocol = subject.protocol() | subject.data_protocol() | dataclasses.asdict(options)
    found = per_image.of_images(subject, "loss_by_time", protocol, measure)["loss"]
    of_image, errors = found.mean(axis=1), per_image.standard_error(found)
    error = per_image.standard_error(of_image)
    with np.errstate(divide="ignore"):
        log_snr = sde.log_snr(times).tolist()
    if not math.isfinite(log_snr[-1]):
        log_snr[-1] = None  # no signal is left, for which JSON has no number
    columns = [times.tolist(), log_snr, found.mean(axis=0).tolist()]
    columns.append([None] * len(times) if errors is None else errors.tolist())
    curve = dict(zip(COLUMNS, columns, strict=True))
    if jax.process_index() == 0:
        with files.writing(subject.run.workdir):
            _write_csv(subject.folder / "loss_by_time.csv", curve)
            _write_png(subject.folder / "loss_by_time.png", curve, options.quantity)
    return {
        "value": float(of_image.mean()),
        "standard_error": None if error is None else float(error),
        "images": len(found),
        "nfe": options.points * options.repeats,
        "curve": curve,
        "protocol": protocol,
    }


def data(key: jax.Array, images: jax.Array, lattice: Lattice) -> jax.Array:
    """x_0 as the model was trained on it: dequantised or not; [batch, H, W, C]."""
    if not lattice.tiled:
        return pixels.to_model(images, lattice.centered)

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        return pixels.dequantize(key, image[None], lattice.levels, lattice.centered)[0]

    return jax.vmap(one)(key, images)


def losses(
    key: jax.Array,
    denoise: Denoiser,
    sde: SDE,
    x0: jax.Array,
    times: np.ndarray,
    quantity: str,
    cond: Any = None,
) -> jax.Array:
    """Squared errors at each time, one draw of noise each.

    Args:
        key: JAX random keys, one for each example, [batch].
        denoise: the denoiser.
        sde: the forward process.
        x0: data, [batch, *data].
        times: [n].
        quantity: a name in losses.QUANTITIES.
        cond: condition passed to denoise.

    Returns:
        Means over data, [batch, n].
    """
    of = QUANTITIES[quantity]

    def at(number: jax.Array, t: jax.Array) -> jax.Array:
        eps, t = keys.normal(keys.fold_in(key, number), x0.shape, x0.dtype), jnp.full(len(x0), t)
        x = expand(sde.alpha(t), x0) * x0 + expand(sde.sigma(t), x0) * eps
        error = of(sde, t, denoise(x, t, cond)) - of(sde, t, Prediction(x0, eps))
        return jnp.mean(error**2, tuple(range(1, x0.ndim)))

    inputs = jnp.arange(len(times)), jnp.asarray(times, x0.dtype)
    return jax.lax.map(lambda pair: at(*pair), inputs).T


def _write_csv(path: Path, curve: dict[str, list[Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(zip(*curve.values(), strict=True))
    _replace(path, text.getvalue().encode())


def _write_png(path: Path, curve: dict[str, list[Any]], quantity: str) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    t, loss = np.array(curve["t"]), np.array(curve["loss"])
    error = np.array([e or 0.0 for e in curve["standard_error"]])
    axes.plot(t, loss)
    axes.fill_between(t, loss - 2 * error, loss + 2 * error, alpha=0.25, linewidth=0)
    axes.set(
        xlabel="time t",
        ylabel=f"mean squared error of {quantity}, with 2 standard errors",
        yscale="log",
    )
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    pyplot.close(figure)
    _replace(path, buffer.getvalue())


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
