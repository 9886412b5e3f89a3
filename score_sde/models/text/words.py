"""Words of texts that are bytes, and a vector for each that needs no vocabulary.

A text is UTF-8, as fields of kind text hold it, so there is no tokeniser beside the data that would
have to be kept with a run. A word is a stretch of letters, digits and bytes above 127, or one other
visible sign; A to Z count as a to z. The vector of a word is (Bojanowski et al. 2017, arXiv
1607.04606, equation 1 and Section 3.2, whose sum is a mean here)

    v(word) = E[h(word)] + mean over its n-grams g of E[h(g)],                             (1)

E a table and h a hash of so many values as it has rows. So a word that was never seen shares the
n-grams with those that were, and none is unknown. The n-grams are those of 3, 4 and 5 bytes, and
where one begins or ends a word it is another than the same bytes within.

h sums a number for each byte and its place modulo 2^32 (Zobrist 1970), so it is computed where the
network runs, without a loop.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.text.encoded import TokenTable

NGRAMS = (3, 4, 5)
_BEGINS, _ENDS = 1 << 20, 1 << 21  # in the place of a byte and its place


class Words(NamedTuple):
    """The words of a batch of texts of `size` bytes.

    Attributes:
        slot: the word that each byte is of, from 0, int32 [batch, size]; -1 of none.
        place: of each byte in its word, uint32 [batch, size].
        byte: in lower case, uint32 [batch, size].
        count: how many words a text has, int32 [batch].
    """

    slot: jax.Array
    place: jax.Array
    byte: jax.Array
    count: jax.Array


def split(value: jax.Array) -> Words:
    """Texts as words.

    Args:
        value: UTF-8 with zeros after it, uint8 [batch, size].
    """
    byte = value.astype(jnp.uint32)
    byte = jnp.where((byte >= ord("A")) & (byte <= ord("Z")), byte + 32, byte)
    letter = (byte >= ord("a")) & (byte <= ord("z"))
    letter |= ((byte >= ord("0")) & (byte <= ord("9"))) | (byte > 127)
    sign = (byte > 32) & (byte < 127) & ~letter
    begins = sign | (letter & ~_later(letter, -1))
    number = jnp.cumsum(begins, axis=1, dtype=jnp.int32)
    where = jnp.arange(value.shape[1], dtype=jnp.int32)[None]
    first = jax.lax.cummax(jnp.where(begins, where, 0), axis=1)
    slot = jnp.where(letter | sign, number - 1, -1)
    return Words(slot, (where - first).astype(jnp.uint32), byte, number[:, -1])


class WordTable(nnx.Module):
    """Equation (1).

    Args:
        rows: of E.
        features: of a vector.
        most: words of a text; those after it are left out.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self, rows: int, features: int, most: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        self.table = TokenTable(
            rows, features, std=features**-0.5, param_dtype=param_dtype, rngs=rngs
        )
        self.rows, self.most = rows, most

    def __call__(self, value: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Vectors of words, [batch, most, features], and which there are, bool [batch, most].

        Args:
            value: as for `split`.
        """
        words = split(value)
        of_slot = words.slot[..., None] == jnp.arange(self.most)[None, None]  # [batch, size, most]
        mixed = _mixed(words.byte + 256 * words.place)
        whole = jnp.where(of_slot, mixed[..., None], 0).sum(axis=1, dtype=jnp.uint32)
        there = jnp.arange(self.most)[None] < words.count[:, None]
        found, counts = 0.0, 0
        for n in NGRAMS:
            hashed, known = _ngrams(words, n)
            of_word = of_slot & known[..., None]
            rows = self.table(self._row(hashed)) * known[..., None]
            found += jnp.einsum("bsm,bsd->bmd", of_word.astype(rows.dtype), rows)
            counts += of_word.sum(axis=1)
        vectors = self.table(self._row(whole)) + found / jnp.maximum(counts, 1)[..., None]
        return jnp.where(there[..., None], vectors, 0), there

    def _row(self, hashed: jax.Array) -> jax.Array:
        return (_mixed(hashed) % jnp.uint32(self.rows)).astype(jnp.int32)


def _ngrams(words: Words, n: int) -> tuple[jax.Array, jax.Array]:
    """The hash of the n bytes from each on, and whether they are of one word."""
    last = _later(words.slot, n - 1, -1)
    known = (words.slot >= 0) & (last == words.slot)
    bytes_ = (_later(words.byte, i) + 256 * (i + 16 * n) for i in range(n))
    hashed = sum(_mixed(byte.astype(jnp.uint32)) for byte in bytes_)
    hashed += jnp.where(words.place == 0, _mixed(jnp.uint32(_BEGINS)), 0).astype(jnp.uint32)
    ends = _later(words.slot, n, -1) != words.slot
    return hashed + jnp.where(ends, _mixed(jnp.uint32(_ENDS)), 0).astype(jnp.uint32), known


def _later(values: jax.Array, by: int, beyond: int = 0) -> jax.Array:
    """What stands so many places later in a row, [batch, size]."""
    if by == 0:
        return values
    row = jnp.full_like(values[:, : abs(by)], beyond)
    pair = (values[:, by:], row) if by > 0 else (row, values[:, :by])
    return jnp.concatenate(pair, axis=1)[:, -values.shape[1] :]


def _mixed(x: jax.Array) -> jax.Array:
    """A bijection of 32 bits in which each depends on all: lowbias32 (Wellons 2018)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
