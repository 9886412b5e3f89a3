"""`python -m score_sde.data suggest`: what it measures, what it writes, and that this trains."""

import re
import runpy

import numpy as np
import pytest
from made_curve import measured_run
from PIL import Image
from program import called, called_command

import score_sde
from score_sde import data
from score_sde.data.__main__ import main

pytestmark = pytest.mark.slow

# Of the 49,927 training images of ../shared: root mean square about the mean, in [-1, 1].
CIFAR10 = 0.50313
TINY = (
    "--config.model.channels=4",
    "--config.model.channel_mult=(1,)",
    "--config.model.num_res_blocks=1",
    "--config.model.attn_resolutions=()",
    "--config.training.batch_size=4",
    "--config.training.steps=2",
    "--config.training.log_every=1",
    "--config.training.eval_every=0",
    "--config.training.sample_every=0",
)


def suggest(*arguments):
    return called_command(main, "suggest", *map(str, arguments))


def value(printed, name):
    """What the line of this name says first."""
    return float(re.search(rf"^{name} +([^ ,]+)", printed, re.MULTILINE)[1])


def photographs(folder, number, side=24):
    """Like photographs: smooth fields of spectrum 1 / f^2, with colours, of mixed contrast."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side) * side] * 2))
    for i in range(number):
        noise = np.fft.fft2(rng.standard_normal((3, side, side)))
        field = np.fft.ifft2(noise / np.maximum(frequency, 1)).real
        field /= field.std((1, 2), keepdims=True)
        mixed = np.tensordot([[1, 0.2, 0], [0.8, 0.4, 0.2], [0.6, 0.3, 0.6]], field, 1)
        levels = 110 + rng.normal(0, 30) + rng.gamma(4, 10) * mixed.transpose(1, 2, 0)
        Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).save(folder / f"{i:03d}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("photographs")
    photographs(path, 60)
    return path


def exact(name, **options):
    """sigma_data of all training examples."""
    source = data.load(name, **options)
    images = source.gather(np.arange(len(source)))["image"].astype(np.float64)
    return (2 * images / 255 - 1).std()


def test_of_digits(data_dir):
    """All of them are looked at: sigma_data to the digits that are printed; each has a reason."""
    result = suggest("digits", f"--data_dir={data_dir}")
    assert result.returncode == 0, result.stderr
    printed = result.stdout
    assert value(printed, "sigma_data") == pytest.approx(exact("digits", data_dir=data_dir), 1e-4)
    assert value(printed, "sigma_min") == 2 / 16 / 4
    assert value(printed, "P_mean, P_std") == pytest.approx(
        -1.2 + np.log(2 * value(printed, "sigma_data")), abs=1e-3
    )
    lines = printed.splitlines()[2:]
    rows = lines[: lines.index("")]
    assert all(len(re.split("  +", row, maxsplit=2)) == 3 for row in rows)
    assert "looked at 1,297 of 1,297 examples" in printed
    assert "python main.py --config=digits_vp" in printed


def test_of_cifar10(shared):
    """Of a sample, within 1 % and within 4 of its own standard errors; sigma_max is EDM's 80."""
    tfds = shared / "data" / "tfds"
    result = suggest("cifar10", f"--data_dir={tfds}", "--num=2000", "--seed=1")
    assert result.returncode == 0, result.stderr
    found = value(result.stdout, "sigma_data")
    error = float(re.search("standard error ([0-9.e-]+)", result.stdout)[1])
    assert found == pytest.approx(CIFAR10, rel=0.01)
    assert abs(found - CIFAR10) < 4 * error
    assert value(result.stdout, "sigma_max") == pytest.approx(80, rel=0.02)
    assert value(result.stdout, "sigma_min") == pytest.approx(0.002, rel=0.02)


def test_of_a_folder_it_writes_a_recipe_that_trains(folder, tmp_path):
    """Once: a file that is there is left alone. All values of the report are in it."""
    recipe = tmp_path / "mine.py"
    options = ("folder", f"--data_dir={folder}")
    result = suggest(*options, f"--write={recipe}")
    assert result.returncode == 0, result.stderr
    found = value(result.stdout, "sigma_data")
    assert found == pytest.approx(exact("folder", data_dir=folder), rel=1e-3)
    config = runpy.run_path(str(recipe))["get_config"]()
    assert config.model.sigma_data == found
    assert config.sde.t_max == value(result.stdout, "sigma_max")
    assert config.data.dir == str(folder)
    written = recipe.read_bytes()
    result = suggest(*options, f"--write={recipe}")
    assert (result.returncode, result.stdout) == (2, "")
    assert "is there already" in result.stderr
    assert recipe.read_bytes() == written
    result = called(f"--config={recipe}", f"--workdir={tmp_path / 'run'}", *TINY)
    assert result.returncode == 0, result.stderr


def test_damaged_images_are_errors_or_left_out_and_said(folder, tmp_path):
    """As everywhere."""
    for image in folder.glob("0[0-2]*.png"):
        (tmp_path / image.name).write_bytes(image.read_bytes())
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = suggest("folder", f"--data_dir={tmp_path}")
    assert result.returncode == 2
    assert "broken.png" in result.stderr
    result = suggest("folder", f"--data_dir={tmp_path}", "--skip_damaged")
    assert result.returncode == 0, result.stderr
    assert "images are damaged and left out" in result.stdout
    assert "--config.data.skip_damaged=True" in result.stdout


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_of_vectors(tmp_path, offset):
    """Standardised, so 1, wherever they are; no map of three dimensions is asked for."""
    x = np.random.default_rng(0).standard_normal((100, 3)) * [1, 10, 100] + offset
    np.savez(tmp_path / "x.npz", vector=x.astype(np.float32))
    result = suggest("arrays", f"--data_dir={tmp_path / 'x.npz'}")
    assert result.returncode == 0, result.stderr
    assert value(result.stdout, "sigma_data") == pytest.approx(1, abs=1e-3)
    assert value(result.stdout, "sigma_min") == 0.004
    assert "log_likelihood" in result.stdout


def test_channels_that_differ_much_are_named(tmp_path):
    levels = np.random.default_rng(0).integers(256, size=(30, 8, 8, 3), dtype=np.uint8)
    levels[..., 2] //= 8
    np.save(tmp_path / "x.npy", levels)
    result = suggest("arrays", f"--data_dir={tmp_path / 'x.npy'}")
    assert re.search(
        r"; by channel 0\.5\d+, 0\.5\d+, 0\.07\d+: one number fits none", result.stdout
    )


def test_a_run_says_where_it_learns(data_dir, tmp_path):
    """Its curve takes the place of EDM's numbers: a half is learnt where sigma is 0.1 and 10."""
    options = ("digits", f"--data_dir={data_dir}")
    plain, images = suggest(*options), data.load("digits", data_dir=data_dir)
    images = images.gather(np.arange(len(images)))["image"] / 127.5
    spread = np.sqrt(((images - images.mean(0)) ** 2).mean())
    sde, sigma = score_sde.VP(), np.geomspace(0.02, 50, 41)
    learnt = 0.8 * np.exp2(-((np.log(sigma) / np.log(10)) ** 2))
    loss = (1 - learnt) / (1 + (sigma / spread) ** 2)
    info = data.load("digits", data_dir=data_dir).info
    measured_run(tmp_path / "run", info, loss, np.asarray(sde.time_at_log_snr(-2 * np.log(sigma))))
    result = suggest(*options, f"--run={tmp_path / 'run'}")
    assert result.returncode == 0, result.stderr
    mean, std = re.search("^P_mean, P_std +([^ ]+), ([^ ]+) ", result.stdout, re.MULTILINE).groups()
    assert float(mean) == pytest.approx(0, abs=0.02)
    assert float(std) == pytest.approx(np.log(10) / 1.96, rel=0.02)
    assert f"--config.objective.denoising.time_mean={mean}" in result.stdout
    assert value(plain.stdout, "P_mean, P_std") != float(mean)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cifar11"], "did you mean cifar10"),
        (["folder", "--data_dir=EMPTY"], "no PNG, JPEG or WebP image"),
        (["digits", "--num=0"], "'0' is no whole number of at least 2"),
        (["digits", "--seed=-1"], "'-1' is no whole number of at least 0"),
        (["digits", "--field=label"], "the field 'label' of digits is of kind label"),
        (["digits", "--run=EMPTY"], "no run in"),
        (["digits", "--write=EMPTY"], "a recipe is a file of Python"),
        (["digits", "--write=/dev/null/x.py"], "cannot write"),
        (["arrays", "--data_dir=SAME"], "all values of image are the same"),
        (["arrays", "--data_dir=ONE"], "has one example"),
        (["folder", "--data_dir=TWO", "--image_size=100000"], "at least 960 GB of memory"),
        (["digits", "--number=3"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, says, data_dir, tmp_path):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "TWO").mkdir()
    photographs(tmp_path / "TWO", 2, side=8)
    np.save(tmp_path / "SAME", np.full((20, 8, 8, 1), 7, np.uint8))
    np.save(tmp_path / "ONE", np.zeros((1, 8, 8, 1), np.uint8))
    (tmp_path / "SAME.npy").rename(tmp_path / "SAME")
    (tmp_path / "ONE.npy").rename(tmp_path / "ONE")
    words = [re.sub("(EMPTY|SAME|ONE|TWO)$", rf"{tmp_path}/\1", word) for word in arguments]
    if not any(word.startswith("--data_dir") for word in words):
        words.append(f"--data_dir={data_dir}")
    result = suggest(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
