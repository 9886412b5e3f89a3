"""How well a classifier of noisy images classifies, by noise level.

    python -m score_sde.evaluation.metrics.accuracy runs/digits_classifier

Each held-out image is noised once at each time, always with the same noise, and classified with the
moving average of the parameters. The paper shows the same curve (Song et al. 2021, arXiv
2011.13456, Appendix I.1, Figure 13).
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.data import Source, eval_batches
from score_sde.errors import UserError
from score_sde.processes import expand
from score_sde.runs import build, folder

LEVELS = 11


class Level(NamedTuple):
    """What was measured at one time.

    Attributes:
        t: the time.
        noise: sigma / alpha there.
        accuracy: share of the images whose most probable class is theirs.
        cross_entropy: mean of -log p(y | x_t), nats.
    """

    t: float
    noise: float
    accuracy: float
    cross_entropy: float


def measure(run: folder.ClassifierRun, held_out: Source, times: np.ndarray) -> list[Level]:
    """Accuracy and cross-entropy at each time.

    Args:
        run: the classifier.
        held_out: images that it was not trained on, with labels.
        times: [n], in the time of run.sde.
    """

    @jax.jit
    def sums(key, batch, t):
        x0, label = run.experiment.from_images(batch["image"]), batch["label"]
        mean, std = run.sde.marginal(x0, t)
        x = mean + expand(std, x0) * jax.random.normal(key, x0.shape)
        log_probs = run.log_probs(x, t)
        chosen = jnp.take_along_axis(log_probs, label[:, None], axis=1)[:, 0]
        each = jnp.stack([log_probs.argmax(axis=1) == label, -chosen])
        return jnp.sum(jnp.where(batch["mask"][None], each, 0), axis=1)

    totals = np.zeros((len(times), 2))
    batches = eval_batches(held_out, run.experiment.evaluation_batch_size)
    for index, batch in enumerate(batches):
        key = jax.random.fold_in(jax.random.key(0), index)
        totals += [sums(jax.random.fold_in(key, i), batch, t) for i, t in enumerate(times)]
    noise = run.sde.sigma(times) / run.sde.alpha(times)
    rows = zip(times, noise, *(totals / len(held_out)).T, strict=True)
    return [Level(*map(float, row)) for row in rows]


def main(argv: list[str]) -> int:
    """Print a table, one time a row; exit code 2 for bad input."""
    try:
        if len(argv) != 2:
            raise UserError("usage: python -m score_sde.evaluation.metrics.accuracy runs/NAME")
        run = folder.load_classifier(argv[1])
        times = np.linspace(run.sde.t_min, run.sde.t_max, LEVELS)
        print("     t  sigma/alpha  accuracy  cross-entropy")
        for row in measure(run, build.source(run.config, "test"), times):
            print(
                f"{row.t:6.3f}  {row.noise:11.3g}  {row.accuracy:8.3f}  {row.cross_entropy:13.3f}"
            )
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv))
