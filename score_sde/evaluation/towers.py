"""Training of the two towers of models.two_towers, and the ranks that they give captions.

The loss of a batch of n pairs is that of CLIP (Radford et al. 2021, arXiv 2103.00020, Figure 3),
the mean of the cross entropies of the rows and of the columns of the scores s, where captions that
occur k times in the batch are right k times, each with probability 1 / k.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from score_sde import parts
from score_sde.errors import UserError
from score_sde.models.functional import Arrays, Functional
from score_sde.parts import Part

KIND = "two_towers"
_SHIFT = 2  # pixels by which an image is moved in training, at most
_NOISE = 0.05  # standard deviation of what is added to it, in [-1, 1]
_DECAY = 0.1  # of weights, as AdamW has it
_AT_ONCE = 256  # examples whose vectors are computed together


def loss(scores: jax.Array, texts: jax.Array) -> jax.Array:
    """The loss of a batch, nats.

    Args:
        scores: of each image with each text, [n, n].
        texts: those of the pairs, uint8 [n, bytes].
    """
    same = (texts[:, None] == texts[None]).all(axis=-1)
    right = same / same.sum(axis=1, keepdims=True)
    return (
        -sum((right * jax.nn.log_softmax(s, axis=1)).sum(1).mean() for s in (scores, scores.T)) / 2
    )


def train(
    images: np.ndarray,
    texts: np.ndarray,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    options: dict[str, Any],
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Arrays, Arrays]:
    """Parameters and constants of towers, a function of the arguments alone.

    Args:
        images: uint8 [n, height, width, channels].
        texts: of each, uint8 [n, bytes].
        steps: of AdamW, whose rate falls to 0 as a cosine does.
        batch_size: pairs a step; no more than there are.
        learning_rate: at first.
        seed: of everything random.
        options: of the network.
        say: is told of the progress.
    """
    network, optimizer, step = _compiled(tuple(sorted(options.items())), steps, learning_rate)
    batch_size = min(batch_size, len(images))
    params, constants = jax.jit(network.init)(jax.random.key(seed))
    state = optimizer.init(params)
    rng, order = np.random.default_rng(seed), np.zeros(0, np.int64)
    for number in range(steps):
        if len(order) < batch_size:
            order = rng.permutation(len(images))
        rows, order = order[:batch_size], order[batch_size:]
        key = jax.random.fold_in(jax.random.key(seed + 1), number)
        params, state, value = step(params, state, constants, images[rows], texts[rows], key)
        if (number + 1) % max(1, steps // 10) == 0:
            say(f"step {number + 1} of {steps}: loss {float(value):.3f}")
    return params, constants


@functools.cache
def _compiled(
    options: tuple[tuple[str, Any], ...], steps: int, learning_rate: float
) -> tuple[Functional, optax.GradientTransformation, Callable[..., Any]]:
    """The network, its optimiser, and a step of training."""
    network = parts.made(KIND, dict(options))
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, steps // 20 + 1, steps + 1)
    optimizer = optax.adamw(schedule, weight_decay=_DECAY)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(
        params: Arrays,
        state: Any,
        constants: Arrays,
        images: jax.Array,
        texts: jax.Array,
        key: jax.Array,
    ) -> tuple[Arrays, Any, jax.Array]:
        key_images, key_dropout = jax.random.split(key)

        def of(params: Arrays) -> jax.Array:
            seen = _varied(scaled(images), key_images)
            return loss(network.apply(params, constants, seen, texts, key_dropout), texts)

        value, gradient = jax.value_and_grad(of)(params)
        change, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, change), state, value

    return network, optimizer, step


def scaled(images: jax.Array) -> jax.Array:
    """uint8 to [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1


def _varied(images: jax.Array, key: jax.Array) -> jax.Array:
    """Each moved by up to _SHIFT pixels, its border going on, with noise added."""
    batch, height, width, _ = images.shape
    key_shift, key_noise = jax.random.split(key)
    wide = jnp.pad(images, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), "edge")
    corners = jax.random.randint(key_shift, (batch, 2), 0, 2 * _SHIFT + 1)

    def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (*corner, 0), (height, width, image.shape[-1]))

    moved = jax.vmap(cut)(wide, corners)
    return moved + _NOISE * jax.random.normal(key_noise, images.shape)


def opened(path: Path) -> Part:
    """The towers in a file.

    Raises:
        UserError: it holds none.
    """
    try:
        if parts.described(path)[0] != KIND:
            raise UserError(f"{path} holds no towers: make some with the command train")
        return parts.load(path)
    except ValueError as error:
        raise UserError(str(error)) from error


def of_images(towers: Part, images: np.ndarray) -> np.ndarray:
    """The unit vector of each image, uint8 [n, ...], float32 [n, features]."""
    return _in_batches(_of_images, towers, images)


def of_texts(towers: Part, texts: np.ndarray) -> np.ndarray:
    """The unit vector of each text, uint8 [n, bytes], float32 [n, features]."""
    return _in_batches(_of_texts, towers, texts)


@jax.jit
def _of_images(towers: Part, images: jax.Array) -> jax.Array:
    return towers(scaled(images), method="of_images")


@jax.jit
def _of_texts(towers: Part, texts: jax.Array) -> jax.Array:
    return towers(texts, method="of_texts")


def _in_batches(function: Callable[..., jax.Array], towers: Part, values: np.ndarray) -> np.ndarray:
    """Of one size, of which the last is filled up: one program for all."""
    found = []
    for first in range(0, len(values), _AT_ONCE):
        rows = np.minimum(np.arange(first, first + _AT_ONCE), len(values) - 1)
        found.append(np.asarray(function(towers, values[rows])))
    return np.concatenate(found)[: len(values)]


class Captions(NamedTuple):
    """Captions that pictures are held against.

    Attributes:
        texts: all different.
        vectors: of each, [n, features].
    """

    texts: list[str]
    vectors: np.ndarray


def ranks(
    images: np.ndarray, own: Captions, pool: Captions, candidates: int, seed: int
) -> np.ndarray:
    """The rank of the right caption of each picture among some, 1 for the best.

    The others are drawn from the pool without replacement, for each picture its own; of captions
    that score alike the right one comes last.

    Args:
        images: vectors of the pictures, [n, features].
        own: the right caption of each, which may be alike.
        pool: what the others are drawn from, as many as there are candidates at least.
        candidates: how many captions each picture is held against, the right one among them.
        seed: of the choice.

    Returns:
        int [n].
    """
    place = {text: i for i, text in enumerate(pool.texts)}
    rng, found = np.random.default_rng(seed), []
    for image, text, vector in zip(images, own.texts, own.vectors, strict=True):
        where = place.get(text, len(place))
        others = rng.choice(len(place) - (where < len(place)), candidates - 1, replace=False)
        others = others + (others >= where)  # all but the right one
        found.append(1 + int((pool.vectors[others] @ image >= vector @ image).sum()))
    return np.array(found)
