"""The encoder of T5 (Raffel et al. 2020, arXiv 1910.10683), in its versions 1.0 and 1.1.

A transformer without biases, whose norms come first and only scale:

    h = E[ids]
    h <- h + attention(norm(h); b),    h <- h + layers(norm(h))     in each block           (1)
    last = norm(h),

where the logit of a query at i and a key at j is q k + b[bucket(j - i)], without a division by the
root of their size: b, a number for each bucket of distances and head, is what the network knows of
positions, and all blocks have the same. The layers of version 1.1 have a gate (Shazeer 2020, arXiv
2002.05202), those of 1.0 a ReLU.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde.models.layers import Layer
from score_sde.models.stacked import Stacked
from score_sde.models.text.encoded import Encoded, TokenTable
from score_sde.models.transformer import FeedForward, SelfAttention, TokenNorm


def bucket(offset: np.ndarray, buckets: int, farthest: int) -> np.ndarray:
    """The bucket of each distance between tokens (Section 2.1 of the paper).

    Half of them are for keys after the query. In each half the first half is of one distance each,
    and the others grow in proportion to the distance; the last holds `farthest` and beyond.

    Args:
        offset: place of the key less that of the query, integers of any shape.
        buckets: how many there are, a multiple of 4.
        farthest: from this distance on, the last bucket.
    """
    half = buckets // 2
    exact = half // 2
    distance = np.abs(offset)
    # Of powers of two the logarithm is exact, so that none falls short of its bucket.
    steps = np.log2(np.maximum(distance, exact) / exact) / np.log2(farthest / exact)
    far = np.minimum(exact + (steps * (half - exact)).astype(np.int64), half - 1)
    return np.where(distance < exact, distance, far) + half * (offset > 0)


class T5Block(nnx.Module):
    """Equation (1). Arguments as of T5Encoder."""

    def __init__(
        self,
        features: int,
        heads: int,
        head_features: int,
        hidden: int,
        *,
        eps: float,
        kind: str,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer = {"bias": False, "param_dtype": param_dtype, "rngs": rngs}
        normal = {"kind": "rms", "affine": True, "eps": eps, "param_dtype": param_dtype}
        self.norm_0, self.norm_1 = (TokenNorm(features, **normal) for _ in range(2))
        self.attention = SelfAttention(
            features, heads, head_features=head_features, out_bias=False, scaled=False, **layer
        )
        self.feed_forward = FeedForward(features, hidden, kind=kind, **layer)

    def __call__(self, h: jax.Array, added: jax.Array) -> jax.Array:
        """h [batch, tokens, features], added [1 or batch, heads, tokens, tokens] to the logits."""
        h = h + self.attention(self.norm_0(h), added=added)
        return h + self.feed_forward(self.norm_1(h))


class T5Encoder(nnx.Module):
    """The encoder of T5; the defaults are those of XXL in version 1.1.

    Args:
        vocabulary: how many ids there are.
        features: of a token.
        depth: number of blocks.
        heads: of attention.
        head_features: of a head.
        hidden: size of the hidden layer of each block.
        buckets: of distances, see `bucket`, a multiple of 4.
        farthest: the distance from which on all are alike.
        eps: of the norms.
        feed_forward: the layers on each token, see transformer.FeedForward: "geglu_tanh" of version
            1.1, "relu" of 1.0.
        dtype: of the computation; statistics and softmax stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        *,
        vocabulary: int = 32128,
        features: int = 4096,
        depth: int = 24,
        heads: int = 64,
        head_features: int = 64,
        hidden: int = 10240,
        buckets: int = 32,
        farthest: int = 128,
        eps: float = 1e-6,
        feed_forward: str = "geglu_tanh",
        dtype: jnp.dtype = jnp.float32,
        param_dtype: jnp.dtype = jnp.float32,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.buckets, self.farthest, self.dtype = buckets, farthest, jnp.dtype(dtype)
        self.embedding = TokenTable(vocabulary, features, std=1.0, **layer)
        first = jax.nn.initializers.normal(features**-0.5)
        self.distances = nnx.Param(first(rngs.params(), (buckets, heads), param_dtype))

        def block(rngs: nnx.Rngs) -> T5Block:
            sizes = (features, heads, head_features, hidden)
            return T5Block(*sizes, eps=eps, kind=feed_forward, param_dtype=param_dtype, rngs=rngs)

        self.blocks = Stacked(block, depth, remat=remat, rngs=rngs)
        self.norm = TokenNorm(features, kind="rms", affine=True, eps=eps, param_dtype=param_dtype)

    def __call__(self, ids: jax.Array, mask: jax.Array | None = None) -> Encoded:
        """Encode texts.

        Args:
            ids: with those of end and padding, int [batch, n].
            mask: where there is a token, [batch, n], numbers or booleans: none sees one where it
                is zero. None: all are there, padding too, as SD3 and Flux want it.

        Returns:
            See Encoded; there is no pooled vector.

        Raises:
            ValueError: the mask is not of the shape of the ids.
        """
        added = self._positions(ids.shape[1])
        if mask is not None:
            if mask.shape != ids.shape:
                raise ValueError(f"mask is {mask.shape}, and the ids are {ids.shape}")
            # A finite number: where nothing is there, attention is still a number.
            none = jnp.finfo(added.dtype).min
            added = jnp.where(mask.astype(bool)[:, None, None], added, none)
        first = self.embedding(ids).astype(self.dtype)

        def step(block: T5Block, h: jax.Array, _: None, key: None) -> tuple[jax.Array, jax.Array]:
            h = block(h, added)
            return h, h

        h, states = self.blocks.scan(step, first, None)
        return Encoded(jnp.concatenate([first[None], states]), self.norm(h), None)

    def _positions(self, length: int) -> jax.Array:
        """b of equation (1), [1, heads, length, length] of queries and keys."""
        offsets = np.arange(1 - length, length)
        of_offset = self.distances[...][bucket(offsets, self.buckets, self.farthest)]
        place = jnp.arange(length)
        offset = place[None, :] - place[:, None] + length - 1
        wide = jnp.promote_types(of_offset.dtype, jnp.float32)
        return of_offset.astype(wide)[offset].transpose(2, 0, 1)[None]
