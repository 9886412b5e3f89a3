"""Going back, from what a checkpoint says and the step that went wrong; nothing is trained."""

import jax
import numpy as np
import pytest

from score_sde.runs import rewinding
from score_sde.runs.positions import Course
from score_sde.training.options import TrainingOptions
from score_sde.training.stability import Unstable, Watch
from score_sde.training.state import TrainState

OPTIONS = TrainingOptions(steps=20, checkpoint_every=4, rewind=10.0)
SPIKE = Unstable(10, "the loss spikes at step 10")


class Batches:
    """Say which is the next, and whether they were closed."""

    def __init__(self):
        self.next, self.closed = None, False

    def set_state(self, state):
        self.next = state["next_index"]

    def close(self):
        self.closed = True


class Positions:
    """The newest checkpoint that was due is of step 8, or there is none."""

    def __init__(self, saved):
        self.saved, self.removed_after = saved, None
        self.checkpoints = self.snapshots = self

    def go_back(self, every):
        return 8 if self.saved else 0

    def remove_after(self, step):
        self.removed_after = step

    def wait(self):
        pass

    def latest_step(self):
        return None

    def resume(self):
        return self.saved and (state(8), self.saved)

    def new(self):
        return state(0), Course(Batches(), Watch(spike=10.0))


def state(step):
    return TrainState(np.int32(step), {}, {}, (), {})


def course(rewinds, over):
    return Course(Batches(), Watch(spike=10.0, rewinds=rewinds), over)


def test_batches_that_were_passed_over_stay_so_and_the_noise_is_new_each_time():
    """The checkpoint was written after training had gone back once, past 4 batches."""
    before, positions = course(1, 4), Positions(course(1, 4))
    found, after, said = rewinding.go_back(SPIKE, before, positions, OPTIONS)
    assert (int(found.step), positions.removed_after) == (8, 8)
    assert said == f"{SPIKE.said}: back to checkpoint 8, with other batches and noise"
    assert before.batches.closed
    assert not after.batches.closed
    assert after.batches.next == 10 + 4  # step 10 took the one before
    assert after.saved(12)["next_index"] == 12 + 6
    assert after.watch.rewinds == 2
    keys = [jax.random.key_data(course(n, 0).key(0)).tolist() for n in range(3)]
    assert len(set(map(tuple, keys))) == 3


@pytest.mark.parametrize(("earlier", "where"), [(1, "checkpoint 8"), (0, "the beginning")])
def test_three_times_to_one_checkpoint_or_to_the_beginning(earlier, where):
    """Whatever times training went back before it came there."""

    def go_back(times):
        positions = Positions(course(earlier, 0) if earlier else None)
        return rewinding.go_back(SPIKE, course(earlier + times - 1, 0), positions, OPTIONS)

    for times, count in ((1, ""), (2, ", 2 of 3 times"), (3, ", 3 of 3 times")):
        _, after, said = go_back(times)
        assert f"back to {where}{count}, with" in said
        assert after.watch.rewinds == earlier + times
    with pytest.raises(rewinding.DivergedError, match="though training went back 3 times"):
        go_back(4)
