"""Stable Audio's released autoencoder: numbers by its own layout's sums, names, real sizes."""

import json
import re

import jax
import numpy as np
import pytest
from sound_layout import layout

import score_sde
from score_sde import cli
from score_sde.errors import UserError
from score_sde.formats import safetensors
from score_sde.interop import importer, oobleck
from score_sde.interop.released import Released
from score_sde.interop.slots import check
from score_sde.models.functional import Maker, abstract
from score_sde.models.sound_autoencoder import SoundAutoencoder

pytestmark = pytest.mark.usefixtures("quick_compile")

SMALL = {"width": 4, "channels": 2, "latents": 3, "factors": (2, 4), "multiples": (1, 2)}
REAL = {
    **{"width": 128, "channels": 2, "latents": 64},
    **{"factors": (2, 4, 4, 8, 8), "multiples": (1, 2, 4, 8, 16)},
}


def drawn():
    rng = np.random.default_rng(0)
    shapes = layout(**SMALL)
    return {name: 0.5 * rng.standard_normal(s).astype(np.float32) for name, s in shapes.items()}


class Theirs:
    """The network in float64, [batch, channels, samples], each sum written out."""

    def __init__(self, arrays):
        self.arrays = {name: array.astype(np.float64) for name, array in arrays.items()}

    def weight(self, name):
        v = self.arrays[f"{name}.weight_v"]
        size = np.sqrt((v**2).sum((1, 2), keepdims=True))
        return self.arrays[f"{name}.weight_g"] * v / size

    def conv(self, name, x, padding, stride=1, dilation=1):
        w = self.weight(name)
        x = np.pad(x, [(0, 0), (0, 0), (padding, padding)])
        count = (x.shape[2] - dilation * (w.shape[2] - 1) - 1) // stride + 1
        out = np.zeros((len(x), len(w), count))
        for t in range(count):
            for k in range(w.shape[2]):
                out[:, :, t] += x[:, :, stride * t + dilation * k] @ w[:, :, k].T
        bias = self.arrays.get(f"{name}.bias", np.zeros(len(w)))
        return out + bias[:, None]

    def spread(self, name, x, stride):
        w, padding = self.weight(name), stride // 2
        out = np.zeros((len(x), w.shape[1], (x.shape[2] - 1) * stride + w.shape[2]))
        for t in range(x.shape[2]):
            for k in range(w.shape[2]):
                out[:, :, stride * t + k] += x[:, :, t] @ w[:, :, k]
        return out[:, :, padding:-padding] + self.arrays[f"{name}.bias"][:, None]

    def snake(self, name, x):
        a, b = (np.exp(self.arrays[f"{name}.{part}"]) for part in ("alpha", "beta"))
        return x + np.sin(a * x) ** 2 / b

    def units(self, name, x):
        for unit, dilation in ((1, 1), (2, 3), (3, 9)):
            prefix = f"{name}.res_unit{unit}"
            h = self.snake(f"{prefix}.snake1", x)
            h = self.conv(f"{prefix}.conv1", h, 3 * dilation, dilation=dilation)
            x = x + self.conv(f"{prefix}.conv2", self.snake(f"{prefix}.snake2", h), 0)
        return x

    def encode(self, x):
        x = self.conv("encoder.conv1", x, 3)
        for i, factor in enumerate(SMALL["factors"]):
            name = f"encoder.block.{i}"
            x = self.snake(f"{name}.snake1", self.units(name, x))
            x = self.conv(f"{name}.conv1", x, factor // 2, stride=factor)
        mean, raw = np.split(self.conv("encoder.conv2", self.snake("encoder.snake1", x), 1), 2, 1)
        return mean, 2 * np.log(np.log1p(np.exp(raw)) + 1e-4)

    def decode(self, z):
        x = self.conv("decoder.conv1", z, 3)
        for i, factor in enumerate(SMALL["factors"][::-1]):
            name = f"decoder.block.{i}"
            x = self.spread(f"{name}.conv_t1", self.snake(f"{name}.snake1", x), factor)
            x = self.units(name, x)
        return self.conv("decoder.conv2", self.snake("decoder.snake1", x), 3)


def file(folder, arrays, **said):
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.parent.mkdir()
    safetensors.save(path, arrays, {"format": "pt"})
    (path.parent / "config.json").write_text(json.dumps({"sampling_rate": 8000, **said}))
    return path


def test_it_is_imported_by_the_program_and_gives_the_same_numbers(tmp_path, capsys):
    arrays = drawn()
    path, workdir = file(tmp_path, arrays), tmp_path / "run"
    assert (
        cli.main(["main.py", "--mode=import", f"--checkpoint={path}", f"--workdir={workdir}"]) == 0
    )
    assert "sound_latents of signals" in capsys.readouterr().out
    run = score_sde.load_autoencoder(workdir)
    assert (run.experiment.field.rate, run.experiment.field.shape) == (8000, (8000, 2))
    rng = np.random.default_rng(1)
    x, z = rng.standard_normal((2, 2, 48)), rng.standard_normal((2, 3, 6))
    expected = *Theirs(arrays).encode(x), Theirs(arrays).decode(z)
    x, z = (np.moveaxis(a, 1, 2).astype(np.float32) for a in (x, z))
    with jax.default_matmul_precision("highest"):
        found = *run.encode(x), run.decode(z)
    for ours, theirs in zip(found, expected, strict=True):
        theirs = np.moveaxis(theirs, 1, 2)
        assert np.linalg.norm(ours - theirs) < 1e-5 * np.linalg.norm(theirs)


def test_real_sizes():
    """Every array of the released size has its place; nothing is made."""
    shapes = layout(**REAL)
    released = Released("", "oobleck", None, {n: np.broadcast_to(0, s) for n, s in shapes.items()})
    options = oobleck.describe(released.arrays)
    model = abstract(Maker(SoundAutoencoder, options))
    whole = {re.sub("weight_v$", "weight", n): s for n, s in shapes.items() if n[-2:] != "_g"}
    check(oobleck.slots(model, released), whole)
    assert options["widths"] == (128, 128, 256, 512, 1024, 2048)
    assert options["factors"] == (2, 4, 4, 8, 8)


def test_a_signal_of_one_channel_has_no_axis_of_them():
    arrays = {n: np.zeros(s) for n, s in layout(**{**SMALL, "channels": 1}).items()}
    released = Released("", "oobleck", None, arrays)
    assert oobleck.describe(released.arrays)["signal_channels"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.block.1.conv1.weight_g": None}, "the size of encoder.block.1.conv1.weight_v"),
        ({"decoder.conv2.weight_g": np.ones((2, 2, 1), np.float32)}, "size of decoder.conv2"),
        ({"decoder.block.0.conv_t1.bias": None}, "decoder.block.0.conv_t1.bias"),
        ({"decoder.conv1.weight_v": None}, "lacks decoder.conv1.weight_v"),
        ({"encoder.snake1.beta": np.full((1, 8, 1), np.nan, np.float32)}, "encoder.snake1.beta"),
    ],
)
def test_damaged_files_end_in_one_line(tmp_path, change, message):
    arrays = {n: a for n, a in {**drawn(), **change}.items() if a is not None}
    path = file(tmp_path, arrays)
    with pytest.raises(UserError, match=re.escape(message)) as error:
        importer.import_run(importer.propose(path), path, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_rate_that_is_none_is_refused(tmp_path):
    path = file(tmp_path, drawn(), sampling_rate="fast")
    with pytest.raises(UserError, match="sampling_rate='fast' is no number of Hz"):
        importer.import_run(importer.propose(path), path, tmp_path / "run")
