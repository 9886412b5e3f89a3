"""Molecules and backbones through the command line: prepare, train, sample, evaluate."""

import json
import zipfile

import numpy as np
import pytest

from score_sde import cli
from score_sde.data import backbone64, qm9
from score_sde.formats import pdb, sdf

pytestmark = pytest.mark.slow

SMALL = (
    *("training.batch_size=8", "training.steps=4", "training.steps_per_call=2"),
    *("training.log_every=2", "training.checkpoint_every=4", "sampling.num_samples=4"),
    *("sampling.batch_size=4", "sampling.steps=2", "model.channels=8", "model.depth=1"),
    "evaluation.batch_size=4",
)
HEADER = ["Elements", "XYZ_Ang", *qm9.PROPERTIES.values()]
ROWS = [
    ("['O','H','H']", "[[0.,0.,0.],[0.757,0.587,0.],[-0.757,0.587,0.]]"),
    ("['F','H']", "[[0.,0.,0.],[0.917,0.,0.]]"),
    ("['H','C','N']", "[[-1.066,0.,0.],[0.,0.,0.],[1.156,0.,0.]]"),
    ("['N','N']", "[[0.,0.,0.],[1.1,0.,0.]]"),
]


@pytest.fixture
def main(tmp_path, monkeypatch, quick_compile):
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))

    def run(name, *more):
        given = (f"--config={name}", f"--workdir={tmp_path / 'run'}", *more)
        return cli.main(["main.py", *given, *(f"--config.{field}" for field in SMALL)])

    return run


def test_molecules(main, tmp_path, capsys):
    """Each has the atoms that it was asked for, and none beside them."""
    rows = [f'"{elements}","{places}"' + ",1." * 12 for elements, places in ROWS * 10]
    with zipfile.ZipFile(tmp_path / "qm9pack.whl", "w") as archive:
        archive.writestr("qm9pack/data/qm9_part1.csv", "\n".join([",".join(HEADER), *rows]))
    qm9.prepare(tmp_path / "sets" / "qm9", tmp_path / "qm9pack.whl", print)
    seen = [f"--config.training.{name}_every=4" for name in ("eval", "sample")]
    assert main("qm9", *seen) == 0
    assert "molecule of 29x4" in capsys.readouterr().out
    assert (tmp_path / "run" / "samples" / "4.png").exists()
    assert main("qm9", "--mode=sample", "--num_samples=4", "--condition=atoms=5") == 0
    drawn = np.load(tmp_path / "run" / "samples.npz")["samples"]
    np.testing.assert_array_equal((drawn[..., 3] > 0).sum(axis=1), 5)
    np.testing.assert_array_equal(drawn[:, 5:], 0)
    written = sorted((tmp_path / "run" / "samples_sdf").iterdir())
    assert [path.name for path in written] == [f"sample_00{n}_atoms_5.sdf" for n in range(4)]
    assert len(sdf.read(written[0])[0].symbols) == 5
    np.testing.assert_allclose(drawn[..., :3].sum(axis=1), 0, atol=1e-4)
    assert set(np.unique(drawn[:, :5, 3])) <= {1, 6, 7, 8, 9}
    capsys.readouterr()
    assert main("qm9", "--mode=evaluate", "--config.evaluation.molecules.num_samples=6") == 0
    assert "real examples 1.0000 +- 0.0000" in capsys.readouterr().out
    entries = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert entries["molecule_stability"]["of_real_examples"]["value"] == 1
    assert 0 <= entries["atom_stability"]["value"] <= 1


def test_backbones(main, tmp_path):
    """Of a fold that is asked for, guided; about their centre."""
    angle = np.deg2rad(100) * np.arange(200)
    helix = np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(200)], axis=1)
    for name in ("ldh/a.pdb", "b.pdb"):
        pdb.write(tmp_path / "proteins" / name, [pdb.trace(helix)])
    backbone64.prepare(tmp_path / "sets" / "backbone64", tmp_path / "proteins", print)
    heads = "--config.model.heads=2"
    few = [f"--config.training.{name}_every=0" for name in ("eval", "sample")]
    assert main("backbone64", heads, *few) == 0
    assert main("backbone64", heads, "--mode=sample", "--condition=fold=1") == 0
    found = np.load(tmp_path / "run" / "samples.npz")
    assert found["samples"].shape == (4, 64, 3)
    np.testing.assert_array_equal(found["fold"], 1)
    assert len(pdb.read(next((tmp_path / "run" / "samples_pdb").iterdir()))) == 1
    np.testing.assert_allclose(found["samples"].mean(axis=1), 0, atol=1e-3)
    number = "--config.evaluation.backbones.num_samples=6"
    assert main("backbone64", heads, "--mode=evaluate", number) == 0
    entries = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert entries["fold_helices"]["of_real_examples"]["value"] == 1
    assert entries["nearest"]["of_real_examples"]["value"] < 0.01
    assert all(np.isfinite(entry["value"]) for entry in entries.values())
