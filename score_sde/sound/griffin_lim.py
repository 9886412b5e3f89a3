r"""A signal of magnitudes: the phases that they are without are looked for.

With P_1 the spectra of the signal that fits an array of spectra best (STFT of its inverse), and P_2
those with the given magnitudes and the array's phases, Griffin and Lim (1984) iterate P_1 P_2, and
the fast variant (Perraudin, Balazs and Sondergaard 2013, WASPAA, Algorithm 2) goes on along the
last step:

    t_i = P_1(P_2(c_i)),    c_(i+1) = t_i + momentum (t_i - t_(i-1)).                          (1)

With momentum 0 the distance of t_i from its magnitudes never grows.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from score_sde.sound.stft import STFT


def griffin_lim(
    stft: STFT,
    magnitudes: jax.Array,
    samples: int,
    *,
    steps: int = 40,
    momentum: float = 0.99,
    phases: jax.Array | None = None,
) -> jax.Array:
    """Equation (1).

    Args:
        stft: of the magnitudes.
        magnitudes: [..., frames, bins].
        samples: of a signal.
        steps: iterations.
        momentum: 0 for Griffin and Lim's own.
        phases: radians, to begin with, of the shape of the magnitudes; random ones, always the
            same, if None.

    Returns:
        Signals, [..., samples].
    """
    if phases is None:
        shape = (1,) * (magnitudes.ndim - 2) + magnitudes.shape[-2:]
        each = jax.random.uniform(jax.random.key(0), shape, magnitudes.dtype)
        phases = jnp.broadcast_to(2 * jnp.pi * each, magnitudes.shape)

    def with_magnitudes(c: jax.Array) -> jax.Array:
        size = jnp.abs(c)
        return jnp.where(size > 0, magnitudes * c / jnp.where(size > 0, size, 1), magnitudes)

    def step(_: int, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        c, before = carry
        t = stft(stft.inverse(with_magnitudes(c), samples))
        return t + momentum * (t - before), t

    start = magnitudes * jnp.exp(1j * phases)
    # The first step has none before it to go on along.
    first = stft(stft.inverse(start, samples))
    c, _ = jax.lax.fori_loop(1, steps, step, (first, first))
    return stft.inverse(with_magnitudes(c), samples)
