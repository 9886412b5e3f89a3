"""Names of modules in the original files of latent diffusion and today's, as pairs.

A released model is either a folder of components or a single file with all of them, in which
modules have the names of the code that trained them. The arrays are the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from score_sde.interop.released import Arrays

# Today's name of a module by the original one. Those of a longer name hold for what is inside.
Modules = Mapping[str, str]


def renamed(arrays: Arrays, modules: Modules) -> Arrays:
    """Arrays under the names of the other kind.

    Args:
        arrays: by names of the kind of the keys.
        modules: of all that have arrays; see `inverse` for the way back.

    Raises:
        ValueError: an array belongs to no module.
    """
    return {module(name, modules): array for name, array in arrays.items()}


def module(name: str, modules: Modules) -> str:
    """The other name of an array or a module.

    Raises:
        ValueError: it belongs to no module.
    """
    known = name
    while known not in modules:
        known, dot, _ = known.rpartition(".")
        if not dot:
            raise ValueError(f"{name} belongs to no part of the network")
    return modules[known] + name[len(known) :]


def inverse(modules: Modules) -> dict[str, str]:
    """The original names by today's."""
    return {today: original for original, today in modules.items()}


def within(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): array for k, array in arrays.items() if k.startswith(prefix)}
