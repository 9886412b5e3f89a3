"""A run's model without some of its blocks, to lead pictures of prompts away from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from score_sde.errors import UserError
from score_sde.guidance import skip_layers
from score_sde.guidance.rule import Interval
from score_sde.prediction import Denoiser
from score_sde.runs import arguments, spans
from score_sde.samplers import Sampler

if TYPE_CHECKING:
    from score_sde.runs.opened import Bound, Run

_MODEL = "mmdit"  # whose blocks can be left out


class SkipLayers(NamedTuple):
    """What is asked of guidance.skip_layers, as Stable Diffusion 3.5 is released with it.

    Attributes:
        blocks: that are left out, counted from 0.
        scale: how far it leads.
        start: the share of the steps after which it begins,
        end: and at which it ends: the steps that begin between the two.
    """

    blocks: Sequence[int] = (7, 8, 9)
    scale: float = 2.8
    start: float = 0.01
    end: float = 0.2


def led(run: Run, denoise: Denoiser, told: Denoiser, asked: SkipLayers, draw: Sampler) -> Denoiser:
    """A denoiser that is led away.

    Args:
        run: the run.
        denoise: its denoiser, guided if it is to be.
        told: the same without guidance.
        asked: how.
        draw: the sampler, whose steps `start` and `end` are shares of.

    Raises:
        UserError: the model has no such blocks, or a number cannot be.
    """
    if not isinstance(asked, SkipLayers) or not isinstance(asked.blocks, Sequence):
        raise UserError(f"skip_layers={asked!r:.60}: give score_sde.SkipLayers((7, 8, 9))")
    arguments.check(scale=asked.scale, start=asked.start, end=asked.end)
    model = run.config.model
    if model.name != _MODEL:
        raise UserError(f"skip_layers is of Stable Diffusion 3, and this model is {model.name}")
    blocks = tuple(asked.blocks)
    if not blocks or not all(type(i) is int and 0 <= i < model.depth for i in blocks):
        raise UserError(
            f"skip_layers: blocks={blocks} are to be some of 0 to {model.depth - 1}, which this "
            "model has"
        )
    weak = cast(Denoiser, dataclasses.replace(cast("Bound", told), skip=blocks))
    try:
        times = spans.times(run.sde, draw, asked.start, asked.end, spans.begun_steps)
        return skip_layers(denoise, weak, asked.scale, interval=_ratios(run, times))
    except ValueError as error:
        raise UserError(f"skip_layers: {error}") from error


def _ratios(run: Run, times: tuple[float, float]) -> Interval:
    """sigma / alpha at two times, of which some may be before t_min or after t_max."""
    low, high = np.clip(np.array(times, np.float64), run.sde.t_min, run.sde.t_max)
    with np.errstate(divide="ignore"):  # no signal: infinitely far
        ratios = [float(run.sde.sigma(t) / run.sde.alpha(t)) for t in (low, high)]
    return ratios[0], ratios[1]
