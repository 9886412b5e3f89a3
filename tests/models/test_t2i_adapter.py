"""T2I-Adapter; its numbers are in tests/interop/components."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.models.functional import functional
from score_sde.models.t2i_adapter import T2IAdapter, _gathered


def made(**options):
    small = {"widths": (4, 8), "halved": (False, True), "factor": 2, "num_res_blocks": 1}
    return functional(lambda rngs: T2IAdapter(**small | options, rngs=rngs))


def features(model, *shape):
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    return {k: a.shape for k, a in jax.eval_shape(model.apply, *model.shapes, x).items()}


def test_sizes_of_the_features():
    """Halved where that is asked for, odd sizes rounded up."""
    assert features(made(), 2, 6, 8, 3) == {"level_0": (2, 3, 4, 4), "level_1": (2, 2, 2, 8)}
    both = made(halved=(False, False))
    assert features(both, 2, 6, 8, 3) == {"level_0": (2, 3, 4, 4), "level_1": (2, 3, 4, 8)}


def test_pixels_are_gathered_with_the_channel_slowest():
    """Of a square of 2 x 2 pixels: all of the first channel, row by row, then of the next."""
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(_gathered(x, 2)[0, 0, 0], [0, 2, 4, 6, 1, 3, 5, 7])


@pytest.mark.parametrize("shape", [(1, 5, 4, 3), (1, 4, 4, 1)])
def test_images_of_wrong_shape_are_refused(shape):
    """With what would do."""
    with pytest.raises(ValueError, match="must be multiples of 2, with 3 channels"):
        features(made(), *shape)


def test_each_level_says_whether_it_is_halved():
    """Or it is refused."""
    with pytest.raises(ValueError, match=r"halved=\(True,\) must have an entry for each of 2"):
        made(halved=(True,))
