"""PDB files: what is written is read, by columns that every viewer reads; damage is one line."""

import gzip

import numpy as np
import pytest

from score_sde.errors import UserError
from score_sde.formats import pdb

# A record as the format's version 3.3 prints it, and its neighbours.
ATOM = "ATOM     32  N  AARG A  -3      11.281  86.699  94.383  0.50 35.88           N  "


def line(atom, residue, number, place, chain="A", kind="ATOM  ", other=" ", inserted=" "):
    """A record, by the columns of the format; its name stands from column 14 on."""
    x, y, z = place
    name = f" {atom:<3}{other}"
    where = f"{residue:>3} {chain}{number:>4}{inserted}"
    return f"{kind}{1:5d} {name}{where}   {x:8.3f}{y:8.3f}{z:8.3f}"


def test_a_chain_is_read_again(tmp_path):
    """To the three digits of the format, with an atom that is missing; the columns are right."""
    places = np.random.default_rng(0).uniform(-900, 9000, (5, 4, 3)).round(3)
    places[2, 3] = np.nan
    chain = pdb.Chain("B", ("GLY", "ALA", "MET", "TRP", "LYS"), np.arange(-2, 3), places)
    pdb.write(tmp_path / "a.pdb", [chain, chain], pdb.BACKBONE)
    text = (tmp_path / "a.pdb").read_text().splitlines()
    assert (text[0][:6], text[0][12:16], text[0][76:78]) == ("ATOM  ", " N  ", " N")
    assert (text[0][17:20], text[0][21], text[0][22:26]) == ("GLY", "B", "  -2")
    assert {len(row) for row in text if row.startswith("ATOM")} == {80}
    assert (text[19][:26], text[-1]) == ("TER      20      LYS B   2", "END")
    for found in pdb.read(tmp_path / "a.pdb", pdb.BACKBONE):
        assert (found.name, found.residues) == (chain.name, chain.residues)
        np.testing.assert_array_equal(found.numbers, chain.numbers)
        np.testing.assert_array_equal(found.positions, places)
    pdb.write(tmp_path / "b.pdb", [pdb.trace(places[:, 1])])
    (found,) = pdb.read(tmp_path / "b.pdb")
    np.testing.assert_array_equal(found.positions, places[:, 1:2])
    np.testing.assert_array_equal(found.numbers, np.arange(1, 6))


def test_what_of_a_file_is_a_chain(tmp_path):
    """One model, the first places of atoms, inserted and modified residues; no water, no ligand."""
    rows = [
        "HEADER    HYDROLASE",
        ATOM,
        line("CA", "ARG", -3, (0, 0, 0), other="A"),
        line("CA", "LYS", -3, (9, 9, 9), other="B"),  # another residue at the same place
        line("CA", "SER", -3, (1, 0, 0), inserted="A"),
        line("CA", "MSE", -2, (2, 0, 0), kind="HETATM"),
        line("CB", "MSE", -2, (7, 7, 7), kind="HETATM"),
        "TER",
        line("CA", "CA", 1, (5, 5, 5), kind="HETATM"),  # calcium
        line("CA", "ALA", 1, (3, 0, 0), chain="C"),
        "ENDMDL",
        line("CA", "ALA", 1, (4, 0, 0), chain="D"),
    ]
    path = tmp_path / "a.ent.gz"
    path.write_bytes(gzip.compress("\r\n".join(rows).encode()))
    first, second = pdb.read(path)
    assert first.residues == ("ARG", "SER", "MSE")
    np.testing.assert_array_equal(first.numbers, [-3, -3, -2])
    np.testing.assert_array_equal(first.positions[:, 0, 0], [0, 1, 2])
    assert (second.name, len(second)) == ("C", 1)
    whole = pdb.read(path, pdb.BACKBONE)[0]
    np.testing.assert_array_equal(whole.positions[0, 0], [11.281, 86.699, 94.383])
    assert np.isnan(whole.positions[0, 2]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no residue with atoms CA"),
        (b"\x7fELF\0\0", "is binary"),
        (b"\x1f\x8b\x08\0garbage", "cannot read"),
        (gzip.compress(b"ATOM", mtime=0)[:-6], "cannot read"),
        (b"\xff\xfe ATOM", "has no residue"),
        (line("CA", "ALA", 1, (0, 0, 0)).replace("0.000", "  nan", 1).encode(), "'nan' is no num"),
        (line("CA", "ALA", 1, (0, 0, 0)).replace("0.000", "1_000", 1).encode(), "is no number"),
        (line("CA", "ALA", 1, (0, 0, 0))[:40].encode(), "'' is no number"),
        (line("CA", "ALA", "0x1", (0, 0, 0)).encode(), "the number of a residue"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path, content, message):
    (tmp_path / "bad.pdb").write_bytes(content)
    with pytest.raises(UserError, match=message) as info:
        pdb.read(tmp_path / "bad.pdb")
    assert "\n" not in str(info.value)


def test_a_small_file_that_becomes_large_is_refused(tmp_path, monkeypatch):
    """Of a gzip file no more is decompressed than may be."""
    (tmp_path / "a.pdb.gz").write_bytes(gzip.compress(bytes(10**6)))
    monkeypatch.setattr(pdb.text, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="larger than 1,000"):
        pdb.text.lines(tmp_path / "a.pdb.gz", "a PDB file", 1000)


@pytest.mark.parametrize(
    ("place", "number", "message"),
    [(-1000.0, 1, "coordinates from"), (1e4, 1, "coordinates from"), (0.0, 10**4, "from -999 to")],
)
def test_what_columns_cannot_hold_is_not_written(tmp_path, place, number, message):
    """And what was there before stays."""
    (tmp_path / "a.pdb").write_text("before")
    chain = pdb.Chain("A", ("GLY",), np.array([number]), np.full((1, 1, 3), place))
    with pytest.raises(ValueError, match=message):
        pdb.write(tmp_path / "a.pdb", [chain])
    assert (tmp_path / "a.pdb").read_text() == "before"
