"""Molecules and backbones: there and back, in their subspace, files read again, pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import fields
from score_sde.formats import pdb, sdf, xyz
from score_sde.images import read
from score_sde.spaces import Backbones, Molecules, balls

FIELD = fields.molecule(5)
WATER = [(0, 0, 0, 8), (0.757, 0.587, 0, 1), (-0.757, 0.587, 0, 1)]
CARBON_DIOXIDE = [(-1.17, 0, 0, 8), (0, 0, 0, 6), (1.17, 0, 0, 8)]
NITROGEN = [(3, 0, 0, 7), (4.10, 0, 0, 7)]
SIZES = np.array([3, 3, 2], np.float32)


def examples():
    x = np.zeros((3, 5, 4), np.float32)
    for row, atoms in zip(x, (WATER, CARBON_DIOXIDE, NITROGEN), strict=True):
        row[: len(atoms)] = atoms
    return x


@pytest.mark.parametrize("charge", [0.0, 0.1])
def test_there_and_back(charge):
    """Up to the centre; in the subspace; elements are one-hot, and survive noise below a half."""
    space, x = Molecules.of(FIELD, scale=2.0, charge_scale=charge), examples()
    states = np.asarray(space.encode(x))
    assert states.shape[1:] == space.shape == (5, 8 + (charge > 0))
    cond = {"atoms": SIZES}
    np.testing.assert_allclose(space.subspace.project(states, cond), states, atol=1e-7)
    np.testing.assert_array_equal(states[0, :3, 3:8] != 0, np.eye(5)[[3, 0, 0]])
    np.testing.assert_allclose(states[..., 3:8].sum(-1), 0.25 * (x[..., 3] > 0))
    if charge:
        np.testing.assert_allclose(states[1, :3, 8], 0.1 * np.array([8, 6, 8]) / 9, rtol=1e-6)
    noise = np.random.default_rng(0).uniform(-0.12, 0.12, states.shape) * (x[..., 3:] > 0)
    noise[..., :3] = 0
    noise = noise.astype(np.float32)
    for found in (space.decode(states), space.decode(states + noise)):
        np.testing.assert_array_equal(found[..., 3], x[..., 3])
        for one, again, n in zip(x, np.asarray(found), SIZES.astype(int), strict=True):
            np.testing.assert_allclose(again[:n, :3], one[:n, :3] - one[:n, :3].mean(0), atol=1e-6)
            assert not again[n:].any()


def test_random_rotations_are_of_places_alone():
    space, x = Molecules.of(FIELD, rotations="all"), examples()
    turned = np.asarray(space.augment(jax.random.key(0), jnp.asarray(x)))
    np.testing.assert_array_equal(turned[..., 3], x[..., 3])
    lengths = [np.linalg.norm(a[..., :3], axis=-1) for a in (turned, x)]
    np.testing.assert_allclose(*lengths, rtol=1e-5)
    assert np.abs(turned - x).max() > 0.1


def test_molecules_are_saved_with_bonds_and_read_again(tmp_path):
    """By their formulas; as XYZ files without bonds."""
    x = examples()
    for kind, reader in (("sdf", sdf.read), ("xyz", xyz.read)):
        Molecules.of(FIELD, file=kind).save(tmp_path, [str(n) for n in range(len(x))], x)
        found = [reader(tmp_path / f"{number}.{kind}")[0] for number in range(3)]
        assert [one.title for one in found] == ["H2O", "CO2", "N2"]
        assert found[0].symbols == ("O", "H", "H")
        for one, example in zip(found, x, strict=True):
            n = len(one.symbols)
            np.testing.assert_allclose(one.positions, example[:n, :3], atol=1e-4)
    found = sdf.read(tmp_path / "1.sdf")[0].bonds
    np.testing.assert_array_equal(found, [[0, 1, 2], [1, 2, 2]])
    assert sdf.read(tmp_path / "2.sdf")[0].bonds.tolist() == [[0, 1, 3]]


def test_backbones_are_saved_and_read_again(tmp_path):
    """As chains of C-alphas, to the digits of a PDB file; with the scale and centre of points."""
    space = Backbones.of(fields.points(8, 3))
    x = np.random.default_rng(0).uniform(-30, 30, (2, 8, 3)).astype(np.float32)
    space.save(tmp_path, [str(n) for n in range(len(x))], x)
    (chain,) = pdb.read(tmp_path / "1.pdb")
    np.testing.assert_allclose(chain.positions[:, 0], x[1], atol=5.1e-4)
    centred = x - x.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(space.decode(space.encode(x)), centred, atol=1e-4)


def test_pictures(tmp_path):
    """As large as `corner` says; what is drawn fills them, in the colours of the elements."""
    space, chains = Molecules.of(FIELD), Backbones.of(fields.points(8, 3))
    space.show(tmp_path / "molecules.png", examples(), columns=2)
    shown = np.asarray(read(tmp_path / "molecules.png"))
    assert shown.shape[1::-1] == space.corner(2)
    inner = shown[2 : 2 + balls.SIDE, 2 : 2 + balls.SIDE]
    red = (inner[..., 0] > 80) & (inner[..., 1] < 60)
    assert 0.02 < red.mean() < 0.4
    walk = np.cumsum(np.random.default_rng(0).standard_normal((1, 8, 3)) * 2, axis=1)
    chains.show(tmp_path / "chains.png", walk.astype(np.float32))
    assert read(tmp_path / "chains.png").size == chains.corner(1)


def test_a_ball_hides_what_is_behind_it():
    """In either order, and lit from above on the left; nothing is white."""
    centres = np.array([[-3, 0, 0.0], [3, 0, 0], [0, 1.5, 0], [0, -1.5, 0], [0, 0, 1], [0, 0, -1]])
    colours = np.array([[200.0, 200, 200]] * 4 + [[250, 0, 0], [0, 0, 250]])
    balls_ = balls.Balls(centres, np.full(6, 0.8), colours, np.zeros(6, bool))
    back = balls.Balls(*(array[::-1] for array in balls_))
    pictures = [balls.draw(one, 96) for one in (balls_, back)]
    np.testing.assert_array_equal(*pictures)
    middle = pictures[0][48, 48].astype(int)
    assert max(middle[0], middle[2]) > 150
    assert min(middle[0], middle[2]) == 0
    above, below = pictures[0][43, 43].astype(int).max(), pictures[0][53, 53].astype(int).max()
    assert above > below
    assert (balls.draw(balls.Balls(*(array[:0] for array in balls_))) == 255).all()


def magenta(picture):
    r, g, b = np.moveaxis(picture.astype(int), -1, 0)
    return (r > 200) & (g < 60) & (b > 130)


def test_what_is_known_is_outlined(tmp_path):
    """And nothing else; the outline of one part of a ball is behind what overlaps it."""
    line = np.arange(16)[:, None] * np.array([[3.8, 0, 0]]) + np.array([[1.0, 2, 3]])
    known = np.zeros((1, 16), bool)
    known[0, :4] = True
    space = Backbones.of(fields.points(16, 3))
    found = {}
    for name, part in (("without", None), ("with", known)):
        space.show(tmp_path / f"{name}.png", line[None].astype(np.float32), known=part)
        found[name] = np.asarray(read(tmp_path / f"{name}.png"))
    assert not magenta(found["without"]).any()
    columns = np.flatnonzero(magenta(found["with"]).any(axis=0))
    middle = found["with"].shape[1] // 2
    assert len(columns) > 20
    assert (columns < middle).all() or (columns > middle).all()
    tube = (found["without"] < 250).any(axis=-1)
    assert not magenta(found["with"])[tube].any()
    molecules = Molecules.of(FIELD)
    known = np.array([[True, False, False, False, False]] * 3)
    molecules.show(tmp_path / "molecules.png", examples(), 3, known=known)
    assert all(magenta(part).any() for part in np.split(read_array(tmp_path), [162, 324], axis=1))


def read_array(folder):
    return np.asarray(read(folder / "molecules.png"))


def test_a_tube_ends_where_nothing_is_known(tmp_path):
    """Of a line whose middle is hidden, the middle is white; and its colours go on."""
    line = np.arange(16)[:, None] * np.array([[3.8, 0, 0]]) + np.array([[1.0, 2, 3]])
    hidden = np.where((np.arange(16) < 5) | (np.arange(16) > 10), line.T, 0).T
    pictures = []
    for places in (line, hidden):
        path = tmp_path / "chain.png"
        Backbones.of(fields.points(16, 3)).show(path, places[None].astype(np.float32))
        pictures.append(np.asarray(read(path)).astype(int))
    drawn = [(picture < 250).any(axis=(0, 2)) for picture in pictures]
    middle = slice(len(drawn[0]) // 2 - 20, len(drawn[0]) // 2 + 20)
    assert drawn[0][middle].all()
    assert not drawn[1][middle].any()
    assert drawn[1].sum() > 60
    np.testing.assert_allclose(pictures[0][:, :40], pictures[1][:, :40], atol=40)
