"""OBJ files: what is a triangle of them, and points that are uniform on a surface."""

import numpy as np
import pytest

from score_sde.formats import obj

SQUARE = b"""# a square and a triangle above it
mtllib other.mtl
v 0 0 0
v 2 0 0 1 0 0
v 2 2 0
v 0 2 0
vn 0 0 1
usemtl wood
f 1//1 2/5/1 3 4
v 0 0 1
v 1 0 1
v 0 1 1
f -3 -2 -1
f 1 1 2
"""


def test_polygons_are_fans_and_negative_numbers_count_back():
    """Faces without area are left out."""
    found = obj.triangles(SQUARE)
    a, b, c, d = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]])
    np.testing.assert_array_equal(found[:2], [[a, b, c], [a, c, d]])
    np.testing.assert_array_equal(found[2], [[0, 0, 1], [1, 0, 1], [0, 1, 1]])
    np.testing.assert_array_equal(obj.areas(found), [2, 2, 0.5])


def test_points_are_uniform_on_the_surface():
    """Shares of area, and the mean and the variance of points of a square, to 5 SE."""
    n = 20_000
    points = obj.surface(np.random.default_rng(0), obj.triangles(SQUARE), n)
    above = points[:, 2] == 1
    share = 0.5 / 4.5
    assert abs(above.mean() - share) < 5 * np.sqrt(share * (1 - share) / n)
    square, triangle = points[~above, :2], points[above, :2]
    np.testing.assert_allclose(square.mean(0), 1, atol=5 * np.sqrt(1 / 3 / len(square)))
    np.testing.assert_allclose(square.var(0), 1 / 3, rtol=0.05)
    np.testing.assert_allclose(triangle.mean(0), 1 / 3, atol=5 * np.sqrt(1 / 18 / len(triangle)))
    assert (triangle.sum(1) <= 1 + 1e-12).all()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"v 0 0 0\n", "no faces"),
        (b"v 0 0\nf 1 1 1\n", "three numbers"),
        (b"v 0 0 x\nf 1 1 1\n", "three numbers"),
        (b"v 0 0 0\nf 1 2 3\n", "not there"),
        (b"v 0 0 0\nf 0 1 1\n", "not there"),
        (b"v 0 0 0\nf 1 1 " + b"9" * 30 + b"\n", "not there"),
        (b"v 0 0 0\nf a b c\n", "line 2 is no face"),
        (b"v 0 0 nan\nf 1 1 1\n", "not finite"),
        (b"v 0 0 0\nf 1 1 1\n", "no area"),
        (b"v 0 0 0\nf\n", "no face"),
    ],
)
def test_refusals(data, said):
    with pytest.raises(ValueError, match=said):
        obj.triangles(data)


def test_limits(monkeypatch):
    monkeypatch.setattr(obj, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        obj.triangles(SQUARE)
