"""Images moved by affine maps: what comes back as it was, and what is exact."""

import numpy as np
import pytest
from filled import quick_jit

from score_sde.spaces.warping import SYM6, warp

RNG = np.random.default_rng(0)


compiled = quick_jit(warp)


def moved(x, right=0.0, down=0.0, matrix=((1, 0), (0, 1))):
    inverse = np.eye(3)
    inverse[:2, :2], inverse[:2, 2] = matrix, (-right, -down)
    return np.asarray(compiled(x, np.tile(inverse.astype(x.dtype), (len(x), 1, 1))))


def test_the_filter_is_the_orthogonal_one_with_six_vanishing_moments():
    """To the rounding of its table: norm 1, orthogonal to its even shifts, and flat at pi."""
    for shift in range(6):
        inner = SYM6[2 * shift :] @ SYM6[: 12 - 2 * shift]
        np.testing.assert_allclose(inner, shift == 0, atol=1e-12)
    signs, taps = (-1.0) ** np.arange(12), np.arange(12)
    for moment in range(6):
        np.testing.assert_allclose(signs * SYM6 @ (taps / 12.0) ** moment, 0, atol=1e-10)


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 4, 2)])
def test_by_whole_pixels_an_image_is_itself_reflected_at_its_borders(shape):
    """Exactly, also by more than its sides; also one of a single row."""
    x = RNG.standard_normal((2, *shape)).astype(np.float32)
    np.testing.assert_allclose(moved(x), x, atol=2e-6)
    height, width = shape[:2]
    up, left = 2 * height + 1, 3
    wide = np.pad(x, ((0, 0), (up, up), (left, left), (0, 0)), mode="reflect")
    expected = wide[:, 2 * up - 1 :][:, :height, :width] if height > 1 else wide[:, :1, :width]
    np.testing.assert_allclose(moved(x, right=left, down=1 - up), expected, atol=3e-6)


def test_a_smooth_image_moves_as_its_function_does():
    """Half a period over the image, turned, stretched and moved by parts of a pixel: to 2 %."""
    n, angle = 24, 0.5
    at = np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1) - (n - 1) / 2

    def image(p):
        return np.cos(np.pi * p[..., 0] / n) * np.sin(np.pi * p[..., 1] / n + 0.3)

    matrix = 0.8 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = moved(image(at)[None, :, :, None].astype(np.float32), 1.3, -0.6, matrix)
    inside = (slice(6, -6), slice(6, -6))
    expected = image(at @ matrix.T - (1.3, -0.6))
    np.testing.assert_allclose(found[0, :, :, 0][inside], expected[inside], atol=0.02)
