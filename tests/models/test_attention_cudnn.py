"""Attention by cuDNN's kernel: what a GPU is given, seen from here, and what all others are."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo

from score_sde.models import attention, attention_cudnn
from score_sde.models.attention_whole import whole

SHAPE = jax.ShapeDtypeStruct((2, 256, 4, 72), jnp.bfloat16)  # of DiT-XL/2 on 32 x 32 latents
FORWARD, BACKWARD, LOGITS = "__cudnn$fmhaSoftmax(", "__cudnn$fmhaSoftmaxBackward(", "256x256x"


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setenv(attention_cudnn.VARIABLE, "cudnn")


@pytest.fixture
def gpu(asked, monkeypatch):
    """As on a machine with such a GPU and with cuDNN, as far as JAX asks while it traces."""
    monkeypatch.setattr(attention_cudnn, "_has_kernel", lambda: True)
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91300)


def loss(q, k, v, **how):
    return jnp.square(attention.attend(q, k, v, **how).astype(jnp.float32)).sum()


def lowered(function, *args, platform="cuda"):
    """What it has of the kernel's calls and of logits."""
    fresh = jax.jit(lambda *args: function(*args))  # traced again, with what is asked for now
    text = fresh.trace(*args).lower(lowering_platforms=(platform,)).as_text()
    found = re.findall(r"__cudnn\$fmhaSoftmax(?:Backward)?\(|256x256x", text)
    return {name: found.count(name) for name in sorted({*found})}


def gradient(q, k, v):
    return jax.grad(loss, (0, 1, 2))(q, k, v)


def test_a_gpu_is_given_the_kernel_and_no_logits(gpu):
    attention_cudnn.check()
    assert lowered(loss, *[SHAPE] * 3) == {FORWARD: 1}
    assert lowered(gradient, *[SHAPE] * 3) == {FORWARD: 2, BACKWARD: 1}
    many = jax.ShapeDtypeStruct((3, *SHAPE.shape), SHAPE.dtype)
    assert lowered(jax.vmap(gradient, (0, None, None)), many, SHAPE, SHAPE) == {
        FORWARD: 2,
        BACKWARD: 1,
    }


def test_the_two_forward_calls_of_a_step_are_equal(gpu):
    """So that XLA can make one of them."""
    text = jax.jit(gradient).trace(*[SHAPE] * 3).lower(lowering_platforms=("cuda",)).as_text()
    calls = re.findall(r"fmhaSoftmax(\(.*)", text)
    assert len(calls) == 2
    assert calls[0] == calls[1]


def test_forward_mode_has_the_formula_for_its_tangent(gpu):
    """Which the likelihood wants, and JAX's own function refuses."""

    def along(attend):
        return lowered(lambda q: jax.jvp(lambda q: attend(q, q, q), (q,), (q,)), SHAPE)

    found = along(attention.attend)
    assert found[FORWARD] == 1
    assert found[LOGITS] > 0
    with pytest.raises(TypeError, match="forward-mode"):
        along(functools.partial(jax.nn.dot_product_attention, implementation="cudnn"))


@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_other_platforms_are_given_the_formula(gpu, platform):
    found = lowered(gradient, *[SHAPE] * 3, platform=platform)
    assert found.keys() == {LOGITS}


def test_without_a_gpu_or_cudnn_it_is_the_formula(asked, monkeypatch):
    """In a program that is lowered for a GPU elsewhere, or by a JAX that finds no cuDNN."""
    assert lowered(gradient, *[SHAPE] * 3).keys() == {LOGITS}
    monkeypatch.setattr(attention_cudnn, "_has_kernel", lambda: True)

    def missing():
        raise RuntimeError("cuDNN not found.")

    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", missing)
    assert lowered(gradient, *[SHAPE] * 3).keys() == {LOGITS}


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2, 256, 4, 72), jnp.float32),  # the kernel is of half precision
        ((2, 256, 4, 20), jnp.bfloat16),  # no multiple of 8
        ((2, 256, 4, 136), jnp.bfloat16),  # more than the kernel has on all GPUs
        ((2, 64, 4, 72), jnp.bfloat16),  # few
    ],
)
def test_what_the_kernel_is_not_for_is_left_to_xla(gpu, shape, dtype):
    assert FORWARD not in lowered(loss, *[jax.ShapeDtypeStruct(shape, dtype)] * 3)


def test_a_mask_is_left_to_xla(gpu):
    mask = jax.ShapeDtypeStruct((2, 256), bool)
    assert FORWARD not in lowered(lambda q, m: loss(q, q, q, mask=m), SHAPE, mask)
    added = jax.ShapeDtypeStruct((1, 1, 256, 256), jnp.float32)
    assert FORWARD not in lowered(lambda q, a: loss(q, q, q, added=a), SHAPE, added)


def test_nobody_is_given_it_who_does_not_ask(gpu, monkeypatch):
    monkeypatch.delenv(attention_cudnn.VARIABLE)
    assert FORWARD not in lowered(loss, *[SHAPE] * 3)
    monkeypatch.setenv(attention_cudnn.VARIABLE, "xla")
    assert FORWARD not in lowered(loss, *[SHAPE] * 3)


def test_a_machine_that_has_it_not_says_so(monkeypatch):
    attention_cudnn.check()
    monkeypatch.setenv(attention_cudnn.VARIABLE, "cudnn")
    with pytest.raises(ValueError, match=r"compute capability 8.0 or more, and this .* has cpu"):
        attention_cudnn.check()
    monkeypatch.setattr(attention_cudnn, "_has_kernel", lambda: True)
    with pytest.raises(ValueError, match=r"JAX has it not .*cuDNN"):
        attention_cudnn.check()
    monkeypatch.setenv(attention_cudnn.VARIABLE, "flash")
    with pytest.raises(ValueError, match="SCORE_SDE_ATTENTION=flash: give xla or cudnn"):
        attention_cudnn.check()


def test_its_derivatives_are_those_of_the_formula(x64):
    """In both modes, of each order of them, with a part of the arguments, and under vmap."""
    keys = jax.random.split(jax.random.key(0), 4)
    shapes = [(2, 5, 3, 4), (2, 7, 3, 4), (2, 7, 3, 4), (2, 5, 3, 4)]
    q, k, v, w = (jax.random.normal(one, s) for one, s in zip(keys, shapes, strict=True))

    def every(attend):
        def f(q, k, v):
            return jnp.sin(attend(q, k, v, 0.5) * w).sum()

        def along(q, k, v):
            return jax.jvp(f, (q, k, v), (w, jnp.cos(k), v))[1]

        return {
            "value": f(q, k, v),
            "reverse": jax.grad(f, (0, 1, 2))(q, k, v),
            "of one": jax.grad(f, 1)(q, k, v),
            "forward": along(q, k, v),
            "forward of forward": jax.jvp(along, (q, k, v), (q, k, v))[1],
            "reverse of forward": jax.grad(along, (0, 1, 2))(q, k, v),
            "forward of reverse": jax.jvp(jax.grad(f, (0, 2)), (q, k, v), (w, k, v))[1],
            "reverse of reverse": jax.grad(
                lambda *a: sum(jnp.vdot(g, g) for g in jax.grad(f, (0, 1, 2))(*a)), (0, 1, 2)
            )(q, k, v),
            "vmap": jax.vmap(jax.grad(f, (0, 1)), (None, 1, None), 1)(
                q, jnp.stack([k, 2 * k], 1), v
            ),
        }

    formula = jax.jit(lambda: every(lambda q, k, v, s: whole(q, k, v, scale=s)))()
    found = jax.jit(lambda: every(attention_cudnn.attend))()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), found, formula)
