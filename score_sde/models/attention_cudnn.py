"""Attention by cuDNN's fused kernel, which writes no logits to memory, where a GPU has it.

    SCORE_SDE_ATTENTION=cudnn python main.py ...

The kernel is that of `jax.nn.dot_product_attention`: tiles of logits, and a running softmax, stay
on the chip (Dao 2023, arXiv 2307.08691). Of n queries and keys it moves O(n) numbers, and the
formula n^2 several times. JAX takes it only where it is asked for, and so does this house, where
nobody has run it on a GPU yet.

JAX's function has a derivative in reverse mode alone; likelihoods and flow maps want forward mode.
So here are primitives, of which each has a derivative,

    attention          (q, k, v) -> o                       cuDNN's, or the formula
    its differential   (q, k, v; dq, dk, dv) -> do          the formula's jvp
    its gradient       (q, k, v; g) -> (gq, gk, gv)         cuDNN's, or the formula's vjp      (1)

and the gradient is the transpose of the differential. Which one a program has says the platform
that it is lowered for. Outside a loop of blocks XLA finds that the gradient's forward pass of
attention was made before; in a loop it is made again.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

from score_sde.models.attention_whole import whole

VARIABLE = "SCORE_SDE_ATTENTION"
_FEWEST = 128  # queries and keys: of fewer there is little that need not be written
_MOST_FEATURES = 128  # of a head, in both passes, on every GPU that has the kernel
_OLDEST = (8, 0)  # compute capability of such a GPU: Ampere
# What JAX raises where its cuDNN, or the shapes, are not what the kernel needs.
_REFUSALS = (RuntimeError, NotImplementedError, ValueError)


def asked() -> bool:
    """Whether the environment asks for it.

    Raises:
        ValueError: it asks for what there is not.
    """
    given = os.environ.get(VARIABLE, "")
    if given not in ("", "xla", "cudnn"):
        raise ValueError(f"{VARIABLE}={given}: give xla or cudnn")
    return given == "cudnn"


def check() -> None:
    """Raise ValueError if the environment asks for it and it is not to be had here."""
    if not asked():
        return
    if not _has_kernel():
        found = ", ".join(sorted({device.device_kind for device in jax.local_devices()}))
        raise ValueError(
            f"{VARIABLE}=cudnn is for NVIDIA GPUs of compute capability {_OLDEST[0]}.{_OLDEST[1]} "
            f"or more, and this machine has {found}: leave it out"
        )
    like = jax.ShapeDtypeStruct((1, _FEWEST, 1, _MOST_FEATURES), jnp.bfloat16)
    try:
        jax.eval_shape(functools.partial(_kernel, scale=1.0), like, like, like)
    except _REFUSALS as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{VARIABLE}=cudnn: JAX has it not ({reason}): leave it out") from error


def fits(query: jax.Array, key: jax.Array, value: jax.Array) -> bool:
    """Whether there is a kernel for arrays of these shapes and dtypes; see `attend`."""
    features = query.shape[-1]
    return (
        {a.dtype for a in (query, key, value)} in ({jnp.dtype("bfloat16")}, {jnp.dtype("float16")})
        and value.shape[-1] == features
        and features % 8 == 0
        and features <= _MOST_FEATURES
        and min(query.shape[1], key.shape[1]) >= _FEWEST
    )


def attend(query: jax.Array, key: jax.Array, value: jax.Array, scale: float) -> jax.Array:
    """Equation (1) of models.attention, without a mask.

    Forward mode, reverse mode, `vmap` and derivatives of any order work.

    Args:
        query: [batch, queries, heads, d], bfloat16 or float16, and so are the others.
        key: [batch, keys, heads, d].
        value: [batch, keys, heads, d].
        scale: of the logits.
    """
    return _bind(_attention_p, scale, query, key, value)[0]


def _has_kernel() -> bool:
    """Whether the GPUs of this process do; False where there is none, or none that JAX knows."""
    try:
        devices = jax.local_devices(backend="cuda")
    except RuntimeError:
        return False
    return all(tuple(map(int, d.compute_capability.split("."))) >= _OLDEST for d in devices)


# Functions of (q, k, v, ...) and the scale, which give several arrays.


def _formula(*args: jax.Array, scale: float) -> list[jax.Array]:
    return [whole(*args, scale=scale)]


def _kernel(*args: jax.Array, scale: float) -> list[jax.Array]:
    # With the sums of the softmax, as the gradient calls it: XLA makes one call of two equal ones.
    how = {"scale": scale, "implementation": "cudnn", "return_residual": True}
    return [jax.nn.dot_product_attention(*args, **how)[0]]


def _differential(*args: jax.Array, scale: float) -> list[jax.Array]:
    of = functools.partial(_formula, scale=scale)
    return jax.jvp(of, args[:3], args[3:])[1]


def _gradient(*args: jax.Array, scale: float, of: Callable[..., Any] = _formula) -> list[jax.Array]:
    *primals, g = args
    return list(jax.vjp(functools.partial(of, scale=scale), *primals)[1]([g]))


def _either(kernel: Callable[..., Any], formula: Callable[..., Any], scale: float) -> Any:
    """The kernel on an NVIDIA GPU, if JAX finds it here, and else the formula."""
    kernel, formula = (functools.partial(one, scale=scale) for one in (kernel, formula))

    def choice(*args: jax.Array) -> list[jax.Array]:
        return jax.lax.platform_dependent(*args, cuda=kernel, default=formula)

    def traced(*args: jax.Array) -> ClosedJaxpr:
        if _has_kernel():
            try:
                return jax.make_jaxpr(choice)(*args)
            except _REFUSALS:
                pass
        return jax.make_jaxpr(formula)(*args)

    return traced


# The primitives. What each computes stands in its parameter `call`, where JAX sees that a kernel
# must be told the devices: it splits heads and examples over them.


def _bind(primitive: Primitive, scale: float, *args: jax.Array) -> list[jax.Array]:
    call = _COMPUTES[primitive](scale)(*(jax.typeof(a) for a in args))
    return primitive.bind(*args, call=call, scale=scale)


def _primitive(name: str) -> Primitive:
    primitive = Primitive(name)
    primitive.multiple_results = True
    primitive.def_abstract_eval(lambda *_, call, scale: call.out_avals)
    primitive.def_impl(lambda *args, call, scale: jaxpr_as_fun(call)(*args))

    def lower(ctx: Any, *args: Any, call: ClosedJaxpr, scale: float) -> Any:
        return mlir.lower_fun(jaxpr_as_fun(call), multiple_results=True)(ctx, *args)

    mlir.register_lowering(primitive, lower)
    batching.primitive_batchers[primitive] = functools.partial(_batch, primitive)
    return primitive


def _batch(primitive: Primitive, args: Any, axes: Any, *, call: Any, scale: float) -> Any:
    """The axis of `vmap` joins that of the batch."""
    size = next(a.shape[i] for a, i in zip(args, axes, strict=True) if i is not None)
    each = (
        jnp.broadcast_to(a[None], (size, *a.shape)) if i is None else jnp.moveaxis(a, i, 0)
        for a, i in zip(args, axes, strict=True)
    )
    found = _bind(primitive, scale, *(a.reshape(-1, *a.shape[2:]) for a in each))
    return [a.reshape(size, -1, *a.shape[1:]) for a in found], [0] * len(found)


_attention_p = _primitive("fused_attention")
_differential_p = _primitive("fused_attention_differential")
_gradient_p = _primitive("fused_attention_gradient")
_gradient_of_kernel = functools.partial(_gradient, of=_kernel)
_COMPUTES = {
    _attention_p: functools.partial(_either, _kernel, _formula),
    _differential_p: lambda scale: jax.make_jaxpr(functools.partial(_differential, scale=scale)),
    _gradient_p: functools.partial(_either, _gradient_of_kernel, _gradient),
}


def _jvp(primals: Any, tangents: Any, *, call: Any, scale: float) -> Any:
    given = map(ad.instantiate_zeros, tangents)
    out = _attention_p.bind(*primals, call=call, scale=scale)
    return out, _bind(_differential_p, scale, *primals, *given)


def _transpose(cotangents: Any, *args: Any, call: Any, scale: float) -> list[Any]:
    (g,) = cotangents
    if type(g) is ad.Zero:
        return [None] * 6
    found = _bind(_gradient_p, scale, *args[:3], g)
    linear = map(ad.is_undefined_primal, args[3:])
    return [None] * 3 + [one if is_ else None for one, is_ in zip(found, linear, strict=True)]


def _jvp_of_formula(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Second derivatives are those of the formula."""

    def rule(primals: Any, tangents: Any, *, call: Any, scale: float) -> Any:
        of = functools.partial(formula, scale=scale)
        return jax.jvp(of, tuple(primals), tuple(map(ad.instantiate_zeros, tangents)))

    return rule


ad.primitive_jvps[_attention_p] = _jvp
ad.primitive_transposes[_differential_p] = _transpose
ad.primitive_jvps[_differential_p] = _jvp_of_formula(_differential)
ad.primitive_jvps[_gradient_p] = _jvp_of_formula(_gradient)
