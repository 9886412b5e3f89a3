"""Calls of the compiled training step, here of one that computes nothing."""

import jax
import numpy as np

from score_sde.training import xla
from score_sde.training.calls import Calls
from score_sde.training.options import TrainingOptions
from score_sde.training.sharding import make_mesh
from score_sde.training.window import Window


class Steps:
    """Is lowered, compiled and called as a jitted function is; the metrics say who waits when."""

    def __init__(self, window):
        self.window, self.compiled, self.called, self.waited = window, [], 0, []
        self.told = []

    def lower(self, state, batches, fixed, key):
        self.compiled.append(batches["image"].shape)
        return self

    def compile(self, options):
        self.told.append(options)
        return self

    def memory_analysis(self):
        return None

    def __call__(self, state, batches, fixed, key):
        self.called += 1
        return state, Metrics(self, self.called)


class Metrics:
    def __init__(self, steps, number):
        self.steps, self.number = steps, number

    def block_until_ready(self):
        self.steps.waited.append((self.number, len(self.steps.window.pending)))


def test_two_calls_are_under_way_no_more():
    """Who stops a run waits for them, and not for all until the next row of metrics."""
    window = Window()
    steps, said, key = Steps(window), [], jax.random.key(0)
    calls = Calls(steps, None, make_mesh(), TrainingOptions(), window)
    for count in (1, 1, 1, 1, 2):
        calls(None, [{"image": np.zeros((1, 3))}] * count, key, said.append)
    assert steps.waited == [(1, 2), (2, 3), (3, 4)]  # the one before the last that was dispatched
    assert steps.compiled == [(1, 1, 3), (2, 1, 3)]  # once for each number of steps
    assert [line.split()[0] for line in said] == ["compiling", "compiled"] * 2


def test_a_step_is_compiled_with_its_flags(monkeypatch):
    """Those of this platform, of which there are none on a CPU but what is made up here."""
    flags = [xla.Flag("mine", 7, "cpu", "a test"), xla.Flag("other", 8, "gpu", "a test")]
    monkeypatch.setattr(xla, "STEP", flags)
    window = Window()
    steps = Steps(window)
    calls = Calls(steps, None, make_mesh(), TrainingOptions(), window)
    calls(None, [{"image": np.zeros((1, 3))}], jax.random.key(0), lambda line: None)
    assert steps.told == [{"mine": 7}]
