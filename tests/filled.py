"""Networks with random numbers in every array, so that each has an effect.

No program is compiled for them, where the initialisation of a network takes longer to compile than
all else that a test does with it.
"""

import jax
import numpy as np

from score_sde.models.functional import put


def quick_jit(f):
    """Compiles soon rather than well: for programs that run once."""
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0})


def filled(model, seed=0):
    """(parameters, constants) of a model from models.functional, in its dtypes."""
    rng = np.random.default_rng(seed)
    return tuple({k: _numbers(rng, k, s) for k, s in shapes.items()} for shapes in model.shapes)


def _numbers(rng, name, array):
    numbers = rng.standard_normal(array.shape)
    if len(array.shape) > 1:  # kernels keep the size of what they multiply
        numbers /= np.sqrt(np.prod(array.shape[:-1]))
    elif name.endswith("scale"):
        numbers = 1 + 0.1 * numbers
    return put(numbers, array.dtype)
