"""--mode=import makes a run of an official checkpoint, and refuses what it should."""

import copy
import dataclasses
import functools
import json
import os
import pickle
import zipfile

import jax.numpy as jnp
import numpy as np
import official
import pytest
from flax import nnx
from payload import Payload
from program import called
from untrained import untrained_run

import score_sde
from configs import digits_vp, paper
from score_sde import cli
from score_sde.formats import safetensors, torch_file, torch_writer
from score_sde.interop import export, song
from score_sde.locks import Lock
from score_sde.models.functional import streams

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


def flags(shared, name, workdir, *more):
    """The command line that imports a golden network."""
    return (
        *official.arguments(shared, name),
        "--mode=import",
        f"--checkpoint={shared / 'golden' / name}.pth",
        f"--workdir={workdir}",
        *more,
    )


def program(*arguments):
    """The command line in this process."""
    return cli.main(["main.py", *arguments])


@pytest.fixture(scope="module")
def imported(shared, tmp_path_factory):
    """The run of a golden network, imported once."""

    @functools.cache
    def make(name):
        workdir = tmp_path_factory.mktemp(name)
        (workdir / ".lock").touch()  # as a training leaves it that is killed: the folder is empty
        assert program(*flags(shared, name, workdir)) == 0
        return workdir

    return make


def check_scores(shared, name, workdir):
    """Raw and averaged weights give the stored scores, to relative L2 < 1e-5."""
    golden = np.load(shared / "golden" / f"{name}.npz")
    x = jnp.asarray(golden["x_nchw"].transpose(0, 2, 3, 1))
    t = jnp.asarray(golden["t"])
    denoise = None  # compiled once for both
    for weights in ("raw", "ema"):
        opened = score_sde.load(workdir, weights=weights)
        assert opened.step == 1234
        denoise = dataclasses.replace(denoise or opened.denoise, params=opened.denoise.params)
        score = denoise(x, t).score(opened.sde, t).transpose(0, 3, 1, 2)
        expected = golden[f"score_{weights}_weights"]
        assert np.linalg.norm(score - expected) < 1e-5 * np.linalg.norm(expected)
        for one, reference in zip(score, expected, strict=True):  # no example hides another
            assert np.linalg.norm(one - reference) < 1e-5 * np.linalg.norm(reference)


@pytest.mark.parametrize("name", ["ncsnpp_ve", "ddpm_vp_discrete"])
def test_the_command_line_gives_the_official_scores(shared, tmp_path, name):
    """In a place without data."""
    workdir = tmp_path / "run"
    arguments = flags(shared, name, workdir, f"--config.data.dir={tmp_path / 'no_data'}")
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    assert "at step 1234" in result.stdout
    assert "new Adam moments: those of a file are not read" in result.stdout
    check_scores(shared, name, workdir)
    assert not (tmp_path / "no_data").exists()


def test_an_imported_network_draws_samples(shared, imported):
    workdir = imported("ddpm_vp_discrete")
    arguments = flags(shared, "ddpm_vp_discrete", workdir)
    sample = [a for a in arguments if not a.startswith(("--mode", "--checkpoint"))]
    few = ("--num_samples=2", "--config.sampling.steps=2")
    assert program(*sample, "--mode=sample", *few) == 0
    assert np.load(workdir / "samples.npz")["samples"].shape == (2, 16, 16, 3)


OTHERS = [name for name in official.NAMES if name not in ("ncsnpp_ve", "ddpm_vp_discrete")]


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_networks_give_the_official_scores(shared, imported, name):
    check_scores(shared, name, imported(name))


def test_training_goes_on_from_an_imported_checkpoint(shared, tmp_path):
    """Two steps move the parameters from where they were, by about the learning rate each.

    The recipe is the paper's, and the network one of few layers.
    """
    recipe, few = "vp/cifar10_ddpmpp_continuous", {**TINY, "data.image_size": 16}
    untrained_run(tmp_path / "untrained", paper.get_config(recipe), **few)
    assert export.main([str(tmp_path / "untrained"), str(tmp_path / "a.pth")]) == 0
    checkpoint = torch_file.load(tmp_path / "a.pth")
    torch_writer.save(tmp_path / "b.pth", {**checkpoint, "step": 1234})
    workdir = tmp_path / "run"
    arguments = [f"--config=configs/paper.py:{recipe}", "--config.training.batch_size=4"]
    arguments += [f"--config.{field}={value}".replace(" ", "") for field, value in few.items()]
    arguments += ["--mode=import", f"--checkpoint={tmp_path / 'b.pth'}", f"--workdir={workdir}"]
    assert program(*arguments) == 0
    more = [a for a in arguments if not a.startswith(("--mode", "--checkpoint"))]
    data = f"--config.data.dir={shared / 'data' / 'tfds'}"
    steps = ("--config.training.steps=1236", "--config.training.sample_every=0")
    assert program(*more, data, *steps, "--config.training.eval_every=0") == 0
    before, after = (score_sde.load(workdir, weights="raw", step=s) for s in (1234, 1236))
    # Adam's first steps are of the learning rate at most, which at step 1234 of the warm-up of
    # 5000 is 1234 / 5000 of 2e-4: neither a new warm-up nor a rate beyond it.
    rate = 2e-4 * 1234 / 5000
    moved = max(
        np.abs(np.asarray(after.params[k]) - np.asarray(before.params[k])).max()
        for k in before.params
    )
    assert rate < moved < 2.1 * rate
    rows = (workdir / "metrics.csv").read_text().splitlines()
    assert rows[-1].startswith("1236,")


def error_of(capsys, *arguments):
    """The one line of a refused command."""
    assert program(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--config.model.channels=32"],
            "first at module.all_modules.0.weight: the checkpoint has (64, 16), "
            "the model (128, 32)",
        ),
        (
            ["--config.training.ema_decays=(0.9999,0.9)"],
            "0.9) must be one number",
        ),
        (["--config.conditions.fields=('label',)"], "only the unconditional networks"),
        (["--config.data.name=lsun/bedroom", "--config.data.image_size=0"], "give config.data.im"),
        (["--distributed"], "leave out --distributed"),
        (["--mode=sample"], "--mode=import and --checkpoint=FILE go together"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_one_line_and_writes_nothing(shared, tmp_path, capsys, more, message):
    workdir = tmp_path / "run"
    assert message in error_of(capsys, *flags(shared, "ddpmpp_vp", workdir, *more))
    assert not workdir.exists()


def test_noise_levels_that_leave_no_other_trace(shared, tmp_path, capsys):
    arguments = flags(shared, "ncsnpp_ve", tmp_path / "run", "--config.sde.sigma_max=90")
    message = "module.sigmas: the checkpoint has noise from 0.01 to 50, config.sde from 0.01 to 90"
    assert message in error_of(capsys, *arguments)


def test_a_folder_with_files_is_left_alone(shared, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    message = error_of(capsys, *flags(shared, "ddpmpp_vp", tmp_path))
    assert "is not an empty folder" in message
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_folder_that_is_being_trained_in_is_left_alone(shared, tmp_path, capsys):
    with Lock(tmp_path / ".lock"):
        message = error_of(capsys, *flags(shared, "ddpmpp_vp", tmp_path))
    assert "is being trained by process" in message
    assert os.listdir(tmp_path) == [".lock"]


def test_files_that_are_not_checkpoints(shared, tmp_path, capsys):
    def refused(path):
        arguments = flags(shared, "ddpmpp_vp", tmp_path / "run", f"--checkpoint={path}")
        message = error_of(capsys, *arguments)
        assert not (tmp_path / "run").exists()
        return message

    assert "No such file" in refused(tmp_path / "none.pth")
    assert "Is a directory" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe.pth")
    assert "no regular file" in refused(tmp_path / "pipe.pth")
    (tmp_path / "text.pth").write_text("not a zip file")
    assert "not a PyTorch file" in refused(tmp_path / "text.pth")
    whole = (shared / "golden" / "ddpmpp_vp.pth").read_bytes()
    (tmp_path / "short.pth").write_bytes(whole[: len(whole) // 2])
    assert "not a PyTorch file" in refused(tmp_path / "short.pth")
    for name, pickled in (
        ("other", pickle.dumps({"state_dict": {}}, 2)),
        ("cut", b"\x80\x02h"),
        ("damaged", b"\x80\x02N)R."),  # calls None
    ):
        with zipfile.ZipFile(tmp_path / f"{name}.pth", "w") as archive:
            archive.writestr("a/data.pkl", pickled)
    assert "no known checkpoint: it holds a dictionary" in refused(tmp_path / "other.pth")
    assert "is damaged" in refused(tmp_path / "cut.pth")
    assert "a call of something" in refused(tmp_path / "damaged.pth")


TINY = {
    "model.channels": 4,
    "model.channel_mult": (1,),
    "model.num_res_blocks": 1,
    "model.attn_resolutions": (),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small checkpoint, and the flags that import it but for the file's name and the folder."""
    folder = tmp_path_factory.mktemp("tiny")
    untrained_run(folder / "run", digits_vp.get_config(), **TINY)
    assert export.main([str(folder / "run"), str(folder / "tiny.pth")]) == 0
    values = [f"--config.{field}={value}".replace(" ", "") for field, value in TINY.items()]
    flags = ["--config=configs/digits_vp.py", "--mode=import", *values]
    return torch_file.load(folder / "tiny.pth"), flags


BIAS = "module.all_modules.0.bias"
STEP = "it must be an int from 0 to 2**31 - 1"
DECAY = "it must be a number in [0, 1)"


def filled(array, number):
    return np.full(array.shape, number, array.dtype)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(step=2**40), f"step is 1099511627776; {STEP}"),
        (lambda c: c.update(step=2**31), f"step is 2147483648; {STEP}"),
        (lambda c: c.update(step=float("inf")), f"step is inf; {STEP}"),
        (lambda c: c.update(step=-5), f"step is -5; {STEP}"),
        (lambda c: c.update(step="5"), f"step is a str; {STEP}"),
        (lambda c: c.pop("step"), "it has no step"),
        (
            lambda c: c.pop("ema"),
            "it has no ema, moving averages: --weights=raw imports the others",
        ),
        (lambda c: c["ema"].pop("shadow_params"), "it has no ema.shadow_params"),
        (
            lambda c: c["model"].update({f"module.{BIAS}": c["model"][BIAS]}),
            f"model has {BIAS} twice, also as module.{BIAS}",
        ),
        (lambda c: c.update(model=[]), "model is a list"),
        (lambda c: c["model"].update({7: np.zeros(1)}), "model has 7 among its names"),
        (lambda c: c["model"].update({"\x1b": np.zeros(1)}), "model has a str among its names"),
        (lambda c: c["model"].update({BIAS: 1.0}), f"{BIAS} is 1.0; it must be an array"),
        (
            lambda c: c["model"].update({BIAS: c["model"][BIAS].astype(np.int64)}),
            f"{BIAS} is an array of int64; it must be an array of floating-point numbers",
        ),
        (
            lambda c: c["model"].update({BIAS: filled(c["model"][BIAS], np.nan)}),
            f"{BIAS} holds a number that is not finite",
        ),
        (
            lambda c: c["model"].update({BIAS: c["model"][BIAS].astype(float) + 1e300}),
            f"{BIAS} holds a number that is not finite",  # it is not in float32
        ),
        (lambda c: c["model"].update({song.SIGMAS: np.zeros(0)}), f"{song.SIGMAS} has shape (0,)"),
        (lambda c: c["model"].update({song.SIGMAS: np.ones(())}), f"{song.SIGMAS} has shape ()"),
        (lambda c: c["ema"].update(shadow_params={}), "ema.shadow_params is a dict"),
        (
            lambda c: c["ema"].update(shadow_params=[0.5] * len(c["ema"]["shadow_params"])),
            "ema.shadow_params[0] is 0.5; it must be an array",
        ),
        (
            lambda c: c["ema"]["shadow_params"].insert(0, np.full(3, -np.inf)),
            "ema.shadow_params[0] holds a number that is not finite",
        ),
        (lambda c: c["ema"].update(decay=1.0), f"ema.decay is 1.0; {DECAY}"),
        (lambda c: c["ema"].update(decay=float("nan")), f"ema.decay is nan; {DECAY}"),
        (lambda c: c["ema"].update(decay=[]), f"ema.decay is a list; {DECAY}"),
    ],
)
def test_values_that_cannot_be_right_are_named(tiny, tmp_path, capsys, change, message):
    checkpoint, flags = copy.deepcopy(tiny[0]), tiny[1]
    change(checkpoint)
    torch_writer.save(tmp_path / "a.pth", checkpoint)
    folder = tmp_path / "run"
    flags = [*flags, f"--checkpoint={tmp_path / 'a.pth'}", f"--workdir={folder}"]
    assert f"not a checkpoint of score_sde_pytorch: {message}" in error_of(capsys, *flags)
    assert not folder.exists()


def renamed(checkpoint, change):
    names = {name: change(name) for name in checkpoint["model"]}
    model = {names[name]: array for name, array in checkpoint["model"].items()}
    return {**checkpoint, "model": model}


def bare(name):
    return name.removeprefix("module.")


@pytest.mark.parametrize("change", [bare, lambda name: f"module.{name}"], ids=["without", "twice"])
def test_names_may_lack_a_wrapper_or_have_it_twice(tiny, tmp_path, change):
    """Raw and averaged parameters are those of the file with the official names."""
    checkpoint, flags = tiny
    torch_writer.save(tmp_path / "official.pth", checkpoint)
    torch_writer.save(tmp_path / "other.pth", renamed(checkpoint, change))
    official, other = (song.read(tmp_path / f"{name}.pth") for name in ("official", "other"))
    assert list(other["model"]) == list(official["model"])
    for name, array in official["model"].items():
        np.testing.assert_array_equal(other["model"][name], array)
    workdir = tmp_path / "run"
    file = f"--checkpoint={tmp_path / 'other.pth'}"
    assert program(*flags, file, f"--workdir={workdir}") == 0
    assert score_sde.load(workdir).step == checkpoint["step"]


def test_a_file_without_averages_is_imported_raw(tiny, tmp_path, capsys):
    """Both the parameters and what becomes their average are the raw ones."""
    checkpoint, flags = copy.deepcopy(tiny[0]), tiny[1]
    del checkpoint["ema"]
    torch_writer.save(tmp_path / "a.pth", checkpoint)
    file, workdir = f"--checkpoint={tmp_path / 'a.pth'}", tmp_path / "run"
    assert "--weights=raw" in error_of(capsys, *flags, file, f"--workdir={workdir}")
    assert "takes --weights=ema or raw" in error_of(
        capsys, *flags, file, f"--workdir={workdir}", "--weights=0.9"
    )
    assert program(*flags, file, f"--workdir={workdir}", "--weights=raw") == 0
    assert "raw parameters, with which an average begins" in capsys.readouterr().out
    raw, average = (score_sde.load(workdir, weights=w).params for w in ("raw", "ema"))
    for name, array in raw.items():
        np.testing.assert_array_equal(array, average[name])


def alone(checkpoint):
    """As state_dict() gives them, by the network's own names."""
    return {bare(name): array for name, array in checkpoint["model"].items()}


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_parameters_alone_are_imported_raw_at_step_0(tiny, tmp_path, capsys, ending):
    """Without what an official checkpoint has beside them, and said so where averages are asked."""
    checkpoint, flags = tiny
    path = (tmp_path / "alone").with_suffix(ending)
    if ending == ".pth":
        torch_writer.save(path, alone(checkpoint))
    else:
        safetensors.save(path, alone(checkpoint), {})
    flags = [*flags, f"--checkpoint={path}", f"--workdir={tmp_path / 'run'}"]
    assert "it has no ema, moving averages: --weights=raw imports" in error_of(capsys, *flags)
    assert program(*flags, "--weights=raw") == 0
    run = score_sde.load(tmp_path / "run", weights="raw")
    model = nnx.eval_shape(lambda: run.experiment.module(streams(0)))
    params, constants = song.to_params(model, checkpoint)
    assert run.step == 0
    for found, expected in ((run.params, params), (run.constants, constants)):
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"step": "many"}, f"step is a str; {STEP}"),
        ({"step": "9" * 100}, "it must be an int from 0"),
        ({"ema_decay": "nan"}, f"ema.decay is nan; {DECAY}"),
    ],
)
def test_texts_about_tensors_that_cannot_be_right_are_named(tiny, tmp_path, capsys, about, message):
    checkpoint, flags = tiny
    safetensors.save(tmp_path / "a.safetensors", alone(checkpoint), about)
    flags = [*flags, f"--checkpoint={tmp_path / 'a.safetensors'}", f"--workdir={tmp_path / 'run'}"]
    assert message in error_of(capsys, *flags)
    assert not (tmp_path / "run").exists()


def test_a_payload_is_refused_by_name_and_not_run(shared, tmp_path):
    """A whole checkpoint beside a live payload, through the command line."""
    target, evil = tmp_path / "ran", tmp_path / "evil.pth"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"model": Payload(target)}, 2))
    result = called(*flags(shared, "ddpmpp_vp", tmp_path / "run", f"--checkpoint={evil}"))
    assert result.returncode == 2, result.stdout + result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert "open" in lines[0]
    assert str(evil) in lines[0]
    assert not target.exists()
    assert not (tmp_path / "run").exists()
    pickle.loads(pickle.dumps(Payload(target), 2)).close()
    assert target.exists()  # the payload is a live one


def test_the_config_of_the_run_is_the_given_one(shared, imported):
    saved = json.loads((imported("ddpmpp_vp") / "config.json").read_text())
    assert saved["model"]["channels"] == 16
    assert saved["run"]["data"]["fields"][0]["shape"] == [16, 16, 3]
    stored = song.read(shared / "golden" / "ddpmpp_vp.pth")["ema"]
    assert saved["run"]["parameters"] == sum(array.size for array in stored)
