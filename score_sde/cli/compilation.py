"""Keeping what JAX compiles from one command to the next."""

from __future__ import annotations

import os
from collections.abc import Callable

from score_sde.errors import UserError
from score_sde.evaluation import cache
from score_sde.files import on_the_side

VARIABLE = "JAX_COMPILATION_CACHE_DIR"
_MOST = 2 * 2**30  # bytes; what was not used for longest goes first


def keep(say: Callable[[str], None]) -> None:
    """Keep compiled functions in the user's cache, unless JAX is told another folder, or none.

    Args:
        say: told where, when the folder is made.
    """
    import jax

    if VARIABLE in os.environ or jax.config.jax_compilation_cache_dir:
        return
    try:
        path = cache.folder() / "compiled"
    except UserError as error:
        say(f"warning: compiled functions are not kept: {error}")
        return
    with on_the_side(str(path), say):
        new = not path.is_dir()
        path.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_compilation_cache_max_size", _MOST)
        if new:  # known to who has read it once
            say(
                f"compiled functions are kept in {path}, {_MOST // 2**30} GB at most "
                f"({VARIABLE}= turns that off)"
            )
