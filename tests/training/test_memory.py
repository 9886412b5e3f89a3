"""Memory that is estimated before it is taken."""

import types

import jax
import jax.numpy as jnp
import pytest

from score_sde.errors import UserError
from score_sde.training import memory
from score_sde.training.options import TrainingOptions


@pytest.fixture
def mesh(monkeypatch):
    """Eight devices, four copies of the state, of 16 GB together."""
    monkeypatch.setattr(memory, "of_devices", lambda: 16 * 10**9)
    return types.SimpleNamespace(shape={"data": 4, "fsdp": 2})


def test_the_arrays_of_training_are_counted(mesh):
    """Of parameters, gradient, two moments and each average, 4 bytes a number and a copy."""
    options = TrainingOptions(ema_decays=(0.9, 0.99))
    fits = 16 * 10**9 // (4 * 6 * 4)
    memory.check_training(options, fits, 1, mesh)
    with pytest.raises(UserError, match=r"of 166,666,667 parameters needs at least 16 GB .* 16 GB"):
        memory.check_training(options, fits + 1, 1, mesh)


def test_the_batches_of_a_call_are_counted(mesh):
    options = TrainingOptions(batch_size=1000, steps_per_call=10)
    memory.check_training(options, 1, 400_000, mesh)
    with pytest.raises(UserError, match=r"batch_size=1000 \(in calls of 10 steps\) needs at least"):
        memory.check_training(options, 1, 400_001, mesh)


def test_a_batch_is_counted(mesh):
    memory.check_batch("config.sampling.batch_size", 4 * 10**6, 1000)
    with pytest.raises(UserError, match=r"sampling.batch_size \(a batch of 4,000,001\) needs at"):
        memory.check_batch("config.sampling.batch_size", 4 * 10**6 + 1, 1000)


def test_what_a_compiled_step_takes_is_counted(monkeypatch):
    """An argument of 4 MB, which becomes the result, and a temporary array of 40 MB."""

    def step(x):
        wide = jnp.outer(jnp.ones(10), x)  # the sort is of a whole array
        return x + jnp.sort(wide, axis=0)[3] + jnp.sort(wide, axis=1)[:, 0].sum()

    shape = jax.ShapeDtypeStruct((10**6,), jnp.float32)
    compiled = jax.jit(step, donate_argnums=0).lower(shape).compile()
    options = TrainingOptions(batch_size=64)
    monkeypatch.setattr(memory, "of_devices", lambda: 10**9)
    memory.check_step(compiled, options)
    monkeypatch.setattr(memory, "of_devices", lambda: 40 * 10**6)
    with pytest.raises(UserError, match=r"batch_size=64: a step with its activations needs at"):
        memory.check_step(compiled, options)


def test_this_machine_has_memory():
    """A CPU's devices have that of the host."""
    assert 10**8 < memory.of_host() < 10**15
    assert memory.of_devices() == memory.of_host() or jax.default_backend() != "cpu"


@pytest.mark.parametrize(
    ("size", "words"),
    [(999, "999 bytes"), (2_600_000_000_000, "2.6 TB"), (10**24, "1,000,000 EB")],
)
def test_words(size, words):
    assert memory.in_words(size) == words
