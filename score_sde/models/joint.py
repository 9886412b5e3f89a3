"""Blocks of two sequences that attend to each other (Esser et al. 2024, arXiv 2403.03206).

The text c and the patches h have arrays of their own, and one attention over the tokens of both.
With b, s, g a dense layer of what is told, for each sequence apart,

    a_c, a_h = attention over [(1 + s_1) * norm(c) + b_1, (1 + s_1) * norm(h) + b_1]
    h <- h + g_1 * W a_h                                         and c with a_c alike
    h <- h + g_2 * layers((1 + s_2) * norm(h) + b_2)             and c alike               (1)

A dual block (Stable Diffusion 3.5 medium) adds g_3 * attention((1 + s_3) * norm(h) + b_3) of the
patches alone to the second line. Of the text of the last block only keys and values are used.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.attention import attend
from score_sde.models.layers import Dense, Layer
from score_sde.models.spread import spread
from score_sde.models.transformer import FeedForward, SelfAttention, TokenNorm, modulate


class Stream(nnx.Module):
    """What one of the two sequences has of its own; see JointBlock.

    Args:
        channels: features of a token.
        heads: of attention.
        hidden: see JointBlock; qk_norm and adjacent too.
        dual: whether it has an attention of its own beside.
        last: whether nothing is added to it.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        hidden: int,
        qk_norm: bool,
        adjacent: bool,
        dual: bool,
        last: bool,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        attention = {"qk_norm": qk_norm, "adjacent": adjacent, **layer}
        self.parts = 2 if last else 9 if dual else 6
        self.modulation = Dense(channels, self.parts * channels, scale=0, **layer)
        self.norm_0, self.norm_1 = (
            TokenNorm(channels, affine=False, param_dtype=param_dtype) for _ in range(2)
        )
        self.attention = SelfAttention(channels, heads, out=not last, **attention)
        self.alone = SelfAttention(channels, heads, **attention) if dual else None
        self.feed_forward = (
            None if last else FeedForward(channels, hidden, kind="gelu_tanh", **layer)
        )

    def told(self, told: jax.Array) -> list[jax.Array]:
        """b_1, s_1, g_1, ..., [batch, 1, channels] each."""
        return jnp.split(self.modulation(told)[:, None], self.parts, axis=-1)

    def begin(
        self, h: jax.Array, parts: list[jax.Array], angles: jax.Array | None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries, keys and values of the joint attention, [batch, tokens, heads, d] each."""
        return self.attention.split(modulate(self.norm_0(h), *parts[:2]), angles)

    def end(self, h: jax.Array, attended: jax.Array, parts: list[jax.Array]) -> jax.Array:
        """The sequence after the block, from before and what its queries found."""
        _, _, g_1, b_2, s_2, g_2, *own = parts
        after = h + spread(g_1, h) * self.attention.join(attended)
        if self.alone is not None:
            b_3, s_3, g_3 = own
            after = after + spread(g_3, h) * self.alone(modulate(self.norm_0(h), b_3, s_3))
        return after + spread(g_2, h) * self.feed_forward(modulate(self.norm_1(after), b_2, s_2))


class JointBlock(nnx.Module):
    """Equation (1).

    Args:
        channels: features of a token.
        heads: of attention.
        hidden: size of the hidden layer on each token alone.
        qk_norm: normalise queries and keys, see SelfAttention.
        adjacent: which features rotary positions turn together, see tokens.rotate.
        dual: whether patches have an attention of their own beside.
        last: whether the text ends here.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        hidden: int,
        qk_norm: bool,
        adjacent: bool = False,
        dual: bool = False,
        last: bool = False,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        both = {"hidden": hidden, "qk_norm": qk_norm, "adjacent": adjacent}
        both |= {"param_dtype": param_dtype, "rngs": rngs}
        self.text = Stream(channels, heads, dual=False, last=last, **both)
        self.image = Stream(channels, heads, dual=dual, last=False, **both)
        self.last = last

    def __call__(
        self,
        text: jax.Array,
        image: jax.Array,
        told: jax.Array,
        *,
        mask: jax.Array | None = None,
        angles: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Both sequences after the block.

        Args:
            text: [batch, n, channels].
            image: [batch, tokens, channels].
            told: [batch, channels], after its swish.
            mask: bool [batch, n + tokens], which are seen; None for all.
            angles: of rotary positions of the image, see SelfAttention; None for none. The text
                is nowhere: it is not turned.
        """
        of_text, of_image = self.text.told(told), self.image.told(told)
        ours = self.text.begin(text, of_text, None)
        theirs = self.image.begin(image, of_image, angles)
        query, key, value = (
            jnp.concatenate(pair, axis=1) for pair in zip(ours, theirs, strict=True)
        )
        if self.last:
            return text, self.image.end(image, attend(theirs[0], key, value, mask), of_image)
        attended = attend(query, key, value, mask)
        n = text.shape[1]
        after = self.text.end(text, attended[:, :n], of_text)
        return after, self.image.end(image, attended[:, n:], of_image)


def seen(text_mask: jax.Array | None, tokens: int) -> jax.Array | None:
    """The mask of a joint attention, [batch, n + tokens], in which all patches are seen.

    Args:
        text_mask: [batch, n], not zero for each token of the text that is seen; None for all.
        tokens: number of patches.
    """
    return (
        None
        if text_mask is None
        else jnp.pad(text_mask != 0, ((0, 0), (0, tokens)), constant_values=True)
    )
