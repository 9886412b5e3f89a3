"""Runs with adapters: score_sde.with_lora."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from score_sde import files, parts
from score_sde.checks import present
from score_sde.errors import UserError
from score_sde.interop.lora import merge, names
from score_sde.models.functional import Maker, abstract
from score_sde.prediction import Denoiser
from score_sde.prompting import Encoder
from score_sde.runs import kept
from score_sde.runs.opened import Bound, Run

Adapter = str | os.PathLike[str] | tuple[str | os.PathLike[str], float]


def with_lora(run: Run, *adapters: Adapter) -> Run:
    """A run whose network and text encoders have low-rank adapters added to their weights.

    What each adapter adds to the weights of the run is added up, so their order does not matter.
    The run that is given stays as it is, and so does its folder.

    Args:
        run: as score_sde.load opens it.
        adapters: files of LoRA, LoCon or DoRA (see lora.factors) in any layout, or pairs of a file
            and its strength, 1 if it is not said.

    Raises:
        UserError: a file cannot be read, or is for another model; the message names the first array
            that does not fit.
    """
    asked = [_asked(adapter) for adapter in adapters]
    encoders = _encoders(run)
    network = names.named(names.NETWORK, abstract(run.experiment.module))
    try:
        added = merge.fitted([network, *encoders], asked)
    except ValueError as error:
        raise UserError(str(error)) from error
    params, constants = (
        merge.merged(network, arrays, added[network.name]) for arrays in (run.params, run.constants)
    )

    def adapt(found: Sequence[Encoder | None]) -> list[Encoder | None]:
        found, by_name = list(run.adapt(found)), {named.name: named for named in encoders}
        for i, name in enumerate(kept.numbered("text_encoder", len(found))):
            if added.get(name):
                encoder = present("text encoder", found[i])
                part = encoder.part
                arrays = merge.merged(by_name[name], part.params, added[name])
                found[i] = encoder._replace(part=dataclasses.replace(part, params=arrays))
        return found

    said = " + ".join(f"{path.name} x {strength:g}" for path, strength in asked)
    adapted = dataclasses.replace(cast(Bound, run.denoise), params=params, constants=constants)
    return dataclasses.replace(
        run,
        params=params,
        constants=constants,
        denoise=cast(Denoiser, adapted),
        weights=f"{run.weights} + {said}" if said else run.weights,
        adapt=adapt,
    )


def _asked(adapter: Adapter) -> tuple[Path, float]:
    path, strength = adapter if isinstance(adapter, tuple) else (adapter, 1.0)
    if isinstance(strength, bool) or not isinstance(strength, int | float):
        raise UserError(f"the strength of {path} must be a number, not {strength!r:.60}")
    if not math.isfinite(strength):
        raise UserError(f"the strength of {path} must be a finite number, not {strength}")
    return files.expanded(path), float(strength)


def _encoders(run: Run) -> list[names.Named]:
    """The text encoders of a run, without their arrays."""
    found = []
    for name in kept.numbered("text_encoder", run.experiment.text.ENCODERS):
        path = kept.path(run.workdir, name)
        if path.exists():
            try:
                kind, options = parts.described(path)
            except ValueError as error:
                raise UserError(str(error)) from error
            found.append(names.named(name, abstract(Maker(parts.KINDS[kind], options))))
    return found
