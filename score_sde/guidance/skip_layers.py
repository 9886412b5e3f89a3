r"""Away from what a model says without some of its layers, beside any other guidance.

    D = G + s (D_1 - D_0)                                                                   (1)

with D_1 what the model says given the condition, G what guidance has made of it (D_1 itself where
there is none), and D_0 what it says without those layers: a worse model, at no cost of training.
So Stable Diffusion 3.5 is released with "skip layer guidance"; Hyung et al. 2024 (arXiv 2411.18664)
study it. With G = D_1 it is autoguidance (see autoguidance.py) of scale 1 + s.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp

from score_sde.checks import present
from score_sde.guidance.rule import NOBODY, Interval, Rule, ends
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import expand
from score_sde.sections import DERIVED


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("denoise", "weak", "scale"),
    meta_fields=("interval", "sde"),
)
@dataclasses.dataclass(frozen=True, eq=False)
class SkipLayerGuidance(Rule):
    """Equation (1); outside the interval it is G. Its scale is s, of which 0 changes nothing.

    A pytree of its denoisers and its scale.

    Attributes:
        weak: what gives D_0.
    """

    DENOISERS: ClassVar[tuple[str, ...]] = ("denoise", "weak")
    ASKS: ClassVar[str] = "weak"
    NEEDS_CONDITION: ClassVar[bool] = False

    weak: Denoiser | None = dataclasses.field(default=None, metadata=DERIVED)

    @property
    def idle(self) -> bool:
        """See Rule."""
        return self.scale == 0

    def guided(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None
    ) -> tuple[Prediction, Prediction]:
        """See Rule: D_1 and D."""
        if isinstance(self.denoise, Rule):
            wanted, led = self.denoise.guided(x, t, cond)
        else:
            wanted = led = self.denoise(x, t, cond)
        inside = self._inside(t) if self.interval else True
        inside = jnp.broadcast_to(inside, x.shape[:1])

        def further() -> Prediction:
            other = present("weak", self.weak)(x, t, cond)
            scale = self.scale * expand(inside, x)
            found: Prediction = jax.tree.map(
                lambda g, w, o: g + scale * (w - o), led, wanted, other
            )
            return found

        return wanted, jax.lax.cond(jnp.any(inside), further, lambda: led)


def skip_layers(
    denoise: Denoiser, weak: Denoiser, scale: float = 2.8, *, interval: Interval | None = None
) -> Denoiser:
    """Lead a model away from itself without some of its layers, equation (1).

    Args:
        denoise: the model's denoiser, or one that is guided.
        weak: the model's without the layers.
        scale: s; 0 is `denoise`.
        interval: (low, high) of sigma / alpha where it is led so; None for everywhere.

    Returns:
        denoise(x, t, cond). An evaluation costs one of `weak` more, in the interval.

    Raises:
        ValueError: an option is out of its range.
    """
    return SkipLayerGuidance(NOBODY, scale, ends(interval)).of(denoise, weak=weak)
