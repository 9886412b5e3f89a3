"""Going back, where training cannot go on from a step.

All that decides it stands in a checkpoint or is of a step, so that a run that is killed and
resumes, before or after, goes the same way.
"""

from __future__ import annotations

from score_sde.runs.positions import Course, Positions
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.options import TrainingOptions
from score_sde.training.stability import MOST, Unstable
from score_sde.training.state import TrainState


class DivergedError(RuntimeError):
    """The loss or its gradient is not finite, or spikes however often training goes back."""


def go_back(
    unstable: Unstable, course: Course, positions: Positions, options: TrainingOptions
) -> tuple[TrainState, Course, str]:
    """What training goes on from: the last checkpoint that was due, with other batches and noise.

    Args:
        unstable: the step.
        course: that the step was of; its batches are closed.
        positions: those of the training; what was saved after the checkpoint is removed.
        options: the section `training`.

    Returns:
        The state, its course past the batch of the step, and a line that says so.

    Raises:
        DivergedError: training does not go back, or went back to that checkpoint too often.
        CheckpointError: no checkpoint can be read, or one cannot be removed.
    """
    if not options.rewind:
        raise _diverged(unstable.said, positions.checkpoints)
    course.batches.close()
    last = positions.checkpoints.go_back(options.checkpoint_every)
    positions.snapshots.remove_after(last)
    state, again = positions.resume() or positions.new()
    step, rewinds = int(state.step), course.watch.rewinds + 1
    times = rewinds - again.watch.rewinds  # to this checkpoint
    if times > MOST:
        again.batches.close()
        said = f"{unstable.said}, though training went back {MOST} times"
        raise _diverged(said, positions.checkpoints)
    again.watch.rewinds = rewinds
    # From where it would go on without that step: batches are counted as steps are.
    again = again.from_batch(course.over + unstable.step, step)
    where = f"checkpoint {step}" if step else "the beginning"
    count = f", {times} of {MOST} times" if times > 1 else ""
    line = f"{unstable.said}: back to {where}{count}, with other batches and noise"
    return state, again, line


def _diverged(said: str, checkpoints: Checkpoints) -> DivergedError:
    checkpoints.wait()
    good = checkpoints.latest_step()
    where = f"{checkpoints.folder / str(good)}" if good is not None else "there is none yet"
    return DivergedError(
        f"{said}; nothing was saved since. Last good checkpoint: {where}. Try a smaller "
        "config.optim.learning_rate, or config.model.dtype=float32."
    )
