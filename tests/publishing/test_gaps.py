"""The docstrings of public names leave out nothing that a program can find."""

import dataclasses
import functools
import types

import jax
import numpy as np
import pytest

from publishing import gaps
from score_sde import sections
from score_sde.runs import config as configs

pytestmark = pytest.mark.slow


def test_nothing_is_left_out():
    """Of public names, algorithms, and fields of configs."""
    found = list(gaps.gaps())
    assert not found, "\n".join(found)


def whole(x: jax.Array, key: jax.Array, n: int = 2) -> jax.Array:
    """Something of x.

    Args:
        x: states, [batch, *data].
        key: JAX random key.
        n: how often.

    Returns:
        The shape of x.

    Raises:
        ValueError: n is odd.
    """
    if n % 2:
        raise ValueError(n)
    return x


def short(x: jax.Array, t: jax.Array) -> jax.Array:
    """x at time t; shape of x."""


def caught(x: int) -> int:
    """x, whatever is raised."""
    try:
        raise ValueError(x)
    except ValueError:
        return x


def delegates(x: jax.Array) -> jax.Array:
    """The same; arguments as for `whole`, [batch]."""


@pytest.mark.parametrize("function", [whole, short, caught, delegates])
def test_a_function_that_says_all(function):
    assert list(gaps.of_function("f", function)) == []


NO_N = """Something of x [batch], with key; [batch].

    Raises:
        ValueError: it is odd.
    """


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", "no docstring"),
        (NO_N, "the argument n"),
        (whole.__doc__.replace("states, [batch, *data]", "states"), "the shape of x"),
        (whole.__doc__.replace("The shape of x", "Something"), "the shape of what it returns"),
        (whole.__doc__.replace("ValueError: n is odd", "Nothing"), "raises ValueError"),
    ],
)
def test_what_a_function_leaves_out(text, missing):
    """Nothing else is said to be missing."""
    function = types.FunctionType(whole.__code__, whole.__globals__)
    function.__doc__, function.__annotations__ = text, whole.__annotations__
    assert list(gaps.of_function("f", function)) == [f"f: {missing}"]


@dataclasses.dataclass
class Base:
    """One that has all.

    Attributes:
        mean: [d].
        n: how many.
    """

    mean: np.ndarray
    n: int = 1

    def call(self, x: int) -> int:
        """Of x."""


@dataclasses.dataclass
class Derived(Base):
    """Its own field and method are not described; what it overrides is.

    Attributes:
        scale: of each.
    """

    scale: "np.ndarray" = None
    more: int = 0

    def call(self, x: int) -> int:
        """See Base."""

    def own(self, y: int) -> int:
        """Nothing."""


def test_what_a_class_leaves_out():
    assert list(gaps.of_class("C", Base)) == []
    assert list(gaps.of_class("C", Derived)) == ["C: the shape of scale", "C: the argument more"]


def test_what_is_not_overridden_is_described(monkeypatch):
    """Methods of this package's classes, if no base has them."""
    monkeypatch.setattr(Derived, "__module__", "score_sde.made")
    assert "C.own: the argument y" in list(gaps.of_class("C", Derived))


def test_an_algorithm_is_somebodys():
    """By a paper in the docstring of the class, or of its file, which this one lacks."""
    assert list(gaps.of_algorithm("metric m", Base)) == [f"metric m: its source ({__name__})"]
    sourced = type("Sourced", (Base,), {"__doc__": "Of arXiv 2011.13456.", "__module__": __name__})
    assert list(gaps.of_algorithm("metric m", sourced)) == []
    assert list(gaps.of_algorithm("metric m", functools.partial(sourced))) == []


def test_a_field_has_a_meaning(monkeypatch):
    """That of the seed is taken away."""
    entries = configs.entries

    def without(network):
        return entries(network) | {"seed": sections.Entry(0, int)}

    monkeypatch.setattr(configs, "entries", without)
    assert "config.seed of mlp: its meaning" in list(gaps.of_fields())
