"""A z-buffer: which pixels a triangle covers, how near it is there, and which one is seen."""

import numpy as np

from score_sde.data.furniture import rendering
from score_sde.spaces import turntable

SIDE = 40
HALF = SIDE * (1 - 2 * rendering._MARGIN) / 2


def middles():
    """(right, up) of the middle of each pixel, [side, side, 2]."""
    place = (np.arange(SIDE) + 0.5 - SIDE / 2) / HALF
    return np.stack(np.meshgrid(place, -place), axis=-1)


def test_depth_is_linear_on_a_triangle():
    """Exactly where pixels' middles are inside, the plane's height."""
    corners = np.array([[-0.8, -0.7, -0.5], [0.9, -0.4, 0.1], [0.1, 0.8, 0.6]])
    depth, normals = rendering.buffers(corners[None], SIDE)
    plane = np.linalg.solve(np.c_[corners[:, :2], np.ones(3)], corners[:, 2])
    expected = middles() @ plane[:2] + plane[2]
    flat = middles().reshape(-1, 2)
    edges = np.roll(corners, -1, 0)[:, :2] - corners[:, :2]
    to = flat[:, None] - corners[None, :, :2]
    inside = (edges[:, 0] * to[..., 1] - edges[:, 1] * to[..., 0] >= 0).all(1).reshape(SIDE, SIDE)
    np.testing.assert_array_equal(np.isfinite(depth), inside)
    np.testing.assert_allclose(depth[inside], expected[inside], atol=1e-12)
    normal = np.array([-plane[0], -plane[1], 1])
    np.testing.assert_allclose(normals[inside][0], normal / np.linalg.norm(normal), atol=1e-12)


def test_the_nearest_is_seen(monkeypatch):
    """In any order, and however few are drawn at a time; one seen from the side is not."""
    far = np.array([[-1.0, -1, -0.5], [1, -1, -0.5], [0, 1, -0.5]])
    near = np.array([[-0.5, -0.5, 0.5], [0.5, -0.5, 0.5], [0, 0.5, 0.5]])
    side = np.array([[0.0, -1, 0.9], [0, 1, 0.9], [0, 0, -0.9]])
    both, _ = rendering.buffers(np.stack([far, near, side]), SIDE)
    np.testing.assert_allclose(both[SIDE // 2, SIDE // 2], 0.5)
    np.testing.assert_allclose(np.abs(both[np.isfinite(both)]), 0.5)
    assert both[np.isfinite(both)].min() < 0
    other, _ = rendering.buffers(np.stack([near, side, far]), SIDE)
    np.testing.assert_allclose(other, both)
    monkeypatch.setattr(rendering, "_AT_ONCE", 1)
    again, _ = rendering.buffers(np.stack([side, near, far]), SIDE)
    np.testing.assert_allclose(again, both)


def test_a_picture_and_its_depth():
    """White and 0 where there is nothing; a plane across the eye is of one shade and depth."""
    square = np.array([[[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5]]])
    image, depth = rendering.picture(square, 0.0, 0.0, 16)
    assert image.shape == depth.shape == (16, 16, 1)
    assert image[0, 0] == 255
    assert depth[0, 0] == 0
    assert len(np.unique(depth[8:10, 8:10])) == 1
    assert abs(int(depth[9, 9, 0]) - (32 + 223 / 2)) <= 1
    # A quarter of a turn: it is seen from its side, so not at all.
    assert rendering.picture(square, np.pi / 2, 0.0, 16)[1].max() == 0


def test_cameras_are_rotations():
    """Of both renderers; the third axis is up on the picture."""
    for camera in (rendering.camera(0.7, 0.3), turntable._camera(0.7)):
        np.testing.assert_allclose(camera @ camera.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(camera), 1)
        assert camera[0, 2] == 0
        assert camera[1, 2] > 0
