"""What sampling costs, in evaluations of the network.

    python benchmarks/sampling.py runs/digits_vp 128
    python benchmarks/sampling.py cifar_vp 2

A batch is drawn by several samplers, each in turns with as many jitted evaluations of the network
as it reports, so that whatever else the machine does hits both; the ratio of the medians is
printed. Where the network is told a class, classifier-free guidance is timed too, against
evaluations that hold both of its halves. The network is that of a run, or of a recipe, then with
random parameters, which cost the same.
"""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import score_sde
from score_sde import guidance, samplers, terminal
from score_sde.data import selection
from score_sde.errors import UserError
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.runs import build, recipes

EVALUATIONS, ROUNDS = 10, 7


@dataclasses.dataclass(frozen=True)
class Network:
    """A network, with what it is drawn from.

    Args:
        make: makes a denoiser of `weights`.
        weights: its parameters and constants.
        shape: of an example.
        classes: of the condition `label`; 0 if there is none.
    """

    make: Callable[..., Denoiser]
    weights: Any
    sde: SDE
    shape: tuple[int, ...]
    classes: int


@terminal.program
def main(argv: list[str]) -> int:
    """Print a line for each sampler; exit code 2 for bad input."""
    parser = terminal.Parser.of("python benchmarks/sampling.py", __doc__)
    parser.add_argument("network", help="the folder of a run, or a recipe")
    parser.add_argument("batch", type=int, help="how many are drawn at once")
    asked = parser.parse_args(argv[1:])
    if asked.batch < 1:
        raise UserError(f"a batch of {asked.batch}: give at least 1")
    network, batch = _network(asked.network), asked.batch
    for name, options, scale in _cases(network):
        stages = 2 if name == "edm" else 1
        sampler = samplers.get(name, steps=EVALUATIONS // stages + stages - 1, **options)
        nfe, total, one = _measure(sampler, network, batch, scale)
        what = name + (f", classifier-free guidance of scale {scale:g}" if scale else "")
        print(
            f"{what}: batch {batch} of {'x'.join(map(str, network.shape))}, "
            f"{jax.devices()[0].device_kind}: {nfe} evaluations in {total:.4f} s, one call in "
            f"{1e3 * one[0]:.2f} ms; ratio {total / (one[1] * one[0]):.3f}",
            flush=True,
        )
    return 0


def _cases(network: Network) -> list[tuple[str, dict[str, Any], float]]:
    cases = [
        ("ddim", {}, 0.0),
        ("dpmpp_2m", {}, 0.0),
        ("unipc", {"order": 2}, 0.0),
        ("edm", {"churn": 5.0}, 0.0),
    ]
    return [*cases, ("dpmpp_2m", {}, 3.0)] if network.classes else cases


def _measure(
    sampler: samplers.Sampler, network: Network, batch: int, scale: float
) -> tuple[int, float, tuple[float, int]]:
    """Evaluations, seconds of a batch, and the seconds of one call and how many are as much."""
    x = network.sde.prior_sample(jax.random.key(0), (batch, *network.shape), jnp.float32)
    cond = {"label": jnp.arange(batch) % network.classes} if network.classes else None

    @jax.jit
    def whole(weights: Any, x: jax.Array, cond: Any) -> Any:
        denoise = network.make(*weights)
        guided = guidance.classifier_free(denoise, scale) if scale else denoise
        return sampler(jax.random.key(1), guided, network.sde, x_init=x, cond=cond)

    copies = 2 if scale else 1
    t = jnp.full(copies * batch, 0.5)
    both = jnp.concatenate([x] * copies)
    told = cond and {"label": jnp.concatenate([cond["label"]] * copies)}
    single = jax.jit(lambda weights, *asked: network.make(*weights)(*asked))
    nfe = int(whole(network.weights, x, cond).nfe)
    jax.block_until_ready(single(network.weights, both, t, told))

    def calls() -> None:
        for _ in range(nfe // copies):
            jax.block_until_ready(single(network.weights, both, t, told))

    times = np.array(
        [
            (_seconds(lambda: whole(network.weights, x, cond)), _seconds(calls))
            for _ in range(ROUNDS)
        ]
    )
    total, alone = np.median(times, axis=0)
    return nfe, float(total), (float(alone) / (nfe // copies), nfe // copies)


def _network(name: str) -> Network:
    if Path(name).is_dir():
        run = score_sde.load(name)
        experiment, weights = run.experiment, (run.params, run.constants)
    else:
        config = recipes.get(name)
        experiment = build.experiment(config, selection.read(config.data).describe())
        weights = experiment.network.init(jax.random.key(0))
    if not experiment.objective.draws:
        raise UserError(f"{name} is a classifier, which draws nothing: give a model that samples")
    classes = experiment.data["label"].values if "label" in experiment.conditions else 0
    return Network(experiment.make, weights, experiment.sde, experiment.space.shape, classes)


def _seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main(sys.argv))
