"""Flags of XLA: known to it, for the devices that they are for, and the user's before ours."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.errors import UserError
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


def test_a_process_has_the_flags_of_all_its_programs():
    """As this one: what reads the same arrays is one loop."""
    environment = {"XLA_FLAGS": "--xla_dump_to=a"}
    xla.begin(environment)
    xla.begin(environment)
    assert environment["XLA_FLAGS"].split() == [
        "--xla_dump_to=a",
        *(f"--{flag.name}={flag.value}" for flag in xla.PROCESS),
    ]
    given = {"XLA_FLAGS": f"--{xla.PROCESS[0].name}=other"}
    xla.begin(given)
    assert given == {"XLA_FLAGS": f"--{xla.PROCESS[0].name}=other"}
    a = jnp.ones(1000)
    both = jax.jit(lambda a, b: (jnp.sin(a) * b, jnp.cos(a) + b)).lower(a, a).compile().as_text()
    assert both.count(" fusion(") == 1


def test_flags_may_stand_in_a_file(tmp_path):
    """XLA takes a variable that does not begin with a dash for its name, and aborts without it."""
    path = tmp_path / "flags.txt"
    path.write_text(f"--xla_dump_to=a\n--{HIDES}=false\n")
    environment = {"XLA_FLAGS": str(path)}
    assert xla.options(xla.STEP, mesh("gpu", 8), environment) == {}
    xla.begin(environment)
    assert environment["XLA_FLAGS"].split()[:2] == ["--xla_dump_to=a", f"--{HIDES}=false"]
    assert len(environment["XLA_FLAGS"].split()) == 2 + len(xla.PROCESS)
    path.unlink()
    with pytest.raises(UserError, match="flags begin with --, and no file of that name"):
        xla.begin({"XLA_FLAGS": str(path)})


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
