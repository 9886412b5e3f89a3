"""What a deep transformer costs to compile, in times of a shallow one.

    python benchmarks/depth.py

The gradient of DiT-S/2 with 24 blocks and with 4, which are one loop (score_sde/models/stacked.py).
Counted is the processor's time, in turns, so that whatever else the machine does hits both.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import terminal
from score_sde.models import DiT
from score_sde.models.functional import functional

ROUNDS, DEPTHS, OPTIONS = 3, (4, 24), {"size": "S/2", "shape": (32, 32, 3)}


@terminal.program
def main(argv: list[str]) -> int:
    """Print the seconds of each depth, medians, and their ratio."""
    terminal.Parser.of("python benchmarks/depth.py", __doc__).parse_args(argv[1:])
    jax.config.update("jax_enable_compilation_cache", False)
    _seconds(DEPTHS[0])  # what is loaded once
    rounds = [[_seconds(depth) for depth in DEPTHS] for _ in range(ROUNDS)]
    shallow, deep = np.median(rounds, axis=0)
    for depth, seconds in zip(DEPTHS, (shallow, deep), strict=True):
        print(f"{depth} blocks: {seconds:.2f} s to trace and compile")
    print(f"ratio {deep / shallow:.2f}")
    return 0


def _seconds(depth: int) -> float:
    model = functional(lambda rngs: DiT(**OPTIONS, depth=depth, rngs=rngs))
    x, noise = jnp.zeros((2, *OPTIONS["shape"])), jnp.ones(2)
    loss = lambda p, c: (model.apply(p, c, x, noise) ** 2).sum()  # noqa: E731
    begin = time.process_time()
    jax.jit(jax.grad(loss)).lower(*model.shapes).compile()
    return time.process_time() - begin


if __name__ == "__main__":
    sys.exit(main(sys.argv))
