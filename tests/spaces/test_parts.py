"""Parts of examples, against parts counted by hand."""

import numpy as np

from score_sde import fields
from score_sde.spaces import Backbones, Molecules, Pixels, parts


def test_regions_are_eighths_of_what_there_is():
    """Of 4 atoms the end is 2, of 3 it is 2, and of none it is none; of pixels a fixed part."""
    sizes = np.array([4, 3, 0])
    there = np.arange(5) < sizes[:, None]
    end = parts.region_of_rows(slice(4, 8), there)
    np.testing.assert_array_equal(end, [[0, 0, 1, 1, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
    examples = np.where(there[..., None], [1.0, 2, 3, 6], 0)
    np.testing.assert_array_equal(
        Molecules.of(fields.molecule(5)).region("end", examples), end[..., None]
    )
    np.testing.assert_array_equal(
        parts.region((slice(0, 4), slice(4, 8)), (2, 2)), [[0, 1], [0, 0]]
    )
    pixels = Pixels.of(fields.image((8, 8, 1)))
    assert pixels.region("center", np.zeros((3, 8, 8, 1))).shape == (1, 8, 8, 1)
    chains = Backbones.of(fields.points(8, 3)).region("middle", np.ones((2, 8, 3)))
    np.testing.assert_array_equal(chains[0, :, 0], [0, 0, 1, 1, 1, 1, 0, 0])


def test_deviations_are_of_known_points_up_to_a_motion(x64):
    """Moved as a body they are 0, mirrored they are not; of a longer line each end is off."""
    rng = np.random.default_rng(0)
    asked = rng.standard_normal((1, 6, 3))
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    turn *= np.linalg.det(turn)
    known = np.array([1, 1, 0, 1, 1, 0], bool)[None, :, None]
    moved = np.where(known, asked @ turn + 5, 99.0)
    assert parts.deviations(moved, asked, known)[0] < 1e-12
    assert parts.deviations(-moved, asked, known)[0] > 0.1
    line = np.array([[[0.0, 0, 0], [3, 0, 0]]])
    longer = np.array([[[0.0, 0, 0], [5, 0, 0]]])
    assert abs(parts.deviations(longer, line, np.ones((1, 2, 1), bool))[0] - 1) < 1e-12
    assert parts.deviations(longer, line, np.zeros((1, 2, 1), bool))[0] == 0
