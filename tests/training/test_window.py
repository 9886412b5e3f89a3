"""The metrics between two rows of metrics.csv: what a row says of the steps and of their time."""

import math

import numpy as np
import pytest

from score_sde.training import window
from score_sde.training.stability import Watch

NAN = math.nan


@pytest.fixture
def clock(monkeypatch):
    """The time, which passes when it is set."""
    now = [100.0]
    monkeypatch.setattr(window.time, "monotonic", lambda: now[0])
    return now


def metrics(*losses):
    losses = np.array(losses)
    return {"loss": losses, "grad_norm": 2 * losses}


def test_a_row_has_means_of_steps_that_were_taken_and_the_rate_of_all(clock):
    """Time that is no step's, such as that of a picture, does not count."""
    found, watch = window.Window(), Watch(skip=1)
    found.pending = [metrics(1.0, NAN), metrics(3.0)]
    clock[0] += 2
    found.drain(3, watch)
    clock[0] += 50
    found.start_clock()
    found.pending = [metrics(5.0)]
    clock[0] += 1
    found.drain(4, watch)
    assert found.row(6) == {"loss": 3.0, "grad_norm": 6.0, "examples_per_second": 4 * 6 / 3}
    assert watch.skipped == 1
    found.pending = [metrics(NAN)]  # the next row knows nothing of these
    clock[0] += 1
    found.drain(5, watch)
    row = found.row(6)
    assert math.isnan(row["loss"])
    assert row["examples_per_second"] == 6
