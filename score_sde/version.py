"""The version, in a file that setup.cfg can read without importing JAX; and those of libraries."""

import importlib.metadata

__version__ = "0.1.0"


def versions() -> dict[str, str]:
    """Those of this package and of what determines how a state is computed and written."""
    libraries = ("jax", "flax", "optax", "orbax-checkpoint")
    return {
        "score_sde": __version__,
        **{name: importlib.metadata.version(name) for name in libraries},
    }
