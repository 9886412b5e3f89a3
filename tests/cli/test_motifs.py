"""Motifs of files, and parts of held-out chains and molecules, through the command line."""

import re
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from untrained import untrained_run

from score_sde import cli
from score_sde.cli import motifs
from score_sde.data import backbone64, qm9
from score_sde.errors import UserError
from score_sde.fields import points
from score_sde.formats import pdb, sdf, xyz
from score_sde.formats.molecule import Molecule
from score_sde.runs import recipes
from score_sde.spaces import Backbones
from score_sde.structures import superpose

pytestmark = pytest.mark.slow

TINY = {"model.channels": 8, "model.depth": 1, "sampling.steps": 2, "sampling.batch_size": 3}
HEADER = ["Elements", "XYZ_Ang", *qm9.PROPERTIES.values()]
ROWS = [
    ("['O','H','H']", "[[0.,0.,0.],[0.757,0.587,0.],[-0.757,0.587,0.]]"),
    ("['F','H']", "[[0.,0.,0.],[0.917,0.,0.]]"),
    ("['N','N']", "[[0.,0.,0.],[1.1,0.,0.]]"),
]
METHYL = "--motif={}/methanol.sdf"
METHANOL = Molecule(("C", "O", "H"), np.array([[0.0, 0, 0], [1.42, 0, 0], [1.75, 0.9, 0]]))


def helix(n):
    angle = np.deg2rad(100) * np.arange(n)
    return np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(n)], axis=1)


@pytest.fixture(scope="module")
def top(tmp_path_factory, quick_compile):
    """Untrained runs of chains and of molecules, and files of motifs."""
    top = tmp_path_factory.mktemp("motifs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(top / "sets"))
        patch.setenv("SCORE_SDE_CACHE", str(top / "cache"))
        for name in ("ldh/a.pdb", "b.pdb"):
            pdb.write(top / "proteins" / name, [pdb.trace(helix(200))])
        backbone64.prepare(top / "sets" / "backbone64", top / "proteins", lambda text: None)
        rows = [f'"{elements}","{places}"' + ",1." * 12 for elements, places in ROWS * 10]
        with zipfile.ZipFile(top / "qm9pack.whl", "w") as archive:
            archive.writestr("qm9pack/data/qm9_part1.csv", "\n".join([",".join(HEADER), *rows]))
        qm9.prepare(top / "sets" / "qm9", top / "qm9pack.whl", lambda text: None)
        heads = {"model.heads": 2}
        untrained_run(top / "backbone64", recipes.get("backbone64"), **TINY, **heads)
        untrained_run(top / "qm9", recipes.get("qm9"), **TINY)
        chains = [pdb.trace(helix(40), name="A"), pdb.trace(helix(90)[::-1], name="B")]
        pdb.write(top / "two.pdb", chains)
        broken = [pdb.Chain("A", ("GLY",) * 4, np.array([3, 4, 9, 10]), helix(4)[:, None])]
        pdb.write(top / "broken.pdb", broken)
        sdf.write(top / "methanol.sdf", [METHANOL])
        sdf.write(top / "empty.sdf", [Molecule((), np.zeros((0, 3))), METHANOL])
        xyz.write(top / "salt.xyz", [Molecule(("Na", "Cl"), np.eye(3)[:2])])
        (top / "no.pdb").write_bytes(b"\x7fELF\0\0")
        yield top


@pytest.fixture
def main(top, capsys, monkeypatch):
    """Samples three of a run; gives its exit code, what it said, and the arrays that it wrote."""

    def run(name, task, *more):
        given = (f"--config={name}", f"--workdir={top / name}", "--mode=sample", "--overwrite")
        code = cli.main(["main.py", *given, f"--task={task}", "--num_samples=3", *more])
        out, error = capsys.readouterr()
        arrays = {} if code else dict(np.load(top / name / f"{task}.npz"))
        return code, out + error, arrays

    monkeypatch.setenv("TFDS_DATA_DIR", str(top / "sets"))
    monkeypatch.setenv("SCORE_SDE_CACHE", str(top / "cache"))
    return run


def apart(x, y):
    return np.sqrt(np.mean(np.sum((superpose.onto(x, y) - y) ** 2, axis=1)))


def test_a_chain_is_drawn_around_a_motif(top, main):
    """Two pieces of a chain, 20 residues in 25, at place 5; the files have it, and say how well."""
    motif = f"--motif={top}/two.pdb:B11-20,26-35"
    code, said, arrays = main("backbone64", "motif", motif, "--at=5")
    assert code == 0
    places = [*range(4, 14), *range(19, 29)]
    asked = helix(90)[::-1][[*range(10, 20), *range(25, 35)]]
    files = sorted((top / "backbone64" / "motif_pdb").iterdir())
    assert len(files) == 3
    for number, path in enumerate(files):
        (chain,) = pdb.read(path)
        assert len(chain) == 64
        found = apart(chain.positions[places, 0], asked)
        assert found < 1e-3
        np.testing.assert_allclose(arrays["rmsd"][number], found, atol=1e-3)
        bonds = np.linalg.norm(np.diff(chain.positions[:, 0], axis=0), axis=1)[[3, 13, 18, 28]]
        join = np.abs(bonds - 3.8).max()
        assert arrays["join"][number] == pytest.approx(join, abs=2e-3)
        off = f"join {arrays['join'][number]:.3f} angstroms\n"
        assert f"sample {number}: rmsd 0.000 angstroms, {off}" in said
    assert (np.ptp(arrays["samples"][:, [0, 16, 40]], axis=0) > 0).all()


def test_a_chain_whose_name_is_a_digit(tmp_path):
    """It stands between colons, as any chain may; a path with a colon is one if it is there."""
    own = {name: helix(20 + n) + n for n, name in enumerate("12A")}
    for name in ("three.pdb", "three:2"):
        pdb.write(tmp_path / name, [pdb.trace(own[n], name=n) for n in own])
    field = points(64, 3)
    experiment = SimpleNamespace(space=Backbones.of(field), field=field)

    def asked(text):
        known, there = motifs.read(f"{tmp_path}/{text}", 1, experiment, 1)
        return known[0][there[0, :, 0]]

    for text, name, rows in (
        ("three.pdb:1:10-19", "1", slice(9, 19)),
        ("three.pdb:2:10-12,15-19", "2", [9, 10, 11, *range(14, 19)]),
        ("three.pdb:2:", "2", slice(None)),
        ("three.pdb:A:10-19", "A", slice(9, 19)),
        ("three.pdb:A10-19", "A", slice(9, 19)),
        ("three.pdb:10-19", "1", slice(9, 19)),
        ("three:2:10-19", "1", slice(9, 19)),
        ("three:2:A:10-19", "A", slice(9, 19)),
        ("three:2", "1", slice(None)),
    ):
        np.testing.assert_allclose(asked(text), own[name][rows], atol=1e-3)
    for text, said in (
        ("three.pdb:3:10-19", "there is no chain 3, but 1, 2, A"),
        ("three.pdb:1", "one alone lies nowhere: give FILE, .* a digit FILE:1:10-30"),
    ):
        with pytest.raises(UserError, match=said):
            asked(text)


@pytest.mark.parametrize(("where", "first"), [((), 27), (("--at=1",), 0), (("--at=55",), 54)])
def test_where_a_motif_stands(top, main, where, first):
    """In the middle, or from --at on; the gap that the file's numbers have is drawn."""
    _, _, arrays = main("backbone64", "motif", f"--motif={top}/two.pdb:1-10", *where)
    there = arrays["points"][0].any(axis=-1)
    np.testing.assert_array_equal(np.flatnonzero(there), np.arange(first, first + 10))
    if not where:
        _, _, arrays = main("backbone64", "motif", f"--motif={top}/broken.pdb", "--method=pigdm")
        there = arrays["points"][0].any(axis=-1)
        np.testing.assert_array_equal(np.flatnonzero(there) - 28, [0, 1, 6, 7])


@pytest.mark.parametrize(
    ("part", "known"), [("--mask=end", slice(0, 32)), ("--keep=10:30", slice(10, 30))]
)
def test_a_part_of_a_held_out_chain(main, part, known):
    """As it lies to itself; the rest differs from it."""
    code, _, arrays = main("backbone64", "inpaint", part)
    assert code == 0
    assert arrays["rmsd"].max() < 1e-3
    for sample, truth in zip(arrays["samples"], arrays["points"], strict=True):
        assert apart(sample[known], truth[known]) < 1e-3
        assert apart(sample, truth) > 1


def test_hydrogens_of_molecules(main):
    """Of water both are drawn, of hydrogen fluoride one, of nitrogen none; elements stay."""
    code, said, arrays = main("qm9", "inpaint", "--mask=hydrogens")
    assert code == 0
    heavy = arrays["molecule"][..., 3] > 1
    np.testing.assert_array_equal(arrays["samples"][heavy][:, 3], arrays["molecule"][heavy][:, 3])
    there = arrays["molecule"][..., 3] > 0
    np.testing.assert_array_equal(arrays["samples"][..., 3] > 0, there)
    observed = arrays["observed"]
    np.testing.assert_array_equal(observed[..., 3] > 0, heavy)
    for sample, atoms in zip(arrays["samples"], there, strict=True):
        if atoms.sum() == 2 and (sample[atoms][:, 3] == 7).all():
            assert np.linalg.norm(sample[0, :3] - sample[1, :3]) == pytest.approx(1.1, abs=1e-4)
    assert len(re.findall(r"rmsd 0\.000 angstroms, valid [01]\.000\n", said)) == 3


def test_a_molecule_is_drawn_around_atoms_of_a_file(top, main):
    code, _, arrays = main("qm9", "motif", f"--motif={top}/methanol.sdf:1-2", "--condition=atoms=6")
    assert code == 0
    np.testing.assert_array_equal(arrays["samples"][:, :2, 3], [[6, 8]] * 3)
    ends = arrays["samples"][:, 1, :3] - arrays["samples"][:, 0, :3]
    np.testing.assert_allclose(np.linalg.norm(ends, axis=1), 1.42, atol=1e-4)
    np.testing.assert_array_equal((arrays["samples"][..., 3] > 0).sum(axis=1), 6)


def test_molecules_are_drawn_anew(top, main):
    """Of the size that the file says; what is right begins at the last time, once centred."""
    main("qm9", "motif", f"--motif={top}/methanol.sdf:1-2", "--condition=atoms=6")
    predicted = dict(np.load(top / "qm9" / "motif.npz"))
    moved = predicted["samples"] + np.where(predicted["samples"][..., 3:] > 0, [1, 2, 3, 0], 0)
    np.savez(top / "moved.npz", samples=moved.astype(np.float32))
    files = (f"--from={top}/qm9/motif.npz", f"--real={top}/moved.npz")
    code, said, arrays = main("qm9", "shallow", *files)
    assert code == 0, said
    assert "with dpmpp_2m_sde, from t = " in said
    assert "\n1 function evaluations an example" in said
    assert float(re.search(r"- x~\|\^2 is (\S+) where", said)[1]) < 1e-8
    np.testing.assert_array_equal(arrays["atoms"], 6)
    np.testing.assert_array_equal((arrays["samples"][..., 3] > 0).sum(axis=1), 6)
    np.testing.assert_array_equal(arrays["predicted"], predicted["samples"])


@pytest.mark.parametrize(
    ("name", "task", "arguments", "message"),
    [
        ("backbone64", "motif", ["--motif={}/two.pdb:B1-80"], "spans 80, and this model draws 64"),
        ("backbone64", "motif", ["--motif={}/two.pdb:B"], "spans 90, and this model draws 64"),
        ("backbone64", "motif", ["--motif={}/two.pdb:30-45"], "there are 11, in a chain from 1"),
        ("backbone64", "motif", ["--motif={}/two.pdb:C1-9"], "no chain C, but A, B"),
        ("backbone64", "motif", ["--motif={}/two.pdb:9-1"], "'9-1' does not go forward"),
        ("backbone64", "motif", ["--motif={}/two.pdb:1-9,5-12"], "'5-12' does not go forward"),
        ("backbone64", "motif", ["--motif={}/two.pdb:1_0-20"], "'1_0-20' is no range: give FILE"),
        ("backbone64", "motif", ["--motif={}/two.pdb:7"], "one alone lies nowhere"),
        ("backbone64", "motif", ["--motif={}/two.pdb:1-9", "--at=57"], "begin at 1 to 56"),
        ("backbone64", "motif", ["--motif={}/no.pdb:1-9"], "no.pdb is binary"),
        ("backbone64", "motif", ["--motif={}/none.pdb:1-9"], "cannot read"),
        ("backbone64", "motif", [], "goes with --motif=FILE"),
        ("backbone64", "inpaint", ["--motif={}/two.pdb"], "--motif goes with --mode=sample --ta"),
        ("backbone64", "inpaint", ["--mask=end", "--keep=0:9"], "give one of them"),
        ("backbone64", "inpaint", ["--mask=endd"], "did you mean 'end'? valid: start, end, middle"),
        ("backbone64", "inpaint", ["--keep=0:0"], "--keep=0:0 knows nothing of 64"),
        ("backbone64", "inpaint", ["--keep=:"], "--keep=: knows everything of 64"),
        ("backbone64", "inpaint", ["--keep=0:9", "--method=gibbs"], "not for sets without a"),
        ("backbone64", "colorize", [], "is of images, and this model draws none"),
        ("qm9", "motif", ["--motif={}/salt.xyz"], "has an atom of Na: give one of H, C, N, O, F"),
        ("qm9", "motif", ["--motif={}/two.pdb"], "give an .sdf file"),
        (
            "qm9",
            "motif",
            ["--motif={}/methanol.sdf", "--condition=atoms=2"],
            "give --condition=atoms=N of at least 3",
        ),
        ("qm9", "motif", ["--motif={}/empty.sdf:1-3"], "begins with one that has no atoms"),
        ("qm9", "motif", ["--motif=" + "x" * 300 + ":1-3"], "cannot read xxx"),
        (
            "qm9",
            "motif",
            [METHYL, "--condition=atoms=0"],
            "atoms=0: it is how many there are, 1 to 29",
        ),
        ("qm9", "motif", [METHYL, "--condition=atoms=2.5"], "it is how many there are, 1 to 29"),
        ("qm9", "motif", [METHYL, "--condition=atoms=30"], "it is how many there are, 1 to 29"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_one_line(top, main, name, task, arguments, message):
    code, said, _ = main(name, task, *(argument.format(top) for argument in arguments))
    error = said.splitlines()[-1]
    assert (code, said.count("error:")) == (2, 1)
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.parametrize("atoms", [0, 2.5, 30])
def test_predictions_of_a_size_that_there_is_not_are_refused(top, main, tmp_path, atoms):
    """As a condition of that size is; and those of a size that there is are drawn anew."""
    samples = np.zeros((3, 29, 4), np.float32)
    samples[:, :3] = [[0, 0, 0, 8], [1, 0, 0, 1], [0, 1, 0, 1]]
    sizes = {"wrong": [3, atoms, 3], "right": [3, 3, 3]}
    for name, of in sizes.items():
        np.savez(tmp_path / f"{name}.npz", samples=samples, atoms=np.array(of, np.float32))
    code, said, _ = main("qm9", "shallow", f"--from={tmp_path}/wrong.npz")
    assert (code, said.count("\n")) == (2, 1)
    assert "array 'atoms' of --from=" in said
    assert said.endswith("wrong.npz: it is how many there are, 1 to 29\n")
    assert main("qm9", "shallow", f"--from={tmp_path}/right.npz", "--strength=1")[0] == 0
