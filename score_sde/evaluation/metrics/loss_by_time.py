"""The held-out denoising loss at each time: where along the process a model errs.

The mean over the axes and examples of the squared error of a quantity, of x0, eps, v and so on, at
x_t (equation 1 of objectives.denoising without weights), with the standard error over examples. For
every example the noise at a time is the same whatever the batch, and of independent draws at each
time. It is the curve that Karras et al. 2022 (arXiv 2206.00364), Figure 5a, choose the times of
training by.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import files, keys, sections
from score_sde.evaluation import figures, per_example
from score_sde.evaluation.metric import DENOISER, Entries, Metric
from score_sde.evaluation.subject import Subject
from score_sde.objectives.weightings import QUANTITIES
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand
from score_sde.samplers.grids import GRIDS
from score_sde.spaces import Space
from score_sde.values import Count, between, one_of

COLUMNS = ("t", "log_snr", "loss", "standard_error")


@dataclasses.dataclass(frozen=True)
class LossByTime(Metric):
    """The curve of the module.

    Attributes:
        points: times at which the loss is measured.
        grid: where they lie, a name in samplers.grids.GRIDS.
        repeats: draws of noise for each example and time.
        quantity: whose squared error, a name in objectives.weightings.QUANTITIES.
    """

    NEEDS: ClassVar[str] = DENOISER

    points: Annotated[int, between(2, 10_000)] = 50
    grid: Annotated[str, one_of(GRIDS)] = "uniform"
    repeats: Count = 1
    quantity: Annotated[str, one_of(QUANTITIES)] = "eps"

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the process does not go with the grid.
        """
        figures.figure(1, 1)  # that it can be drawn
        try:
            GRIDS[self.grid](subject.sde, self.points)
        except ValueError as error:
            raise ValueError(f"grid={self.grid}: {error}") from error
        return lambda: {"loss_by_time": loss_by_time(subject, self)}


def loss_by_time(subject: Subject, options: LossByTime) -> dict[str, Any]:
    """Measure the curve, or go on with a measurement that was interrupted.

    Writes it to evaluation/loss_by_time.csv and .png in the run's folder.

    Args:
        subject: the model and the data.
        options: how.

    Returns:
        The entry of evaluation.json: "value" is the mean over the times, with its standard error
        over examples; the curve itself is under "curve".
    """
    sde = subject.sde
    times = GRIDS[options.grid](sde, options.points)[::-1]

    def measure(
        denoise: Denoiser, space: Space, key: jax.Array, batch: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        x0 = space.encode(batch[subject.field], keys.fold_in(key, 0))  # as in training
        key, cond = keys.fold_in(key, 1), subject.told(batch)
        draws = (
            losses(keys.fold_in(key, i), denoise, sde, x0, times, options.quantity, cond)
            for i in range(options.repeats)
        )
        return {"loss": sum(draws) / options.repeats}

    protocol = subject.protocol() | subject.data_protocol() | dataclasses.asdict(options)
    found = per_example.of_examples(subject, "loss_by_time", protocol, measure)["loss"]
    of_example, errors = found.mean(axis=1), per_example.standard_error(found)
    error = per_example.standard_error(of_example)
    with np.errstate(divide="ignore"):
        log_snr = sde.log_snr(times).tolist()
    if not math.isfinite(log_snr[-1]):
        log_snr[-1] = None  # no signal is left, for which JSON has no number
    columns = [times.tolist(), log_snr, found.mean(axis=0).tolist()]
    columns.append([None] * len(times) if errors is None else errors.tolist())
    curve = dict(zip(COLUMNS, columns, strict=True))
    if jax.process_index() == 0:
        with files.writing(subject.workdir):
            _write_csv(subject.folder / "loss_by_time.csv", curve)
            about = {"metric": "loss_by_time", **protocol}
            _write_png(subject.folder / "loss_by_time.png", curve, about)
    return {
        "value": float(of_example.mean()),
        "standard_error": None if error is None else float(error),
        "examples": len(found),
        "nfe": options.points * options.repeats,
        "curve": curve,
        "protocol": protocol,
    }


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
        quantity: a name in weightings.QUANTITIES.
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
    with files.replacing(path) as file:
        file.write(text.getvalue().encode())


def _write_png(path: Path, curve: dict[str, list[Any]], about: Mapping[str, Any]) -> None:
    drawn = figures.figure(7, 4.5)
    axes = drawn.add_subplot()
    t, loss = np.array(curve["t"]), np.array(curve["loss"])
    error = np.array([e or 0.0 for e in curve["standard_error"]])
    axes.plot(t, loss)
    axes.fill_between(t, loss - 2 * error, loss + 2 * error, alpha=0.25, linewidth=0)
    axes.set(
        xlabel="time t",
        ylabel=f"mean squared error of {about['quantity']}, with 2 standard errors",
        yscale="log",
    )
    axes.grid(alpha=0.3)
    figures.save(path, drawn, about)
