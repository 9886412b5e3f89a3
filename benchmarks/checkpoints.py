"""What the digests of a checkpoint cost, as shares of saving and restoring it.

    python benchmarks/checkpoints.py

The state is that of the recipe cifar_vp, 61.8 million parameters with their optimiser and moving
average, of random numbers: nothing is trained or compiled. Saving takes until all is on the disk.
The digests of the same arrays are timed once more, alone, and what is left is the time without.
"""

import functools
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import terminal
from score_sde.data import selection
from score_sde.runs import build, recipes
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.digests import damaged, digests
from score_sde.training.optimizer import optimizer
from score_sde.training.state import TrainState, init_state

ROUNDS = 3


@terminal.program
def main(argv: list[str]) -> int:
    """Print the number of parameters, and a line for each way to save or read."""
    terminal.Parser.of("python benchmarks/checkpoints.py", __doc__).parse_args(argv[1:])
    state = _state()
    print(f"{sum(a.size for a in state.params.values()):,} parameters, {_gigabytes(state):.2f} GB")
    with tempfile.TemporaryDirectory() as folder:
        rounds = [_round(Path(folder) / str(number), state) for number in range(ROUNDS)]
    for what in rounds[0]:
        whole, alone = np.median([times[what] for times in rounds], axis=0)
        print(
            f"{what}: {whole:.1f} s; {whole - alone:.1f} s without digests, "
            f"which are {alone:.1f} s or {alone / whole:.0%}"
        )
    return 0


def _round(folder: Path, state: TrainState) -> dict[str, tuple[float, float]]:
    """For each way, the seconds that it takes, and those of its digests."""
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=here), state)
    checkpoints = Checkpoints(folder)

    def save() -> None:
        checkpoints.save(state, {"next_index": 0}, {})
        checkpoints.wait()

    decay = next(iter(state.ema))
    weights = state.params, state.constants, state.ema[decay]
    whole, part = digests(state), digests(weights)
    times = {
        "saving": (_seconds(save), _seconds(lambda: digests(state))),
        "restoring": (
            _seconds(lambda: checkpoints.restore(shapes)),
            _seconds(lambda: damaged(whole, state)),
        ),
        "reading the weights": (
            _seconds(lambda: checkpoints.restore_weights((shapes.params, shapes.constants), decay)),
            _seconds(lambda: damaged(part, weights)),
        ),
    }
    checkpoints.close()
    shutil.rmtree(folder)
    return times


def _state() -> TrainState:
    config = recipes.get("cifar_vp")
    experiment = build.experiment(config, selection.read(config.data).describe())
    state = jax.eval_shape(
        functools.partial(
            init_state,
            model=experiment.network,
            optimizer=optimizer(experiment.optim, experiment.training.steps),
            averages=experiment.training.averages,
        ),
        jax.random.key(0),
    )
    rng = np.random.default_rng(0)  # zeros would compress well, and be soon on the disk

    def random(array: jax.ShapeDtypeStruct) -> jax.Array:
        if jnp.issubdtype(array.dtype, jnp.floating):
            return jnp.asarray(rng.standard_normal(array.shape, np.float32), array.dtype)
        return jnp.ones(array.shape, array.dtype)

    return jax.tree.map(random, state)


def _gigabytes(state: TrainState) -> float:
    return sum(a.nbytes for a in jax.tree.leaves(state)) / 1e9


def _seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main(sys.argv))
