"""Held-out examples that a task is about, and which of their elements are kept."""

from __future__ import annotations

import re

import numpy as np
from ml_collections import ConfigDict

from score_sde.data import SplitError
from score_sde.data.base import Examples
from score_sde.errors import UserError
from score_sde.runs import sources
from score_sde.runs.experiment import Experiment

WHO = "the model"  # whose data they are


def first(config: ConfigDict, experiment: Experiment, number: int) -> Examples:
    """The first so many held-out examples; of training where there are none."""
    try:
        source = sources.matching(config, "test", experiment, WHO)
    except SplitError:
        source = sources.matching(config, "train", experiment, WHO)
    if number > len(source):
        raise UserError(
            f"--num_samples={number}: there are {len(source)} {source.info.split} "
            f"{experiment.field.kind.rstrip('s')}s"
        )
    return source.gather(np.arange(number))


def kept(text: str) -> slice:
    """Which elements of the first axis are known, from START:STOP or START:STOP:STEP.

    Raises:
        UserError: it is no such thing.
    """
    found = re.fullmatch(r"(\d{0,9}):(\d{0,9})(?::([1-9]\d{0,8})?)?", text, re.ASCII)
    if found is None:
        raise UserError(f"--keep={text!r:.80}: give START:STOP or START:STOP:STEP, as 0::4")
    return slice(*(int(part) if part else None for part in found.groups()))
