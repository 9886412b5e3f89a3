"""A run written as an official checkpoint, and read back."""

import functools
import json
import pickletools
import zipfile

import numpy as np
import official
import pytest
from untrained import untrained_run

import score_sde
from configs import paper
from score_sde import cli
from score_sde.formats import torch_file
from score_sde.interop import export, song

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


def import_run(shared, name, checkpoint, workdir):
    """Through the command line, in this process."""
    arguments = official.arguments(shared, name)
    arguments += ["--mode=import", f"--checkpoint={checkpoint}", f"--workdir={workdir}"]
    assert cli.main(["main.py", *arguments]) == 0
    return workdir


@pytest.fixture(scope="module")
def exported(shared, tmp_path_factory):
    """Imports a golden network and exports it again, once: the run, and the file."""

    @functools.cache
    def make(name):
        folder = tmp_path_factory.mktemp(name)
        run = import_run(shared, name, shared / "golden" / f"{name}.pth", folder / "run")
        assert export.main([str(run), str(folder / "out.pth")]) == 0
        return run, folder / "out.pth"

    return make


# Between them: every kind of layer and layout, and arrays that are not trained.
@pytest.mark.parametrize("name", ["ncsnpp_ve", "ncsnpp_ve_output_skip", "ddpm_vp_discrete"])
def test_import_of_export_is_the_run_bit_for_bit(shared, tmp_path, exported, name):
    run, file = exported(name)
    same_runs(run, import_run(shared, name, file, tmp_path / "again"), step=1234)


def same_runs(run, again, step):
    for weights in ("raw", "ema"):
        one, two = (score_sde.load(folder, weights=weights) for folder in (run, again))
        assert one.step == two.step == step
        for before, after in ((one.params, two.params), (one.constants, two.constants)):
            assert before.keys() == after.keys()
            for key in before:
                np.testing.assert_array_equal(before[key], after[key])


SMALL = {
    "model.channels": 4,
    "model.channel_mult": (1, 2),
    "model.num_res_blocks": 1,
    "model.attn_resolutions": (),
    "data.image_size": 8,
}


# A discrete VE network, and one whose images are a folder that nobody has given.
@pytest.mark.parametrize(
    ("recipe", "levels", "sigma_max"),
    [("ve/cifar10_ncsnpp", 1000, 50.0), ("ve/ffhq_ncsnpp_continuous", 2000, 1348.0)],
)
def test_recipes_that_have_no_official_file_here(tmp_path, capsys, recipe, levels, sigma_max):
    run = untrained_run(tmp_path / "run", paper.get_config(recipe), **SMALL)
    file = tmp_path / "out.pth"
    assert export.main([str(run), str(file)]) == 0
    sigmas = song.read(file)["model"][song.SIGMAS]
    np.testing.assert_allclose(sigmas, np.geomspace(sigma_max, 0.01, levels), rtol=1e-12)

    flags = [f"--config=configs/paper.py:{recipe}", "--mode=import", f"--checkpoint={file}"]
    flags += [f"--config.{field}={value}".replace(" ", "") for field, value in SMALL.items()]

    def program(folder, *more):
        return cli.main(["main.py", *flags, f"--workdir={tmp_path / folder}", *more])

    assert program("again") == 0
    same_runs(run, tmp_path / "again", step=0)
    capsys.readouterr()
    wrong = {"sigma_max=90": f"noise from 0.01 to {sigma_max:g}, config.sde from 0.01 to 90"}
    if recipe == "ve/cifar10_ncsnpp":
        wrong["scales=500"] = "module.sigmas: the checkpoint has 1000 noise levels, config.sde.sca"
    for value, message in wrong.items():
        assert program("wrong", f"--config.sde.{value}") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize("name", ["ncsnpp_ve", "ddpm_vp_discrete"])
def test_the_file_is_the_official_one(shared, exported, name):
    """Same names in the same order, same dtypes, same bits; the order is what `ema` relies on."""
    ours = torch_file.load(exported(name)[1])
    theirs = torch_file.load(shared / "golden" / f"{name}.pth")
    assert list(ours) == list(theirs)
    assert type(ours["model"]) is type(theirs["model"])
    assert list(ours["model"]) == list(theirs["model"])
    for key, array in theirs["model"].items():
        assert ours["model"][key].dtype == array.dtype
        # The noise levels are computed anew.
        np.testing.assert_allclose(
            ours["model"][key], array, rtol=1e-12 if key == song.SIGMAS else 0
        )
    assert ours["ema"]["decay"] == theirs["ema"]["decay"]
    pairs = zip(ours["ema"]["shadow_params"], theirs["ema"]["shadow_params"], strict=True)
    assert all(np.array_equal(one, two) for one, two in pairs)
    group, official_group = (f["optimizer"]["param_groups"][0] for f in (ours, theirs))
    assert group == {key: official_group[key] for key in group}


def test_the_pickle_uses_what_torch_itself_writes(shared, exported):
    """Its operations and globals are among those of a file by torch.save, which torch reads."""

    def operations(path):
        with zipfile.ZipFile(path) as archive:
            (name,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
            return list(pickletools.genops(archive.read(name)))

    ours = operations(exported("ncsnpp_ve")[1])
    theirs = operations(shared / "golden" / "ncsnpp_ve.pth")
    larger = {"BININT"}  # a number above 65,535, which this small file by torch does not have
    assert {o.name for o, *_ in ours} <= {o.name for o, *_ in theirs} | larger
    names = [{arg for o, arg, _ in ops if o.name == "GLOBAL"} for ops in (ours, theirs)]
    assert names[0] == names[1]


def test_torch_reads_the_file(exported):
    torch = pytest.importorskip("torch", reason="PyTorch, which nothing here needs, is absent")
    file = exported("ncsnpp_ve")[1]
    ours, theirs = torch_file.load(file), torch.load(file, weights_only=True)
    assert list(theirs["model"]) == list(ours["model"])
    for key, tensor in theirs["model"].items():
        np.testing.assert_array_equal(tensor.numpy(), ours["model"][key])


def test_what_cannot_be_exported_is_one_line(exported, tmp_path, capsys):
    run, file = exported("ncsnpp_ve")
    before = file.read_bytes()
    capsys.readouterr()

    def refused(*arguments):
        assert export.main([str(argument) for argument in arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert f"{file} exists: give another file" in refused(run, file)
    assert file.read_bytes() == before
    assert "no run in" in refused(tmp_path / "none", tmp_path / "b.pth")
    assert "no checkpoint 5" in refused(run, tmp_path / "b.pth", "--step=5")
    assert "cannot write" in refused(run, tmp_path / "none" / "b.pth")
    assert "at least 2" in refused(run, tmp_path / "b.pth", "--num_scales=1")
    assert not (tmp_path / "b.pth").exists()


def read_safetensors(path):
    """Arrays and metadata, as the format's page says, with nothing left over."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    about, arrays, last = header.pop("__metadata__"), {}, 0
    for name, entry in header.items():
        first, stop = entry["data_offsets"]
        assert first == last
        dtype = {"F32": "<f4", "F64": "<f8"}[entry["dtype"]]
        arrays[name] = np.frombuffer(data[end + first : end + stop], dtype).reshape(entry["shape"])
        last = stop
    assert end % 8 == 0
    assert len(data) == end + last
    return arrays, about


def test_import_of_exported_tensors_is_the_averages(shared, exported, tmp_path, capsys):
    """At their step; they stand for the raw parameters too, and the command says so."""
    run, _ = exported("ncsnpp_ve")
    assert export.main([str(run), str(tmp_path / "out.safetensors")]) == 0
    again = import_run(shared, "ncsnpp_ve", tmp_path / "out.safetensors", tmp_path / "again")
    assert "averaged parameters, which stand for the raw ones too" in capsys.readouterr().out
    before = score_sde.load(run, weights="ema")
    for weights in ("raw", "ema"):
        after = score_sde.load(again, weights=weights)
        assert after.step == 1234
        for one, two in ((before.params, after.params), (before.constants, after.constants)):
            assert one.keys() == two.keys()
            for key in one:
                np.testing.assert_array_equal(one[key], two[key])


def test_a_run_becomes_safetensors(exported, tmp_path, capsys):
    """The averages of the .pth file, by its names without `module.`; other endings are refused."""
    run, file = exported("ncsnpp_ve")
    out = tmp_path / "out.safetensors"
    assert export.main([str(run), str(out)]) == 0
    arrays, about = read_safetensors(out)
    official = song.read(file)
    run_of = json.loads(about.pop("score_sde"))
    assert run_of["config"]["data"]["dir"] == ""
    assert about == {"format": "pt", "step": "1234", "ema_decay": str(official["ema_decay"])}
    assert {f"module.{name}" for name in arrays} == official["model"].keys()
    constant = "all_modules.0.W"  # is not trained, so it has no average
    names = [n for n in official["model"] if n not in (song.SIGMAS, f"module.{constant}")]
    for name, average in zip(names, official["ema"], strict=True):
        np.testing.assert_array_equal(arrays[name.removeprefix("module.")], average)
    for name in (constant, "sigmas"):
        np.testing.assert_array_equal(arrays[name], official["model"][f"module.{name}"])
    capsys.readouterr()
    for wrong, message in (
        (out, "exists"),
        (tmp_path / "out.bin", "must end with .pth or .pt or "),
    ):
        assert export.main([str(run), str(wrong)]) == 2
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.safetensors"]


def test_any_run_of_a_unet_can_be_exported(finished, tmp_path):
    """A run that was trained here, with one grey channel and two moving averages."""
    workdir, _ = finished
    assert export.main([str(workdir), str(tmp_path / "digits.pth")]) == 0
    options = ["--step=8", "--num_scales=2000"]
    assert export.main([str(workdir), str(tmp_path / "other.pth"), *options]) == 0
    other = song.read(tmp_path / "other.pth")
    assert (other["step"], len(other["model"][song.SIGMAS])) == (8, 2000)
    read = song.read(tmp_path / "digits.pth")
    assert (read["step"], read["ema_decay"]) == (12, 0.995)
