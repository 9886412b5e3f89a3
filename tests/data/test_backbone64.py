"""Windows of backbones from files of proteins: how chains are cut, labelled and split."""

import gzip

import numpy as np
import pytest

from score_sde.data import backbone64
from score_sde.data.__main__ import main
from score_sde.data.base import DataError
from score_sde.data.load import load
from score_sde.errors import UserError
from score_sde.formats import pdb
from score_sde.structures import chains


def helix(n):
    angle = np.deg2rad(100) * np.arange(n)
    return np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(n)], axis=1)


def strand(n):
    return np.stack([3.3 * np.arange(n), 0.95 * (-1.0) ** np.arange(n), np.zeros(n)], axis=1)


@pytest.fixture
def proteins(tmp_path):
    """Two families and another chain, compressed; a file of none."""
    home = tmp_path / "proteins"
    broken = np.concatenate(
        [helix(80), helix(70) + np.array([50, 0, 0]), strand(63) + np.array([0, 90, 0])]
    )
    for name, places in {
        "ldh/a.pdb": broken,
        "trypsins/b.pdb": strand(72),
        "c.ent": helix(64),
        "short.pdb": helix(63),
    }.items():
        pdb.write(home / name, [pdb.trace(places)])
    for path in (home / "ldh" / "a.pdb", home / "c.ent"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    (home / "water.pdb").write_text("HETATM    1  O   HOH A   1       0.000   0.000   0.000\n")
    (home / "table.csv.gz").write_bytes(b"no protein")
    return home


def test_files_become_windows(tmp_path, proteins):
    """80, 70 and 72 residues: 3, 1 and 2 windows, each about its centre; the other is held out."""
    said = []
    for _ in range(2):
        backbone64.prepare(tmp_path / "sets" / "backbone64", proteins, said.append)
    water = proteins / "water.pdb"
    assert said == [
        f"left out, without C-alphas or not to be read: 1, the first: {water}",
        f"--from={water} says what is wrong with it",
        "4 chains of at least 64 residues without a break; windows: train 6, test 1",
    ]
    train, test = (load("backbone64", s, data_dir=tmp_path / "sets") for s in ("train", "test"))
    found = train.gather(np.arange(len(train)))
    assert found["family"].tolist() == [0, 0, 0, 0, 1, 1]
    assert [chains.FOLDS[fold] for fold in found["fold"]] == 4 * ["helices"] + 2 * ["strands"]
    np.testing.assert_allclose(found["points"].mean(axis=1), 0, atol=1e-4)
    whole = helix(80)[8:72]
    np.testing.assert_allclose(found["points"][1], whole - whole.mean(0), atol=2e-3)
    assert train.info["family"].names[test[0]["family"]] == "others"
    assert (train.info["points"].kind, train.info["points"].shape) == ("points", (64, 3))


def test_one_file_will_do(tmp_path, proteins):
    """Under any name; of its 72 residues, two windows, the second is held out."""
    for name in ("b.pdb", "own.txt"):
        one = (proteins / "trypsins" / "b.pdb").rename(proteins / "trypsins" / name)
        backbone64.prepare(tmp_path / name, one, lambda line: None)
        found = [backbone64.load(tmp_path / name, split) for split in ("train", "test")]
        assert [len(source) for source in found] == [1, 1]
        one.rename(proteins / "trypsins" / "b.pdb")
    with pytest.raises(UserError, match=r"water\.pdb"):
        backbone64.prepare(tmp_path / "set", proteins / "water.pdb")
    with pytest.raises(DataError, match=r"cannot read the folder .*nowhere"):
        backbone64.prepare(tmp_path / "set", tmp_path / "nowhere")


def test_without_families_the_end_is_held_out(tmp_path, proteins):
    for folder in ("ldh", "trypsins"):
        (proteins / folder).rename(proteins / f"my_{folder}")
    backbone64.prepare(tmp_path / "set", proteins, lambda line: None)
    sizes = [len(backbone64.load(tmp_path / "set", split)) for split in ("train", "test")]
    assert sizes == [6, 1]


def test_what_there_is_nothing_of_names_the_command(tmp_path, monkeypatch, capsys):
    """No package, no folder, no chain that is long enough: one line, exit code 2."""
    monkeypatch.setattr(backbone64, "_HOMES", (tmp_path / "nowhere",))
    pdb.write(tmp_path / "short" / "a.pdb", [pdb.trace(helix(63))])
    for source in ([], [f"--from={tmp_path / 'nowhere'}"], [f"--from={tmp_path / 'short'}"]):
        assert main(["prepare", "backbone64", f"--data_dir={tmp_path / 'sets'}", *source]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "theseus-examples" in said or "nowhere" in said
    with pytest.raises(DataError, match="run python -m score_sde"):
        backbone64.load(tmp_path / "sets" / "backbone64", "train")
