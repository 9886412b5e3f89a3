"""--task=infill: tokens of which some are known, of a text or of held-out examples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict

from score_sde.cli import held_out
from score_sde.cli.flags import Options
from score_sde.cli.question import Question
from score_sde.errors import UserError
from score_sde.fields import TOKENS
from score_sde.guidance.task import Infill
from score_sde.processes import MASK
from score_sde.runs.experiment import Experiment


def ask(
    options: Options,
    config: ConfigDict,
    experiment: Experiment,
    number: int,
    given: Mapping[str, np.ndarray],
) -> Question:
    """The question; see questions.TASKS."""
    field = experiment.field
    if experiment.space.STATES != TOKENS:
        instead = ": give --task=inpaint" if experiment.space.REGIONS else ""
        raise UserError(
            f"--task=infill is of tokens, and this model draws {field.kind.rstrip('s')}s{instead}"
        )
    if options.keep:
        kept = np.zeros(field.shape, bool)
        kept[held_out.kept(options.keep)] = True
        if kept.all() or not kept.any():
            what = "everything" if kept.all() else "nothing"
            raise UserError(f"--keep={options.keep} knows {what} of {len(kept)} tokens")
        examples = held_out.first(config, experiment, number)
        cond = {name: examples[name] for name in experiment.conditions}
        known = examples[field.name].astype(np.int32)
        observed = np.where(kept, known, MASK)
        return Question(Infill(kept), cond, field.name, known, "infill", 3, observed)
    try:
        row = experiment.space.partly(options.text)
    except ValueError as error:
        kept = ": say what is known of held-out examples by --keep=START:STOP:STEP"
        raise UserError(
            f"--text={options.text!r:.80}: {error}{'' if field.names else kept}"
        ) from error
    known = np.repeat(row[None], number, axis=0)
    return Question(Infill(row != MASK), {}, field.name, known, "infill")
