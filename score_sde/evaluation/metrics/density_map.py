r"""What a model has learned of points of the plane, as a picture and in two numbers.

On a grid of points over the data, with cells of area A, and with log p as log_likelihood finds it,

    mass = A sum p(x),        KL = A sum q(x) log(q(x) / p(x)),                                 (1)

q the exact density of made-up data. mass is near 1 if nearly all that the model draws is on the
grid, whose cells must be finer than the details of p. The picture, evaluation/density_map.png,
shows both densities on one scale, samples of the model over examples, the score, and paths of the
probability flow from noise to data (flow_paths.py). The score is shown at y = x_t / alpha, noise
and data in units of the data, where (Tweedie's formula: Efron 2011)

    E[x_0 | x_t] = y + (sigma / alpha)^2 grad_y log p(y):                                       (2)

an arrow along the score that is so long ends where the model would have the data.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import files
from score_sde.data import Info, Source
from score_sde.evaluation import figures, per_example
from score_sde.evaluation.likelihood_metric import LikelihoodMetric, check_continuous
from score_sde.evaluation.metric import Entries
from score_sde.evaluation.metrics import density_picture, flow_paths
from score_sde.evaluation.metrics.density_picture import Grid, Map
from score_sde.evaluation.subject import Subject
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.spaces import Space
from score_sde.values import Every, Length, Positive, between

_SHOWN = 1000  # examples in the picture, at most


@dataclasses.dataclass(frozen=True)
class DensityMap(LikelihoodMetric):
    """The picture and the numbers of the module.

    Attributes:
        points: of the grid, along each side.
        noise: noise levels sigma / alpha at which to show the score, in units of a state.
        samples: how many to draw and show; 0 for none.
        paths: of the probability flow, how many to show; 0 for none.
    """

    points: Annotated[int, between(2, 10_000)] = 60
    noise: Annotated[tuple[Positive, ...], Length(0, 100)] = (0.2, 1.0)
    samples: Every = 1000
    paths: Every = 60

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the data are discrete or not of the plane, the model is told something, or
                t_min cannot work.
        """
        check_continuous(subject.space)
        shape = subject.source.info[subject.field].shape
        if shape != (2,) or subject.space.shape != (2,):
            raise ValueError(f"it is of vectors of 2 numbers, and these are of shape {list(shape)}")
        if subject.conditions:
            told = ", ".join(subject.conditions)
            raise ValueError(f"it is of a model that is told nothing, and this one is told {told}")
        self.process(subject.sde)
        figures.figure(1, 1)  # that it can be drawn
        return lambda: {"density_map": density_map(subject, self)}


def density_map(subject: Subject, options: DensityMap) -> dict[str, Any]:
    """Draw the picture, or go on with a measurement that was interrupted.

    Args:
        subject: the model and the data.
        options: how.

    Returns:
        The entry of evaluation.json: "value" is the mass of equation (1), and of data whose density
        is known "kl" is the divergence, nats, and "exact_mass" the mass of q.

    Raises:
        UserError: the solver or the sampler gave up, or the run's folder cannot be written.
    """
    process = options.process(subject.sde)
    examples = subject.source.gather(np.arange(subject.number))[subject.field]
    grid = Grid.over(examples, options.points)
    protocol = options.protocol(subject, process) | {"extent": grid.extent}
    for name in ("samples", "paths"):  # which are drawn for the picture only
        del protocol[name]
    found = _on_grid(subject, options, process, grid, protocol)
    samples = _drawn(subject, options.samples)
    paths = flow_paths.of_subject(subject, options.paths) if options.paths else np.zeros((0, 1, 2))
    if jax.process_index() == 0:
        with files.writing(subject.workdir):
            path = subject.folder / "density_map.png"
            drawn = {"samples": len(samples), "paths": len(paths)}
            about = {"metric": "density_map", **protocol, **drawn}
            shown = examples[:_SHOWN]
            density_picture.save(path, grid, found, options.noise, shown, samples, paths, about)
    numbers = {"value": float(grid.area * np.exp(found.logp).sum())}
    if found.exact is not None:
        q = grid.area * np.exp(found.exact)
        ratio = np.where(q > 0, found.exact - found.logp, 0)  # 0 log 0 = 0
        numbers |= {"kl": float(q @ ratio), "exact_mass": float(q.sum())}
    return {
        **numbers,
        "standard_error": None,
        "unit": "of the model's mass on the grid",
        "picture": "evaluation/density_map.png",
        "protocol": protocol,
    }


def _on_grid(
    subject: Subject, options: DensityMap, process: SDE, grid: Grid, protocol: dict[str, Any]
) -> Map:
    """The model at the points of the grid, as if they were the examples."""
    times = [float(process.time_at_log_snr(-2 * math.log(level))) for level in options.noise]

    def measure(
        denoise: Denoiser, space: Space, key: jax.Array, batch: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        examples = batch[subject.field]
        x = space.encode(examples)
        out = options.solve(key, denoise, process, x, None)
        found = [denoise(process.alpha(t) * x, jnp.full(len(x), t, x.dtype)).x0 for t in times]
        denoised = jnp.stack([space.decode(x0) for x0 in found], axis=1) if found else x[:, :0]
        volume = space.log_volume(examples)
        return {"logp": out.logp, "log_volume": volume, "denoised": denoised}

    points = grid.middles
    field = subject.source.info[subject.field]
    info = Info("grid", subject.source.info.split, len(points), (field,))
    source = Source(info, lambda rows: {field.name: points[rows].astype(field.dtype)})
    there = dataclasses.replace(subject, source=source, number=len(points))
    found = per_example.of_examples(there, "density_map", protocol, measure)
    density = subject.source.log_density
    return Map(
        found["logp"] + found["log_volume"],
        None if density is None else density(points),
        found["denoised"],
    )


def _drawn(subject: Subject, number: int) -> np.ndarray:
    """Samples of the model, [number, 2]."""
    if not number:
        return np.zeros((0, 2))
    with subject.count(number, "samples of the map") as count:
        batches = subject.draw(min(subject.batch_size, number), number, 0, count.reach)
        drawn = np.concatenate([batch for batch, _ in batches])
        count.reach(number)
    return drawn
