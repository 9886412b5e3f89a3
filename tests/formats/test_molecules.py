"""XYZ and SDF files: what is written is read, by the formats' columns; damage is one line."""

import numpy as np
import pytest

from score_sde.errors import UserError
from score_sde.formats import sdf, xyz
from score_sde.formats.molecule import Molecule

WATER = Molecule(
    ("O", "H", "H"),
    np.array([[0.0, 0.1173, 0], [0.7572, -0.4692, 0], [-0.7572, -0.4692, 0]]),
    np.array([[0, 1, 1], [0, 2, 1]]),
    "water",
)
SALT = Molecule(("Na", "Cl"), np.array([[0.0, 0, 0], [2.3609, 0, -100.0]]))
FILES = {
    "xyz": "3\nwater\nO 0 0.1173 0\nH 0.7572 -0.4692 0 0.33\nH -0.7572 -4.692e-1 0\n",
    "sdf": "water\n  Mrv\n\n  3  2  0     0  0            999 V2000\n"
    "    0.0000    0.1173    0.0000 O   0  0\n    0.7572   -0.4692    0.0000 H   0  0\n"
    "   -0.7572   -0.4692    0.0000 H   0  0\n  1  2  1  0  0  0  0\n  1  3  1  0  0  0  0\n"
    "M  CHG  1   1   0\nM  END\n> <name>\nwater\n\n$$$$\n",
}
READ = {"xyz": xyz.read, "sdf": sdf.read}
WRITE = {"xyz": xyz.write, "sdf": sdf.write}


@pytest.mark.parametrize("kind", READ)
def test_molecules_are_read_again(tmp_path, kind):
    """Of files that others write too; bonds are in SDF files only."""
    path = tmp_path / f"a.{kind}"
    WRITE[kind](path, [WATER, SALT])
    for content in (path.read_text(), FILES[kind]):
        path.write_text(content)
        first, *_ = READ[kind](path)
        assert (first.symbols, first.title) == (WATER.symbols, "water")
        np.testing.assert_allclose(first.positions, WATER.positions)
        np.testing.assert_array_equal(first.bonds, WATER.bonds[: 2 * (kind == "sdf")])
    WRITE[kind](path, [WATER, SALT])
    second = READ[kind](path)[1]
    assert second.symbols == SALT.symbols
    np.testing.assert_allclose(second.positions, SALT.positions)


def test_the_columns_of_an_sdf_file(tmp_path):
    """Counts, coordinates, symbols and bonds stand where CTfile Formats has them."""
    sdf.write(tmp_path / "a.sdf", [WATER])
    rows = (tmp_path / "a.sdf").read_text().splitlines()
    assert (rows[3][:3], rows[3][3:6], rows[3][34:39]) == ("  3", "  2", "V2000")
    assert (rows[4][10:20], rows[4][31:34]) == ("    0.1173", "O  ")
    assert (rows[7][:3], rows[7][3:6], rows[7][6:9]) == ("  1", "  2", "  1")
    assert rows[-2:] == ["M  END", "$$$$"]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("xyz", "", "has no atoms"),
        ("xyz", "2\n\nO 0 0 0\n", "line 1 says 2 atoms"),
        ("xyz", "999999999\n\nO 0 0 0\n", "says 999999999 atoms"),
        ("xyz", "9" * 5000 + "\n\nO 0 0 0\n", "is no whole number"),
        ("xyz", "1\n\nO 0 0\n", "is no atom"),
        ("xyz", "1\n\nO 0 0 inf\n", "'inf' is no number"),
        ("xyz", "1\n\n; 0 0 0\n", "';' is no symbol"),
        ("sdf", "", "has no molecule"),
        ("sdf", FILES["sdf"].replace("V2000", "V3000"), "does not end in V2000"),
        ("sdf", FILES["sdf"].replace("  3  2", " -3  2"), "counts -3 atoms"),
        ("sdf", FILES["sdf"].replace("  3  2", "999  2"), "counts 999 atoms"),
        ("sdf", FILES["sdf"].replace("  1  3  1", "  1  4  1"), "an atom that there is not"),
        ("sdf", FILES["sdf"].replace("  1  3  1", "  0  3  1"), "an atom that there is not"),
        ("sdf", FILES["sdf"].replace("0.7572", "1e9999"), "is no number"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path, kind, content, message):
    (tmp_path / "bad").write_text(content)
    with pytest.raises(UserError, match=message) as info:
        READ[kind](tmp_path / "bad")
    assert "\n" not in str(info.value)
    assert len(str(info.value)) < 300


def test_what_columns_cannot_hold_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="below 9999"):
        sdf.write(tmp_path / "a.sdf", [Molecule(("H",), np.full((1, 3), 1e4))])
    many = Molecule(("H",) * 1000, np.zeros((1000, 3)))
    with pytest.raises(ValueError, match="counts to 999"):
        sdf.write(tmp_path / "a.sdf", [many])
    assert not (tmp_path / "a.sdf").exists()
    with pytest.raises(ValueError, match="one line"):
        Molecule(("H",), np.zeros((1, 3)), title="a\nb")
