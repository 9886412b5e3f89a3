"""QM9 from files like those of its package: what is read, how it is split, what is refused."""

import zipfile

import numpy as np
import pytest

from score_sde.data import qm9
from score_sde.data.__main__ import main
from score_sde.data.base import DataError
from score_sde.data.load import load

HEADER = ["XYZ_file", "Index", "SMILES", "Elements", "XYZ_Ang", *qm9.PROPERTIES.values()]
WATER = "[[0.,0.1173,0.],[0.7572,-4.692*^-1,1.2*^-6],[-0.7572,-0.4692,0.]]"


def row(elements="['O','H','H']", places=WATER, last="6.002", number=0):
    properties = [f"{number}.", "6.31", *["-0.2928"] * 9, last]
    cells = [f"dsgdb9nsd_{number:06d}.xyz", str(number), "O", elements, places, *properties]
    return ",".join(f'"{cell}"' if "[" in cell else cell for cell in cells)


def table(*rows):
    return "\n".join([",".join(HEADER), *rows, ""])


def wheel(path, **parts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("qm9pack/__init__.py", "raise SystemExit('it was executed')")
        for name, content in parts.items():
            archive.writestr(f"qm9pack/data/{name}.csv", content)
    return path


def test_a_wheel_becomes_a_set(tmp_path):
    """Of all parts in their order, once, without importing anything; `1.` and `*^-6` are read."""
    rows = [row(number=i) for i in range(30)]
    many = {"qm9_part1": table(*rows[:12]), "qm9_part2": table(*rows[12:])}
    source = wheel(tmp_path / "qm9pack.whl", **many, qm9_polarizability="nonsense")
    said = []
    for _ in range(2):
        qm9.prepare(tmp_path / "sets" / "qm9", source, said.append)
    assert said == ["train 23, validation 4, test 3"]
    sets = {s: load("qm9", s, data_dir=tmp_path / "sets") for s in ("train", "validation", "test")}
    found = {split: source.gather(np.arange(len(source))) for split, source in sets.items()}
    order = np.random.RandomState(0).permutation(30)
    dipoles = np.concatenate([found[split]["dipole"] for split in sets])
    np.testing.assert_array_equal(dipoles, order)
    one = sets["train"][0]
    assert one["atoms"] == 3
    np.testing.assert_array_equal(one["molecule"][:4, 3], [8, 1, 1, 0])
    places = np.array([[0, 0.1173, 0], [0.7572, -0.4692, 1.2e-6], [-0.7572, -0.4692, 0]])
    np.testing.assert_allclose(one["molecule"][:3, :3], places - places.mean(0), atol=1e-7)
    assert not one["molecule"][3:].any()
    assert one["heat_capacity"] == np.float32(6.002)
    assert sets["train"].info["molecule"].kind == "molecule"


def test_the_split_has_the_published_sizes():
    """100,000, 17,748 and 13,083 of all 130,831."""
    n = 130_831
    assert (round(qm9._TRAIN * n), int(qm9._TEST * n)) == (100_000, 13_083)


def test_a_folder_of_the_files_will_do(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "qm9_part1.csv").write_text(table(row()))
    (molecule,) = qm9.read(tmp_path)
    assert molecule.numbers == [8, 1, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table(row(elements="['O','H']")), "near line 2"),
        (table(row(), row(elements="['O','Xx','H']")), "near line 3 .it has the elements"),
        (table(row(places="[[__import__('os'),0.,0.]]")), "no list of numbers"),
        (table(row(places=WATER.replace("0.7572", "1e400"))), "far from each other"),
        (table(row(places=WATER.replace("0.7572", "1000.", 1))), "far from each other"),
        (table(row(last="nan")), "'nan' is no number"),
        (table(row()).replace("XYZ_Ang", "XYZ"), "XYZ_Ang"),
        (table(row().rpartition(",")[0]), "near line 2"),
        (table('"' + "x" * 200_000 + '"'), "field larger than field limit"),
        ("", "cannot be split"),
        (table(row()), "1 molecules cannot be split"),
    ],
)
def test_damage_is_one_line_and_exit_code_2(tmp_path, capsys, content, message):
    source = wheel(tmp_path / "qm9pack.whl", qm9_part1=content)
    argv = ["prepare", "qm9", f"--from={source}", f"--data_dir={tmp_path / 'sets'}"]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    with pytest.raises(DataError, match=message):
        qm9.prepare(tmp_path / "sets" / "qm9", source)
    assert not (tmp_path / "sets" / "qm9").exists()


def test_what_is_no_such_package_names_the_command(tmp_path, monkeypatch, capsys):
    """A missing package, a wheel of another one, a file that is no wheel; a set that is missing."""
    monkeypatch.setattr(qm9, "_PACKAGE", "qm9pack_that_is_not_there")
    (tmp_path / "text").write_text("no zip")
    damaged = wheel(tmp_path / "damaged.whl", qm9_part1=table(*[row()] * 50)).read_bytes()
    (tmp_path / "damaged.whl").write_bytes(damaged[:200] + bytes(20) + damaged[220:])
    for source in (None, wheel(tmp_path / "other.whl"), tmp_path / "text", tmp_path / "none"):
        with pytest.raises(DataError, match="pip install qm9pack"):
            qm9.prepare(tmp_path / "sets" / "qm9", source)
    with pytest.raises(DataError, match="pip install qm9pack"):
        list(qm9.read(tmp_path / "damaged.whl"))
    assert main(["info", "qm9", f"--data_dir={tmp_path}"]) == 2
    assert capsys.readouterr().err.startswith("error: qm9 is not prepared in ")


def test_a_part_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    source = wheel(tmp_path / "qm9pack.whl", qm9_part1=table(row()))
    monkeypatch.setattr(qm9, "_MOST_BYTES", 100)
    with pytest.raises(DataError, match="larger than 100 bytes"):
        list(qm9.read(source))
