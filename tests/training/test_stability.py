"""What is made of the loss and the norm of the gradient of each step."""

import json

import numpy as np
import pytest

from score_sde.training import stability
from score_sde.training.stability import Unstable, Watch

INF, NAN = float("inf"), float("nan")


@pytest.fixture(autouse=True)
def five_steps_are_typical(monkeypatch):
    monkeypatch.setattr(stability, "WINDOW", 5)


def looked(watch, losses, norms=None, first=1):
    """Which of some steps were not left out."""
    losses = np.array(losses)
    return watch.look(first, losses, np.ones(len(losses)) if norms is None else norms).tolist()


def test_some_steps_in_a_row_are_left_out_and_counted():
    watch = Watch(skip=2)
    assert looked(watch, [1, NAN, INF, 1], np.ones(4)) == [True, False, False, True]
    assert looked(watch, [1, 1], np.array([NAN, INF])) == [False, False]
    with pytest.raises(Unstable, match="is not finite at step 7 and in the 2 after it") as caught:
        looked(watch, [NAN], first=9)
    assert caught.value.step == 9
    assert watch.counts() == {"skipped": 4}


def test_a_step_that_is_not_finite_ends_it_where_none_may_be():
    with pytest.raises(Unstable, match=r"the loss or its gradient is not finite at step 2$"):
        looked(Watch(), [1, NAN])


@pytest.mark.parametrize("which", ["loss", "gradient"])
def test_a_spike_is_above_so_many_times_the_median(which):
    """Of the last five steps; 30 is 10 times theirs, and no spike."""
    usual, ones = [100, 100, 1, 3, 3, 5, 2, 30], np.ones(8)
    for last, spikes in ((30, False), (30.01, True)):
        values = np.array([*usual[:-1], last])
        pair = (values, ones) if which == "loss" else (ones, values)
        watch = Watch(spike=10)
        if spikes:
            with pytest.raises(Unstable, match=f"the {which} spikes at step 8: 30.01, typically 3"):
                watch.look(1, *pair)
        else:
            assert watch.look(1, *pair).all()


def test_nothing_is_a_spike_before_there_is_a_median_or_where_it_is_not_positive():
    watch = Watch(spike=10)
    assert all(looked(watch, [1, 1, 1, 1, 1000]))
    assert all(looked(Watch(spike=10), [-1, -1, -1, -1, -1, 1000]))


def test_what_is_known_goes_through_a_file():
    """Any cut of the steps gives the same verdict; what was never asked for leaves no trace."""
    assert Watch().state() == {}
    watch = Watch(skip=1, spike=10, rewinds=2)
    looked(watch, [1, 2, NAN, 3, 1, 1, 2, NAN])
    state = json.loads(json.dumps({"next_index": 8, **watch.state()}))
    again = Watch(skip=1, spike=10).resumed(state)
    assert again == watch
    for one in (watch, again):
        with pytest.raises(Unstable, match="at step 8 and in the 1 after it"):
            looked(one, [NAN], first=9)
    assert Watch().resumed(state).counts() == {"skipped": 2, "rewinds": 2}
