"""Shaded balls: the light comes from the upper left, in front, and is Lambert's cosine."""

import numpy as np

from score_sde.spaces import balls


def test_a_ball_is_as_bright_as_it_faces_the_light():
    one = balls.Balls(np.zeros((1, 3)), np.ones(1), np.full((1, 3), 200.0), np.zeros(1, bool))
    picture = balls.draw(one)[..., 0].astype(float)
    rows, columns = np.nonzero(picture < 255)
    middle = (picture.shape[0] - 1) / 2
    radius = (columns.max() - columns.min() + 1) / 2
    x, y = (columns - middle) / radius, (middle - rows) / radius
    inside = x**2 + y**2 < 0.9  # not at the edge, where white is mixed in
    x, y, shown = x[inside], y[inside], picture[rows, columns][inside]
    right, up, near = np.array([-0.4, 0.5, 0.77]) / np.linalg.norm([-0.4, 0.5, 0.77])
    cosine = np.maximum(right * x + up * y + near * np.sqrt(1 - x**2 - y**2), 0)
    np.testing.assert_allclose(shown, 200 * (0.35 + 0.65 * cosine), atol=4)
