"""Functions that are held fixed while others are differentiated, as targets of a loss are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def frozen(function: Callable[..., Any], *args: jax.Array) -> Any:
    """function(*args), of which no derivative is taken, nor computed.

    A stop_gradient on what a function returns gives the same gradient. But of a function that takes
    derivatives itself, as the total derivative of a flow map along its path, JAX would first make
    the second derivatives, to throw them away. Here all that the function has, its arguments and
    what it closes over, is a constant.

    Args:
        function: of arrays, to arrays.
        *args: its arguments.
    """
    converted, held = jax.closure_convert(function, *args)
    return converted(*jax.lax.stop_gradient(args), *jax.lax.stop_gradient(held))


def held(function: Callable[..., Any], *args: jax.Array) -> Any:
    """function(*args), of whose arguments derivatives are taken, and not of what it closes over.

    As of a discriminator that an image is to deceive.

    Args:
        function: of arrays, to arrays.
        *args: its arguments.
    """
    converted, constants = jax.closure_convert(function, *args)
    return converted(*args, *jax.lax.stop_gradient(constants))
