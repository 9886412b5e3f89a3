"""What bits/dim of a batch costs, in evaluations of the network with their Jacobian-vector product.

    python benchmarks/likelihood.py runs/digits_vp

`log_likelihood` of a batch under the network of a run is timed against nfe times one jitted
evaluation of the probability flow with its jvp, in turns, so that whatever else the machine does
hits both; the ratio of the medians is printed.
"""

import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import score_sde
from score_sde import files, terminal
from score_sde.samplers.ode import probability_flow

BATCH, ROUNDS = 64, 7


@terminal.program
def main(argv: list[str]) -> int:
    """Print the two times and their ratio; exit code 2 for bad input."""
    parser = terminal.Parser.of("python benchmarks/likelihood.py", __doc__)
    parser.add_argument("run", type=files.typed, help="its folder")
    run = score_sde.load(parser.parse_args(argv[1:]).run)
    experiment, params, constants = run.experiment, run.params, run.constants
    sde, shape = experiment.sde, (BATCH, *experiment.space.shape)
    key = jax.random.key(0)
    x = jax.random.uniform(key, shape, minval=-1.0)
    probe = jax.random.rademacher(key, shape, x.dtype)

    @jax.jit
    def whole(params, x):
        denoise = experiment.make(params, constants)
        out = score_sde.log_likelihood(key, denoise, sde, x, rtol=1e-4, atol=1e-4)
        return out.logp, out.nfe

    @jax.jit
    def single(params, x):
        velocity = probability_flow(experiment.make(params, constants), sde)
        v, product = jax.jvp(lambda x: velocity(jnp.asarray(0.5), x), (x,), (probe,))
        return v, jnp.sum(probe * product, axis=(1, 2, 3))

    nfe = int(whole(params, x)[1])
    single(params, x)
    times = np.array([(_time(whole, params, x), _single(single, params, x)) for _ in range(ROUNDS)])
    total, one = np.median(times, axis=0)
    print(
        f"batch {BATCH} of {'x'.join(map(str, shape[1:]))}, {jax.devices()[0].device_kind}: "
        f"log-likelihood {total:.3f} s, {nfe} evaluations; one evaluation with its jvp "
        f"{1e3 * one:.2f} ms; ratio {total / (nfe * one):.3f}"
    )
    return 0


def _time(function: Callable, *arguments: object) -> float:
    begin = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - begin


def _single(function: Callable, *arguments: object) -> float:
    """One call, as the median of 20."""
    return float(np.median([_time(function, *arguments) for _ in range(20)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
