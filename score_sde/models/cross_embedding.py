"""What the blocks of a U-Net with cross-attention are told besides the text.

    e = swish(W swish(W' (f(t) + G g) + b') + b + sum of the others),                      (1)

f the sines and cosines of the noise level t, g those of the scale of guidance that a network was
distilled with (Meng et al. 2023, arXiv 2210.03142; Luo et al. 2023, arXiv 2310.04378). The others:
two layers on the pooled text and the sizes of the picture (Podell et al. 2023, arXiv 2307.01952,
Section 2.2), two on the features of an image whose variations are asked for (Ramesh et al. 2022,
arXiv 2204.06125), a row of a table by label, and the conditions of models.conditions.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.conditions.combined import MakeEmbedding, check_told, make_embeddings
from score_sde.models.embeddings import NoiseEmbedding, cosines_first, positional
from score_sde.models.layers import Dense, Layer

Cond = Mapping[str, jax.Array] | None
TEXT = ("text", "text_mask")  # what the transformers are told


class CrossEmbedding(nnx.Module):
    """Equation (1).

    Args:
        channels: the network's base number of channels; e has four times as many.
        guidance_features: of g; 0 for no such network.
        added_features: of "pooled", and of all of "sizes", together; 0 for neither.
        size_features: sines and cosines of each of "sizes".
        image_features: of "image_features"; 0 for none.
        labels: rows of the table of "label"; 0 for none.
        conditions: what makes the embedding of each other condition, by name.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: a condition has the name of something that is told otherwise.
    """

    def __init__(
        self,
        channels: int,
        *,
        guidance_features: int,
        added_features: int,
        size_features: int,
        image_features: int,
        labels: int,
        conditions: Mapping[str, MakeEmbedding],
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        n = 4 * channels
        self.added_features, self.size_features = added_features, size_features
        self.guidance_features = guidance_features
        self.noise = NoiseEmbedding(channels, kind="cosines_first", **layer)
        self.guidance = (
            Dense(guidance_features, channels, bias=False, **layer) if guidance_features else None
        )
        self.added_0 = Dense(added_features, n, **layer) if added_features else None
        self.added_1 = Dense(n, n, **layer) if added_features else None
        self.image_0 = Dense(image_features, n, **layer) if image_features else None
        self.image_1 = Dense(n, n, **layer) if image_features else None
        first = jax.nn.initializers.normal(0.02)
        self.table = nnx.Param(first(rngs.params(), (labels, n), param_dtype)) if labels else None
        for name in (*TEXT, *self.read()):
            if name in conditions:
                raise ValueError(f"this network is told {name} as it is, not by an embedding")
        self.conditions = make_embeddings(conditions, n, **layer)

    def read(self) -> tuple[str, ...]:
        """The names in cond that are read here, but for `conditions`."""
        found = () if self.guidance is None else ("guidance",)
        found += () if self.added_0 is None else ("pooled", "sizes")
        found += () if self.image_0 is None else ("image_features",)
        return found if self.table is None else (*found, "label")

    def __call__(
        self, noise_label: jax.Array, cond: Cond, key: jax.Array | None, also: tuple[str, ...] = ()
    ) -> jax.Array:
        """e, [batch, 4 channels], in the dtype of noise_label.

        Args:
            noise_label: of each, [batch]: time steps, 0 to 999.
            cond: by name. "guidance": the scale [batch], or features of it, [batch,
                guidance_features]; "pooled": [batch, p]; "sizes": numbers in pixels, [batch, n];
                "image_features": [batch, image_features]; "label": int [batch].
            key: of the dropout of conditions; None for none.
            also: names in cond that others read.

        Raises:
            ValueError: cond has what the network is not told, or lacks what it has to be.
        """
        others = self.conditions or {}
        check_told(cond, {*TEXT, *also, *self.read(), *others})
        given = {name: need(cond, name) for name in self.read()}
        dtype = noise_label.dtype
        early = None
        if self.guidance is not None:
            early = self.guidance(self._guidance(given["guidance"]).astype(dtype))
        told = self.noise(noise_label, early)
        if self.added_0 is not None:
            added = self._added(given["pooled"].astype(dtype), given["sizes"].astype(dtype))
            told = told + self.added_1(jax.nn.silu(self.added_0(added)))
        if self.image_0 is not None:
            image = given["image_features"].astype(dtype)
            told = told + self.image_1(jax.nn.silu(self.image_0(image)))
        if self.table is not None:
            told = told + self.table[...][given["label"]].astype(dtype)
        if self.conditions is not None:
            own = {name: v for name, v in (cond or {}).items() if name in others}
            told = told + self.conditions(own, len(noise_label), key)
        return jax.nn.silu(told)

    def _guidance(self, scale: jax.Array) -> jax.Array:
        """Features of the scale w, sines and cosines of 1000 (w - 1), unless they are given."""
        if scale.ndim == 1:
            return positional(1000 * (scale - 1), self.guidance_features)
        return scale

    def _added(self, pooled: jax.Array, sizes: jax.Array) -> jax.Array:
        """Pooled text, and sines and cosines of each size, in order."""
        batch, count = sizes.shape
        found = cosines_first(sizes.reshape(-1), self.size_features).reshape(batch, -1)
        if pooled.shape[-1] + found.shape[-1] != self.added_features:
            raise ValueError(
                f"pooled has {pooled.shape[-1]} features and there are {count} sizes of "
                f"{self.size_features} each: this network is for {self.added_features} together"
            )
        return jnp.concatenate([pooled, found], axis=-1)


def need(cond: Cond, name: str) -> jax.Array:
    """An entry of cond; ValueError if it is not there."""
    if (value := (cond or {}).get(name)) is None:
        raise ValueError(f"this network has to be told {name}, which is not in cond")
    return value
