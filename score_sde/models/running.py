"""How a U-Net runs its blocks: what each is told, the keys of dropout, rematerialisation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import jax
from flax import nnx

from score_sde.models.blocks import Attention, ResBlock
from score_sde.models.conditions.base import Tokens


def key_sequence(key: jax.Array | None) -> Iterator[jax.Array | None]:
    """A key for each use, a function of `key` and the number of the use; None for ever of None."""
    for i in itertools.count():
        yield None if key is None else jax.random.fold_in(key, i)


class Runner:
    """Runs one block, with the arguments of its kind, rematerialised on request.

    Args:
        embedding: what residual blocks are told, [batch, features]; None for nothing.
        keys: of their dropout, in order; see `key_sequence`.
        remat: recompute a block in the backward pass instead of keeping its activations.
        tokens: what attention looks at beside the image; None for nothing.
    """

    def __init__(
        self,
        embedding: jax.Array | None,
        keys: Iterator[jax.Array | None],
        remat: bool,
        tokens: Tokens | None = None,
    ):
        self.embedding, self.keys, self.remat, self.tokens = embedding, keys, remat, tokens

    def __call__(self, block: nnx.Module, h: jax.Array) -> jax.Array:
        """A residual block is told the embedding and takes the next key; others take h alone.

        Attention that looks at tokens is told them.
        """
        if isinstance(block, ResBlock):
            return self.told(block, h)
        if isinstance(block, Attention) and self.tokens is not None:
            return self._call(block)(h, *self.tokens)
        return self._call(block)(h)

    def told(self, block: nnx.Module, h: jax.Array) -> jax.Array:
        """A block that is called with h, the embedding and a key."""
        return self._call(block)(h, self.embedding, next(self.keys))

    def _call(self, block: nnx.Module) -> Callable[..., jax.Array]:
        return jax.checkpoint(block) if self.remat else block
