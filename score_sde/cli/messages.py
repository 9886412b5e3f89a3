"""What the command line says about a run, its data and what comes next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from jax.sharding import Mesh

    from score_sde.cli.flags import CommandLine
    from score_sde.data import Source
    from score_sde.runs.experiment import Experiment
    from score_sde.runs.train import Outcome


def devices(mesh: Mesh) -> str:
    """The devices and how they are arranged, in words."""
    import jax

    kind = jax.devices()[0].device_kind
    axes = ", ".join(f"{name} {size}" for name, size in mesh.shape.items())
    return f"{jax.device_count()} x {kind} (mesh: {axes})"


def announce(
    experiment: Experiment, mesh: Mesh, train_set: Source, held_out: Source | None, workdir: Path
) -> None:
    """Say what is about to be trained, on what and where, in one line."""
    info = train_set.info
    held = f" and {len(held_out):,} held-out" if held_out else ", no held-out"
    print(
        f"{devices(mesh)} | {experiment.parameters:,} parameters | "
        f"{info.name}: {len(train_set):,} training{held} examples, "
        f"{experiment.field.words} | {experiment.training.words} | {workdir}",
        flush=True,
    )


def say_ignored(line: CommandLine, experiment: Experiment) -> None:
    """Say what of a command line has no effect on a run."""
    from score_sde.runs import begun, guide
    from score_sde.runs import config as configs
    from score_sde.runs.ignored import ignored, unusual

    # The network is the run's, whatever a recipe says: it is asked how to sample and to evaluate.
    other = configs.difference(experiment.config, line.config, begun.FIXED)
    if other:
        text = f"note: {line.workdir} was trained with another config, which counts: {other}"
        print(text, flush=True)
    notes = [*ignored(experiment, line.config, line.overrides), *guide.notes(experiment)]
    for note in (*notes, *unusual(experiment, line.config)):
        print(f"note: {note}", flush=True)


def say_fit(fit: Mapping[str, np.ndarray], units: Mapping[str, str]) -> None:
    """Say of each sample how well it goes with what was known; see Space.fit and its UNITS."""
    for number, values in enumerate(zip(*fit.values(), strict=True)):
        said = (
            f"{name} {value:.3f} {units.get(name, '')}".rstrip()
            for name, value in zip(fit, values, strict=True)
        )
        print(f"sample {number}: {', '.join(said)}", flush=True)


def say_note(source: Source | None) -> None:
    """Say what there is to know of a data set besides, such as files that are left out."""
    if source is not None and source.note:
        print(f"note: {source.info.split}: {source.note}", flush=True)


def say_what_next(line: CommandLine, experiment: Experiment, outcome: Outcome) -> None:
    """Say how training ended, and which command follows."""
    from score_sde.runs import session

    if outcome.stopped_by is not None:
        print(session.stopped(outcome, "command"))
        return
    if outcome.start == outcome.step:
        print(f"nothing left to train: {_more(line, experiment, outcome)}")
    mode = "sample" if experiment.objective.draws else "evaluate"
    texts = [name for name in experiment.conditions if experiment.data[name].kind == "text"]
    if experiment.objective.draws and experiment.text.prompts:
        mode += " --prompt=TEXT"
    elif experiment.objective.draws and texts:
        mode += f" --condition={texts[0]}=TEXT"
    print(f"done: {outcome.step} steps, in {line.workdir}. Next: {line.rerun} --mode={mode}")


def _more(line: CommandLine, experiment: Experiment, outcome: Outcome) -> str:
    """What trains a run further that has all of its steps."""
    if not experiment.optim.ends:
        return f"--config.training.steps=N with N > {outcome.step} goes on"
    return (
        f"its learning rate has come to 0. --init_from={shlex.quote(str(line.workdir))} begins "
        "another run with its weights"
    )
