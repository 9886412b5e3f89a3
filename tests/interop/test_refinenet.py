"""The released NCSN and NCSNv2 give their numbers, with the config that is proposed."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

import score_sde
from score_sde import cli
from score_sde.data import selection
from score_sde.interop import importer
from score_sde.interop.families import FAMILIES
from score_sde.interop.recognise import recognise
from score_sde.interop.refinenet import prepare
from score_sde.models.functional import streams
from score_sde.runs import build

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


@pytest.fixture
def folder(shared):
    return shared / "golden" / "checkpoints"


def check_scores(found, golden, key):
    """Relative L2 < 1e-5 of each example."""
    for one, reference in zip(found.transpose(0, 3, 1, 2), golden[key], strict=True):
        assert np.linalg.norm(one - reference) < 1e-5 * np.linalg.norm(reference)


def nhwc(golden):
    return jnp.asarray(golden["x_nchw"].transpose(0, 2, 3, 1))


def test_the_command_line_gives_the_official_scores(folder, tmp_path, capsys):
    """With no more than the file, of averages and of the parameters themselves."""
    file, workdir = folder / "ncsnv2_cifar10.pth", tmp_path / "run"
    arguments = ["--mode=import", f"--checkpoint={file}", f"--workdir={workdir}"]
    assert cli.main(["main.py", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "parameters, raw and averaged. " in printed
    assert "with averages by 0.999 and new Adam moments" in printed
    golden = np.load(file.with_suffix(".npz"))
    for key, weights in (("y_score", "ema"), ("y_score_raw", "raw")):
        run = score_sde.load(workdir, weights=weights)
        assert run.step == recognise(file).step
        t = (1 - golden["labels"] / (run.sde.scales - 1)).astype(np.float32)
        found = run.denoise(nhwc(golden), jnp.asarray(t)).score(run.sde, jnp.asarray(t))
        check_scores(found, golden, key)
    assert json.loads((workdir / "config.json").read_text())["data"]["image_size"] == 16


@pytest.mark.parametrize(
    "name", ["ncsn_cifar10", "ncsn_mnist", "ncsnv2_lsun_deeper", "ncsnv2_ffhq_deepest"]
)
def test_networks_give_the_official_scores(folder, name):
    released, golden = recognise(folder / f"{name}.pth"), np.load(folder / f"{name}.npz")
    family = FAMILIES[released.family]
    config = family.propose(released)
    config.data.image_size = golden["x_nchw"].shape[-1]
    experiment = build.experiment(config, selection.read(config.data).describe())
    family.check(experiment, released)
    weights = family.fill(nnx.eval_shape(lambda: experiment.module(streams(0))), released, True)
    apply, labels = quick_jit(experiment.network.apply), golden["labels"]
    sigma = experiment.sde.sigma(1 - labels / (experiment.sde.scales - 1))
    scale = 1 if released.family == "ncsn" else sigma[:, None, None, None]
    for key, params in (("y_score", weights.average), ("y_score_raw", weights.raw)):
        if key in golden:
            out = apply(params, weights.constants, nhwc(golden), jnp.asarray(labels, jnp.float32))
            check_scores(np.asarray(out) / scale, golden, key)


def test_configs_that_are_proposed(folder):
    config = importer.propose(folder / "ncsn_mnist.pth")
    assert (config.data.name, config.data.image_size) == ("mnist", 28)
    assert (config.sde.sigma_max, config.sde.sigma_min, config.sde.scales) == (1.0, 0.01, 10)
    assert config.training.ema_decays == (0.0,)
    assert config.sampling.predictor_corrector.snr == pytest.approx(0.316, abs=1e-3)
    config = importer.propose(folder / "ncsnv2_cifar10.pth")
    assert (config.data.name, config.data.image_size) == ("cifar10", 16)
    assert config.sampling.predictor_corrector.snr == pytest.approx(0.176, abs=1e-3)
    assert config.sampling.predictor_corrector.corrector_steps == 5
    config = importer.propose(folder / "ncsnv2_lsun_deeper.pth")
    assert (config.data.name, config.data.image_size) == ("lsun/church_outdoor", 96)
    assert (config.sde.sigma_max, config.sde.scales) == (140.0, 788)
    config = importer.propose(folder / "ncsnv2_ffhq_deepest.pth")
    assert (config.data.name, config.data.image_size) == ("folder", 256)
    assert config.model.channel_mult == (1, 2, 2, 2, 4, 4)


def test_the_released_norm_is_equation_1():
    """gamma (h + alpha r) + beta = gamma h + beta + (alpha gamma) r."""
    gamma, alpha, beta = np.arange(1, 13, dtype=np.float32).reshape(3, 2, 2)
    embedding = np.concatenate([gamma, alpha, beta], axis=1)
    found = prepare({"normalizer.embed.weight": embedding, "sigmas": beta, "conv.weight": beta})
    assert set(found) == {f"normalizer.{p}" for p in ("alpha", "beta", "gamma")} | {"conv.weight"}
    np.testing.assert_array_equal(found["normalizer.alpha"], alpha * gamma)
    np.testing.assert_array_equal(found["normalizer.beta"], beta)


def error_of(capsys, *arguments):
    """The one line of a refused command."""
    assert cli.main(["main.py", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_what_cannot_be_imported_is_one_line(folder, shared, tmp_path, capsys):
    workdir = f"--workdir={tmp_path / 'run'}"

    def refused(path, *more):
        return error_of(capsys, "--mode=import", f"--checkpoint={path}", workdir, *more)

    file = folder / "ncsnv2_cifar10.pth"
    levels = refused(file, "--config=auto", "--config.sde.sigma_max=90")
    assert "sigmas: the checkpoint has noise from 0.01 to 50, config.sde from 0.01 to 90" in levels
    assert "first at begin_conv.weight" in refused(file, "--config.model.channels=4")
    assert "is of ncsnv2, which no config.model.name=unet has: give --config=auto" in refused(
        file, "--config=digits_vp"
    )
    assert "give --config=paper:NAME" in refused(shared / "golden" / "ncsnpp_ve.pth")
    assert "did you mean config.model.channels" in refused(file, "--config.model.chanels=4")
    assert "posix.system" in refused(folder / "hostile" / "edm_posix_system.pkl")
    shutil.copy(folder / "ncsn_cifar10.pth", tmp_path / "a.pth")
    (tmp_path / "a.yml").write_text("data: {logit_transform: true, image_size: 32}\nmodel: {}")
    assert "transformed by a logit" in refused(tmp_path / "a.pth")
    assert not (tmp_path / "run").exists()
    auto = "--config=auto goes with --mode=import --checkpoint=FILE"
    assert auto in error_of(capsys, "--config=auto", workdir)
