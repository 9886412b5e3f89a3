"""Flags of XLA: known to it, for the devices that they are for, and the user's before ours."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.training import xla

HIDES = "xla_gpu_enable_latency_hiding_scheduler"


def mesh(platform, size):
    return types.SimpleNamespace(
        size=size, devices=np.array([types.SimpleNamespace(platform=platform)] * size)
    )


def lowered():
    return jax.jit(lambda x: x + 1).lower(jnp.zeros(()))


@pytest.mark.parametrize("flag", [*xla.INITIALISATION, *xla.STEP], ids=lambda flag: flag.name)
def test_xla_knows_a_flag_and_someone_says_why(flag):
    assert lowered().compile({flag.name: flag.value})(1.0) == 2
    assert flag.why


def test_flags_are_those_of_the_devices():
    assert xla.options(xla.STEP, mesh("gpu", 8), {}) == {HIDES: True}
    assert xla.options(xla.STEP, mesh("gpu", 1), {}) == {}  # there is nothing to hide
    assert xla.options(xla.STEP, mesh("tpu", 8), {}) == {}
    assert xla.options(xla.INITIALISATION, mesh("cpu", 1), {}) == {
        "xla_backend_optimization_level": 0
    }


def test_what_the_user_sets_is_left_to_the_user():
    given = {"XLA_FLAGS": f"--xla_dump_to=a --{HIDES}=false"}
    assert xla.options(xla.STEP, mesh("gpu", 8), given) == {}


def test_a_flag_that_xla_no_longer_has_stops_no_training():
    assert xla.compiled(lowered(), {"xla_made_up": True})(1.0) == 2
    with pytest.raises(jax.errors.JaxRuntimeError, match="optimization_level"):
        xla.compiled(lowered(), {"xla_backend_optimization_level": "high"})
