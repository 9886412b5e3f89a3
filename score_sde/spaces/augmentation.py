r"""Transforms of images that a network is told of: augmentation that does not leak.

Some examples are trained on as they are, others moved or recoloured, and the network is told by
how much, in numbers that are zero for an image as it is. What is drawn with zeros looks like the
data, and what was learned of the others helps (Karras et al. 2022, arXiv 2206.00364, Appendix F.2;
Jun et al. 2020; the transforms are those of Karras et al. 2020, arXiv 2006.06676, Appendix B).

Each transform has parameters, which are zero where it is not applied, and numbers made of them:

    name        probability  parameters                    numbers             what it does
    xflip       1            w = 0 or 1                    w                   mirrors left to right
    yflip       p            w = 0 or 1                    w                   mirrors top to bottom
    scale       p            w ~ N(0, 1)                   w                   by 2^(0.2 w)
    rotate      p            a ~ U(-pi, pi)                cos a - 1, sin a    by the angle a
    aniso       p            w ~ N(0, 1), half the time    w cos b, w sin b    by 2^(0.2 w) along b,
                             b ~ U(-pi, pi), else 0                            2^(-0.2 w) across it
    translate   p            w, v ~ N(0, 1)                w, v                by an eighth of the
                                                                               sides times w and v
    brightness  p            w ~ N(0, 1)                   w                   adds 0.2 w
    contrast    p            w ~ N(0, 1)                   w                   times 2^(0.5 w)
    lumaflip    p            w = 0 or 1                    w                   turns the gray axis
    hue         p            a ~ U(-pi, pi)                cos a - 1, sin a    turns around it
    saturation  p            w ~ N(0, 1)                   w                   times 2^w across it

The first six are EDM's, with its nine numbers. Colours are of images in [-1, 1].
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from score_sde import keys
from score_sde.spaces.warping import warp

Parameters = Mapping[str, jax.Array]  # by the name of a transform, [batch, n] each


class Transform(NamedTuple):
    """A row of the table, for one example.

    Attributes:
        draw: parameters, [n], of a key.
        numbers: of the parameters.
        size: how many numbers.
        always: whether its probability is 1 and not p.
        inverse: of its parameters and the image's sides (width, height): a matrix [3, 3] from where
            a pixel is to where it was; None of those that move no pixel so.
        colour: of its parameters: a matrix [4, 4] of (red, green, blue, 1).
    """

    draw: Callable[[jax.Array], jax.Array]
    numbers: Callable[[jax.Array], jax.Array] = lambda w: w
    size: int = 1
    always: bool = False
    inverse: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    colour: Callable[[jax.Array], jax.Array] | None = None


def _normal(n: int) -> Callable[[jax.Array], jax.Array]:
    return lambda key: jax.random.normal(key, (n,))


def _coin(key: jax.Array) -> jax.Array:
    return jax.random.bernoulli(key, 0.5, (1,)).astype(jnp.float32)


def _angle(key: jax.Array) -> jax.Array:
    return jax.random.uniform(key, (1,), minval=-math.pi, maxval=math.pi)


def _normal_and_angle(key: jax.Array) -> jax.Array:
    key_w, key_b, key_turned = jax.random.split(key, 3)
    turned = jax.random.bernoulli(key_turned, 0.5)
    return jnp.concatenate([_normal(1)(key_w), turned * _angle(key_b)])


def _turn(angle: jax.Array) -> jax.Array:
    """cos a - 1, sin a; of a small angle as exact as of a large one."""
    return jnp.concatenate([-2 * jnp.sin(angle / 2) ** 2, jnp.sin(angle)])


def _diagonal(*entries: jax.Array) -> jax.Array:
    return jnp.diag(jnp.stack([*entries, jnp.ones_like(entries[0])]))


def _rotation(angle: jax.Array) -> jax.Array:
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.eye(3, dtype=cos.dtype).at[:2, :2].set(jnp.array([[cos, -sin], [sin, cos]]))


def _stretched(parameters: jax.Array, _: jax.Array) -> jax.Array:
    w, angle = parameters
    s = 2 ** (0.2 * w)
    return _rotation(-angle) @ _diagonal(1 / s, s) @ _rotation(angle)


def _shifted(parameters: jax.Array, sides: jax.Array) -> jax.Array:
    return jnp.eye(3, dtype=parameters.dtype).at[:2, 2].set(-parameters * sides / 8)


def _gray(w: jax.Array, on_axis: jax.Array, across: jax.Array) -> jax.Array:
    """A factor on the gray axis, and one across it."""
    axis = jnp.full((3, 3), 1 / 3, w.dtype)
    matrix = on_axis * axis + across * (jnp.eye(3, dtype=w.dtype) - axis)
    return jnp.eye(4, dtype=w.dtype).at[:3, :3].set(matrix)


def _added(w: jax.Array) -> jax.Array:
    return jnp.eye(4, dtype=w.dtype).at[:3, 3].set(0.2 * w[0])


def _hue(angle: jax.Array) -> jax.Array:
    """Rodrigues' formula around (1, 1, 1) / sqrt(3)."""
    (a,) = angle
    cross = jnp.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], a.dtype) / math.sqrt(3)
    return _gray(a, jnp.ones_like(a), jnp.cos(a)).at[:3, :3].add(jnp.sin(a) * cross)


TRANSFORMS: dict[str, Transform] = {
    "xflip": Transform(_coin, always=True),
    "yflip": Transform(_coin),
    "scale": Transform(
        _normal(1), inverse=lambda w, _: _diagonal(2 ** (-0.2 * w[0]), 2 ** (-0.2 * w[0]))
    ),
    "rotate": Transform(_angle, _turn, 2, inverse=lambda a, _: _rotation(a[0])),
    "aniso": Transform(
        _normal_and_angle,
        lambda p: p[0] * jnp.array([jnp.cos(p[1]), jnp.sin(p[1])]),
        2,
        inverse=_stretched,
    ),
    "translate": Transform(_normal(2), size=2, inverse=_shifted),
    "brightness": Transform(_normal(1), colour=_added),
    "contrast": Transform(
        _normal(1), colour=lambda w: _gray(w[0], 2 ** (0.5 * w[0]), 2 ** (0.5 * w[0]))
    ),
    "lumaflip": Transform(_coin, colour=lambda w: _gray(w[0], 1 - 2 * w[0], jnp.ones_like(w[0]))),
    "hue": Transform(_angle, _turn, 2, colour=_hue),
    "saturation": Transform(
        _normal(1), colour=lambda w: _gray(w[0], jnp.ones_like(w[0]), 2 ** w[0])
    ),
}
FLIPS = {"yflip": 1, "xflip": 2}  # the axis of each
COLOURS = tuple(name for name, transform in TRANSFORMS.items() if transform.colour)
OF_GRAY = ("brightness", "contrast", "lumaflip")  # those that change gray


def size(names: Collection[str]) -> int:
    """How many numbers tell of these transforms."""
    return sum(transform.size for name, transform in TRANSFORMS.items() if name in names)


def draw(key: jax.Array, batch: int, names: Collection[str], p: float) -> Parameters:
    """Parameters of some transforms, each applied or not whatever the others are.

    Args:
        key: JAX random key, or one for each example, [batch].
        batch: how many examples.
        names: of TRANSFORMS.
        p: probability of each, but for those of probability 1.
    """
    each = key if keys.is_vector(key) else keys.of_examples(key, jnp.arange(batch))

    def one(number: int, transform: Transform, key: jax.Array) -> jax.Array:
        key_gate, key_draw = jax.random.split(jax.random.fold_in(key, number))
        applied = transform.always or jax.random.bernoulli(key_gate, p)
        return applied * transform.draw(key_draw)

    return {
        name: jax.vmap(functools.partial(one, number, transform))(each)
        for number, (name, transform) in enumerate(TRANSFORMS.items())
        if name in names
    }


def numbers(parameters: Parameters) -> jax.Array:
    """What a network is told, in the order of TRANSFORMS: [batch, size]; zero for nothing."""
    of_each = [
        jax.vmap(transform.numbers)(parameters[name])
        for name, transform in TRANSFORMS.items()
        if name in parameters
    ]
    return jnp.concatenate(of_each, axis=1)


def apply(x: jax.Array, parameters: Parameters) -> jax.Array:
    """Transformed images; one whose parameters are all zero is itself.

    Args:
        x: of values in [-1, 1], [batch, height, width, channels]; of 1 or 3 channels for colours.
        parameters: see `draw`.

    Returns:
        The shape of x. Outside of what an image shows, it is reflected.
    """
    parameters = {name: value.astype(x.dtype) for name, value in parameters.items()}
    for name, axis in FLIPS.items():
        if name in parameters:
            x = jnp.where(_wide(parameters[name]), jnp.flip(x, axis), x)
    moving = {n: parameters[n] for n, t in TRANSFORMS.items() if n in parameters and t.inverse}
    if moving:
        sides = jnp.array([x.shape[2], x.shape[1]], x.dtype)
        inverse = functools.reduce(
            jnp.matmul,
            [jax.vmap(TRANSFORMS[n].inverse, (0, None))(v, sides) for n, v in moving.items()],
        )
        x = jnp.where(_wide(*moving.values()), warp(x, inverse), x)
    colours = {n: parameters[n] for n, t in TRANSFORMS.items() if n in parameters and t.colour}
    if colours:
        of_each = [jax.vmap(TRANSFORMS[n].colour)(v) for n, v in colours.items()]
        matrix = functools.reduce(jnp.matmul, of_each[::-1])  # the first is the innermost
        x = jnp.where(_wide(*colours.values()), _recoloured(x, matrix), x)
    return x


def _wide(*parameters: jax.Array) -> jax.Array:
    """Which images change: where any is not zero, [batch, 1, 1, 1]."""
    return jnp.concatenate(parameters, axis=1).any(axis=1)[:, None, None, None]


def _recoloured(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """A gray image is one of three equal colours, which it is the mean of."""
    colours = jnp.broadcast_to(x, (*x.shape[:3], 3))
    found = jnp.einsum("bij,bhwj->bhwi", matrix[:, :3, :3], colours, precision="highest")
    found += matrix[:, None, None, :3, 3]
    return found if x.shape[3] == 3 else found.mean(axis=3, keepdims=True)
