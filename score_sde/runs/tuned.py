"""The times that were tuned for a run, in its grid.json, and the sampler that takes them.

`python -m score_sde.samplers.tune` writes one entry for each sampler and number of steps;
config.sampling.grid=tuned takes the entry of the sampler that is asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from score_sde import files, records, samplers
from score_sde.errors import UserError
from score_sde.runs import sampling
from score_sde.samplers import Sampler
from score_sde.samplers.fixed_step import FixedStep

NAME = "grid.json"
TUNED = "tuned"
_FOUND = ("grid", "times", "rho", "shift", "factors")  # what an entry gives, or makes meaningless


def sampler(config: ConfigDict, workdir: Path) -> Sampler:
    """The sampler that a config names, with the times tuned for a run if it asks for them.

    Args:
        config: whose section `sampling` says.
        workdir: the run's folder.

    Raises:
        UserError: an option cannot work, or the run has no tuned times for this sampler.
    """
    found = sampling.sampler(config.sampling)
    if getattr(found, "grid", None) != TUNED or found.times:
        return found
    asked, entries = _key(found), _read(workdir)
    for entry in entries:
        if entry["sampler"] == asked:
            try:
                return dataclasses.replace(
                    found, times=tuple(entry["times"]), factors=tuple(entry["factors"])
                )
            except (KeyError, TypeError, ValueError) as error:
                raise _damaged(workdir, f"has an entry that is none ({error})") from error
    name = config.sampling.sampler
    there = ", ".join(f"{e['sampler']['name']} with {e['sampler']['steps']} steps" for e in entries)
    raise UserError(
        f"{workdir / NAME} has no times for {name} with {found.steps} steps and these options "
        f"(it has: {there or 'none'}): python -m score_sde.samplers.tune {workdir} "
        f"--sampler={name} --steps={found.steps}"
    )


def untuned(sampler: Sampler) -> Sampler:
    """The same sampler on a grid that every process has, if it asks for the times of a run."""
    if getattr(sampler, "grid", None) != TUNED or sampler.times:
        return sampler
    return dataclasses.replace(sampler, grid="uniform")


def write(workdir: Path, tuned: FixedStep, about: Mapping[str, Any]) -> Path:
    """Keep the times of a sampler, in place of earlier ones of the same.

    Args:
        workdir: the run's folder.
        tuned: the sampler, with its times and factors.
        about: what else is to be known of them, as JSON values.

    Returns:
        The file.

    Raises:
        UserError: the file that is there is damaged, or cannot be written.
    """
    found = {"times": list(tuned.times), "factors": list(tuned.factors)}
    entry = {"sampler": _key(tuned), **found, **about}
    others = [other for other in _read(workdir) if other["sampler"] != entry["sampler"]]
    with files.writing(workdir):
        files.write_json(workdir / NAME, records.sealed({"grids": [*others, entry]}))
    return workdir / NAME


def _key(sampler: Sampler) -> dict[str, Any]:
    """What determines a table, but for its times and factors."""
    member = next(name for name, cls in samplers.SAMPLERS.items() if cls is type(sampler))
    options = dataclasses.asdict(sampler)
    return {"name": member} | {name: v for name, v in options.items() if name not in _FOUND}


def _read(workdir: Path) -> list[dict[str, Any]]:
    """The entries; none if nothing was tuned."""
    try:
        found = records.read(workdir / NAME)
        if found is None:
            return []
        entries = records.unsealed(found)["grids"]
        for of in (entry["sampler"] for entry in entries):
            if not (isinstance(of["steps"], int) and isinstance(of["name"], str)):
                raise ValueError("is not of tuned times")
        return entries
    except (KeyError, TypeError) as error:
        raise _damaged(workdir, "is not of tuned times") from error
    except ValueError as error:
        raise _damaged(workdir, str(error)) from error


def _damaged(workdir: Path, what: str) -> UserError:
    return UserError(f"{workdir / NAME} {what}: delete it, and tune again")
