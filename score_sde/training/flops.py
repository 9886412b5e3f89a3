"""Floating-point operations of a function, counted from what JAX traced of it.

Counted are matrix products (dot_general) and convolutions, which is where networks compute; a
multiply-add is two operations. What a program needs is a property of the function, not of how a
backend computes it: XLA's own report knows neither the calls of its libraries nor how often a loop
turns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

# Whose products cannot be seen: kernels and library calls.
_HIDDEN = ("pallas_call", "ffi_call", "dot_product_attention")
# Of the primitives of score_sde.models.conv: which of (argument, argument, result) are the images
# that are convolved, the kernel, and what comes of them.
_CONV2D = {"conv2d": (0, 1, 2), "conv2d_of_x": (2, 1, 0), "conv2d_of_w": (0, 2, 1)}
_LINEAR = ("linear", "linear_of_x", "linear_of_w")  # of score_sde.models.linear


def count(function: Callable[..., Any], *args: Any) -> float:
    """The operations of one call.

    Args:
        function: any that JAX can trace, jitted or not. It is not run.
        *args: its arguments; jax.ShapeDtypeStruct will do for arrays.

    Returns:
        Floating-point operations of all its products and convolutions.

    Raises:
        ValueError: products lie where they cannot be counted; see of_jaxpr.
    """
    return of_jaxpr(jax.make_jaxpr(function)(*args).jaxpr)


def of_jaxpr(jaxpr: Jaxpr) -> float:
    """The operations of a function that was traced, such as jax.jit(f).trace(...).jaxpr.jaxpr.

    A scan counts as often as it turns, and the most costly branch of a cond once. Of a choice by
    platform its default counts, which computes the same and hides nothing. A function with
    derivatives of its own counts as it is called: what its derivative computes is counted where it
    was differentiated. In shard_map each device counts.

    Raises:
        ValueError: a while loop multiplies matrices, and how often it turns is not known; or a
            kernel or a call of a library does, whose inside cannot be seen.
    """
    return sum((_of(equation) for equation in jaxpr.eqns), 0.0)


def _of(equation: JaxprEqn) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        return _product(equation)
    if name == "conv_general_dilated":
        numbers = params["dimension_numbers"]
        return _convolution(equation, numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec)
    if name in _CONV2D:
        return _conv2d(equation)
    if name in _LINEAR:
        return _linear(equation)
    if name == "attention_logits":
        query, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
        return 2.0 * math.prod(out) * query[-1]
    if name.startswith(_HIDDEN):
        raise ValueError(f"the operations of {name} cannot be counted")
    if name == "cond" and None in (params.get("branches_platforms") or ()):
        return of_jaxpr(params["branches"][params["branches_platforms"].index(None)].jaxpr)
    if name == "cond":
        return max(of_jaxpr(branch.jaxpr) for branch in params["branches"])
    inside = sum((of_jaxpr(jaxpr) for jaxpr in _inside(params)), 0.0)
    if name == "while" and inside:
        raise ValueError("how often a while loop multiplies matrices is not known before it is run")
    return inside * _times(name, params)


def _times(name: str, params: dict[str, Any]) -> int:
    """How often what is inside an equation is computed."""
    if name == "scan":
        return params["length"]
    if name == "shard_map":
        axes = params.get(
            "newly_manual_axes", params.get("manual_axes")
        )  # as of 0.10.2, and before
        return math.prod(params["mesh"].shape[axis] for axis in axes)
    return 1


def _inside(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The functions that an equation calls."""
    for value in params.values():
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, Jaxpr):
                yield one


def _product(equation: JaxprEqn) -> float:
    """Each number of the result is a sum over the contracted dimensions."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    lhs, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return 2.0 * math.prod(out) * math.prod(lhs[axis] for axis in contracted)


def _linear(equation: JaxprEqn) -> float:
    """Of [n, a], [a, b] and [n, b], in any order: a multiply-add for each (n, a, b)."""
    arrays = (*equation.invars, *equation.outvars)
    return 2.0 * math.isqrt(math.prod(math.prod(one.aval.shape) for one in arrays))


def _conv2d(equation: JaxprEqn) -> float:
    """A convolution of the networks here, or one of its derivatives: each costs what it does."""
    arrays = [one.aval.shape for one in (*equation.invars, *equation.outvars)]
    x, kernel, y = (arrays[place] for place in _CONV2D[equation.primitive.name])
    pixels = math.prod(min(pair) for pair in zip(x[1:3], y[1:3], strict=True))
    return 2.0 * x[0] * pixels * math.prod(kernel)


def _convolution(
    equation: JaxprEqn, lhs_spec: tuple[int, ...], rhs_spec: tuple[int, ...], out_spec: tuple
) -> float:
    """Each number of the result is a sum over the taps and the features of the kernel's input.

    Zeros at the border count, as in published figures. Zeros between pixels, of an input that a
    derivative spreads by the stride, do not: a tap meets each pixel of the input, or makes each of
    the result, once at most. A specification is (batch, features, *space), of a kernel
    (out, in, *space).
    """
    lhs, rhs = (one.aval.shape for one in equation.invars[:2])
    out = equation.outvars[0].aval.shape
    pixels = [min(lhs[i], out[o]) for i, o in zip(lhs_spec[2:], out_spec[2:], strict=True)]
    taps = math.prod(rhs[axis] for axis in rhs_spec[1:])
    return 2.0 * out[out_spec[0]] * out[out_spec[1]] * math.prod(pixels) * taps
