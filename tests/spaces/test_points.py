"""Sets of points: where they lie, their scale, files, pictures, and random rotations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_subject import made_source
from PIL import Image

from score_sde import fields
from score_sde.errors import UserError
from score_sde.images import read
from score_sde.spaces import Points, turntable
from score_sde.spaces.rotations import ROTATIONS

KEY = jax.random.key(4)
FIELD = fields.points(5, 4)
SIZES = np.array([5, 3, 1], np.float32)


def examples():
    """Sets of 5, 3 and 1 points, with a feature each; their places are about (1, 2, 3)."""
    x = np.random.default_rng(0).standard_normal((3, 5, 4)) * 2 + [1, 2, 3, 0.5]
    return np.where(np.arange(5)[None, :, None] < SIZES[:, None, None], x, 0).astype(np.float32)


def fitted(**options):
    arrays = {"points": examples(), "size": SIZES}
    source = made_source(arrays, [FIELD, fields.number("size")])
    return Points.of(FIELD, size="size", **options).fitted(source, "points")


def test_states_lie_in_the_subspace_and_have_unit_scale():
    """Their root mean square over the points that there are is 1; decoded they are centred."""
    space, x = fitted(), examples()
    states = space.encode(x)
    cond = {"size": SIZES}
    np.testing.assert_allclose(space.subspace.project(states, cond), states, atol=1e-6)
    places = np.concatenate([one[: int(n)] for one, n in zip(states, SIZES, strict=True)])
    np.testing.assert_allclose((places[:, :3] ** 2).mean(), 1, rtol=1e-5)
    np.testing.assert_allclose((places[:, 3] ** 2).mean(), 1, rtol=1e-5)
    again = np.asarray(space.decode(states))
    np.testing.assert_allclose(space.encode(again), states, atol=1e-6)
    for one, decoded, n in zip(x, again, SIZES.astype(int), strict=True):
        middle = np.append(one[:n, :3].mean(0), 0)
        np.testing.assert_allclose(decoded[:n], one[:n] - middle, atol=1e-5)
        assert not decoded[n:].any()


def test_log_volume_is_of_the_dimensions_of_each():
    """Of a map that is linear on the subspace: the log of its scale in each direction of it."""
    space = fitted()
    places, value = np.log(space.scale[0]), np.log(space.scale[3])
    expected = -(3 * (SIZES - 1) * places + SIZES * value)
    np.testing.assert_allclose(space.log_volume(examples()), expected, rtol=1e-5)


def test_arrays_make_it_again():
    space = fitted(rotations="all")
    plain = Points.of(FIELD, size="size", rotations="all")
    np.testing.assert_array_equal(plain.with_arrays(space.arrays()).scale, space.scale)
    assert jax.tree.structure(space) == jax.tree.structure(plain)


@pytest.mark.parametrize("name", ROTATIONS)
def test_rotations_are_proper_and_uniform(x64, name):
    """R^T R = 1 and det R = 1; the mean of R is the projection onto its axis, to 5 SE."""
    turns = jax.vmap(lambda key: ROTATIONS[name](key, jnp.float64))(jax.random.split(KEY, 2000))
    squares = jnp.einsum("nij,nik->njk", turns, turns)
    np.testing.assert_allclose(squares, np.broadcast_to(np.eye(3), squares.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-12)
    mean = {"none": np.eye(3), "vertical": np.diag([0, 0, 1]), "all": np.zeros((3, 3))}[name]
    np.testing.assert_allclose(turns.mean(0), mean, atol=5 / np.sqrt(2 * 2000))
    if name == "all":  # E[R_ij^2] = 1/3, and its variance 4/45
        np.testing.assert_allclose((turns**2).mean(0), 1 / 3, atol=5 * np.sqrt(4 / 45 / 2000))


def test_augmentation_turns_each_example_alone():
    """Distances and features stay; a key each draws the same whatever stands beside."""
    space, x = fitted(rotations="vertical"), jnp.asarray(examples())
    keys = jax.random.split(KEY, 3)
    turned = space.augment(keys, x)
    np.testing.assert_allclose(turned[..., 2:], x[..., 2:], rtol=1e-6)
    np.testing.assert_allclose(
        jnp.linalg.norm(turned[..., :2], axis=-1), jnp.linalg.norm(x[..., :2], axis=-1), rtol=1e-5
    )
    assert float(jnp.abs(turned - x).max()) > 0.1
    np.testing.assert_allclose(space.augment(keys[1:], x[1:]), turned[1:], rtol=1e-6)
    np.testing.assert_array_equal(fitted().augment(KEY, x), x)


def test_files_and_pictures(tmp_path):
    """A PLY file has a line for each point; a picture shows four sides of each set."""
    space, x = fitted(), examples()
    space.save(tmp_path / "sets", [str(n) for n in range(len(x))], x)
    lines = (tmp_path / "sets" / "1.ply").read_text().splitlines()
    header = lines.index("end_header")
    assert lines[:3] == ["ply", "format ascii 1.0", "element vertex 3"]
    assert lines[3:header] == [f"property float {name}" for name in ("x", "y", "z", "value_0")]
    np.testing.assert_allclose(np.loadtxt(lines[header + 1 :]), x[1, :3], rtol=1e-6)
    space.show(tmp_path / "sets.png", x, columns=1)
    shown = np.asarray(read(tmp_path / "sets.png"))
    assert shown.shape[1::-1] == (4 * turntable.SIDE + 4, 3 * (turntable.SIDE + 2) + 2)
    assert space.corner(3) == (3 * (4 * turntable.SIDE + 2) + 2, 3 * (turntable.SIDE + 2) + 2)


def test_a_turntable_plays(tmp_path):
    """A whole turn about the third axis in a GIF, sets side by side; the PNG has its quarters."""
    space, x = fitted(), examples()
    space.show(tmp_path / "sets.png", x, columns=2)
    with Image.open(tmp_path / "sets.gif") as picture:
        assert (picture.n_frames, picture.info["loop"]) == (turntable.FRAMES, 0)
        assert picture.size == (2 * (turntable.SIDE + 2) + 2, 2 * (turntable.SIDE + 2) + 2)
    space.show(tmp_path / "told.png", x, 2, ["chair", "", "Living room"])
    for ending, across in (("gif", 1), ("png", turntable.VIEWS)):
        with Image.open(tmp_path / f"told.{ending}") as picture:
            down = 2 * (turntable.SIDE + 14 + 2) + 2  # a line of letters above each row
            assert picture.size == (2 * (across * turntable.SIDE + 2) + 2, down)
            above = np.asarray(picture.convert("L"))[:16]
            assert (above[:, : above.shape[1] // 2] < 100).any()
            assert (above[:, above.shape[1] // 2 :] > 200).all()
    turns, still = turntable.turning(x[..., :3], frames=4), turntable.views(x[..., :3])
    assert turns.shape == (4, len(x), turntable.SIDE, turntable.SIDE, 3)
    np.testing.assert_array_equal(np.concatenate(turns, axis=2), still)
    around = np.array([[0, 0, 1.0], [0, 0, -1], [1, 0, 0], [-1, 0, 0]])
    whole = turntable.turning(around[None], side=64, frames=8)[:, 0]
    for frame in range(8):
        np.testing.assert_array_equal(whole[frame, :14], whole[0, :14])  # the top stays
        np.testing.assert_array_equal(whole[frame], whole[frame - 4])  # half a turn changes nothing
    assert len({frame.tobytes() for frame in whole}) == 4


def test_the_nearer_disc_hides_the_farther():
    """Of two points on a line to the eye, in either order; without points all is white."""
    line = np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [0.5, 0.5, -1.0]])
    found = [turntable.seen(line[order], 64) for order in ([0, 1, 2], [2, 1, 0])]
    np.testing.assert_array_equal(*found)
    near, far = found[0][32, 32], found[0][32 - 14, 32 + 14]
    assert (near < far).all()
    assert (far < 255).all()
    assert (turntable.views(np.zeros((1, 4, 3)))[0] == 255).all()


def test_refusals():
    with pytest.raises(ValueError, match="has no places in space"):
        Points.of(fields.points(4, 2))
    bad = np.full((2, 5, 4), np.nan, np.float32)
    source = made_source({"points": bad}, [FIELD])
    with pytest.raises(UserError, match="not finite"):
        Points.of(FIELD).fitted(source, "points")
