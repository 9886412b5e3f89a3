"""Functions that are linear in each of two arrays, with derivatives that are written out.

Of y = f(x, w), and a cotangent g of y, the derivatives

    dL/dx = f_x(g, w)    and    dL/dw = f_w(x, g)                                          (1)

are again linear in each, and the derivatives of the three are the other two: as three primitives
they have derivatives of any order and in any mode. Hutchinson's estimator wants forward mode, which
a `custom_vjp` does not have.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Rule = Callable[..., jax.Array]


class Three(NamedTuple):
    """What is said of f, f_x and f_w of equation (1)."""

    f: Any
    f_x: Any
    f_w: Any


def bilinear(
    name: str,
    shapes: Three,
    rules: Three,
    on_cpu: Three | None = None,
    static: tuple[str, ...] = (),
) -> Primitive:
    """The primitive of f; `name`_of_x and `name`_of_w are those of its derivatives.

    `vmap` of x joins its first axis, which must be one of independent examples.

    Args:
        name: of f.
        shapes: of (shape, shape) of the arguments, that of the result.
        rules: each computes one of the three.
        on_cpu: those for a CPU, which are used in programs that are lowered for one; None: the
            same.
        static: names of arguments that are no arrays, which all functions take by name.
    """
    names = Three(name, f"{name}_of_x", f"{name}_of_w")
    f, f_x, f_w = found = Three(*map(functools.partial(_primitive, static), names, shapes, rules))
    for primitive, rule in zip(found, on_cpu or (), strict=False):
        mlir.register_lowering(primitive, mlir.lower_fun(rule, multiple_results=False), "cpu")
    ad.defbilinear(
        f,
        lambda g, x, w, **how: f_x.bind(g, w, **how),
        lambda g, x, w, **how: f_w.bind(x, g, **how),
    )
    ad.defbilinear(
        f_x,
        lambda x, g, w, **how: f.bind(x, w, **how),
        lambda x, g, w, **how: f_w.bind(x, g, **how),
    )
    ad.defbilinear(
        f_w,
        lambda w, x, g, **how: f_x.bind(g, w, **how),
        lambda w, x, g, **how: f.bind(x, w, **how),
    )
    for primitive, rule in zip(found, rules, strict=True):
        joins = primitive is not f_w
        batching.primitive_batchers[primitive] = functools.partial(_batch, primitive, rule, joins)
    return f


def _primitive(static: tuple[str, ...], name: str, shape: Rule, rule: Rule) -> Primitive:
    """One of the three, but for its derivatives and for `vmap`."""
    primitive = Primitive(name)

    def abstract(one, other, **how):
        if one.dtype != other.dtype:
            raise TypeError(f"{name} of {one.dtype} and {other.dtype}: both must be the same")
        return one.update(shape=shape(one.shape, other.shape, **how), weak_type=False)

    primitive.def_abstract_eval(abstract)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=static))
    mlir.register_lowering(primitive, mlir.lower_fun(rule, multiple_results=False))
    return primitive


def _batch(primitive: Primitive, rule: Rule, joins: bool, args, axes, **how):
    """A batch of x joins its own first axis; one of w is the business of XLA's operations."""
    one, other = args
    if joins and axes[1] is None:
        one = jnp.moveaxis(one, axes[0], 0)
        out = primitive.bind(one.reshape(math.prod(one.shape[:2]), *one.shape[2:]), other, **how)
        return out.reshape(*one.shape[:2], *out.shape[1:]), 0
    return jax.vmap(functools.partial(rule, **how), axes)(one, other), 0
