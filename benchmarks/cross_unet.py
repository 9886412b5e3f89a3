"""What the U-Net of Stable Diffusion 1.5 is made of costs on this CPU, piece by piece.

    python benchmarks/cross_unet.py

Each piece is timed alone at the sizes that it has for one guided picture of 512 x 512 pixels, a
batch of two: seconds of processor time, the least of some calls, over all threads. Beside it stand
its floating-point operations a second, how often an evaluation has it, and what that makes. The
attention and the convolutions of few pixels are timed as XLA has them too.
"""

import functools
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde import terminal
from score_sde.models import attention, conv
from score_sde.models.layers import GroupNorm
from score_sde.models.transformer import FeedForward

CALLS = 3
# Features, side, and how many there are.
CONVOLUTIONS = ((320, 64, 18.3), (640, 32, 17.2), (1280, 16, 13.2), (1280, 8, 17.0))
TRANSFORMERS = ((320, 64, 5), (640, 32, 5), (1280, 16, 5))


class Piece(NamedTuple):
    """A piece.

    Attributes:
        name: what it is.
        call: computes it.
        shapes: of its arguments.
        work: floating-point operations, 1e9; 0 of what moves numbers only.
        times: how often an evaluation has it, or so much work.
    """

    name: str
    call: Callable[..., jax.Array]
    shapes: tuple[tuple[int, ...], ...]
    work: float
    times: float


def pieces() -> list[Piece]:
    """All that takes time; `times` of convolutions stands for those of other widths too."""
    found = [Piece("product", jnp.matmul, ((4096, 1024), (1024, 1024)), 8.59, 0)]
    for features, side, times in CONVOLUTIONS:
        shapes = (2, side, side, features), (3, 3, features, features)
        work = 4 * side**2 * 9 * features**2 / 1e9
        of = f"convolution of {features}, {side} x {side}"
        found += [
            Piece(of, conv.conv2d, shapes, work, times),
            Piece(f"{of}, XLA's", _xla_conv2d, shapes, work, 0),
        ]
    for features, side, times in TRANSFORMERS:
        n = side**2
        for keys in (n, 77):
            shapes = tuple((2, m, 8, features // 8) for m in (n, keys, keys))
            work, of = 8 * n * keys * features / 1e9, f"attention of {n} to {keys}"
            whole = functools.partial(attention.attend, in_parts=False)
            found += [
                Piece(of, attention.attend, shapes, work, times),
                Piece(f"{of}, as one", whole, shapes, work, 0),
            ]
        own = {"param_dtype": jnp.float32}
        layers = FeedForward(features, 4 * features, kind="geglu", rngs=nnx.Rngs(0), **own)
        norm, work = GroupNorm(features, groups=32), 4 * n * features**2 / 1e9
        shape, weights = (2, n, features), (features, features)
        found += [
            Piece(f"GEGLU of {n}", layers, (shape,), 12 * work, times),
            Piece(f"dense layer of {n}", jnp.matmul, (shape, weights), work, 8 * times),
            Piece(f"group norm of {n}", norm, ((2, side, side, features),), 0, 3 * times),
        ]
    return found


def _xla_conv2d(x: jax.Array, kernel: jax.Array) -> jax.Array:
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)


def seconds(call: Callable[..., Any], shapes: tuple[tuple[int, ...], ...]) -> float:
    """The least processor time of a call."""
    key, found = jax.random.key(0), []
    arguments = [jax.random.normal(jax.random.fold_in(key, i), s) for i, s in enumerate(shapes)]
    call = jax.jit(call).lower(*arguments).compile()
    jax.block_until_ready(call(*arguments))
    for _ in range(CALLS):
        begun = time.process_time()
        jax.block_until_ready(call(*arguments))
        found.append(time.process_time() - begun)
    return min(found)


@terminal.program
def main(argv: list[str]) -> int:
    """Print the table."""
    terminal.Parser.of("python benchmarks/cross_unet.py", __doc__).parse_args(argv[1:])
    rows = [(one, seconds(one.call, one.shapes)) for one in pieces()]
    total = sum(one.times * taken for one, taken in rows)
    print("| piece | ms | GFLOP/s | times | share |\n|---|---|---|---|---|")
    for one, taken in rows:
        rate = f"{one.work / taken:.0f}" if one.work else ""
        share = f"{one.times * taken / total:.0%}" if one.times else ""
        print(f"| {one.name} | {1e3 * taken:.1f} | {rate} | {one.times or ''} | {share} |")
    print(f"together {total:.1f} s of processor time")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
