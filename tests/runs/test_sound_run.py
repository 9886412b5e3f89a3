"""A run that is trained on notes by the program: its samples are sounds of what was asked for."""

import json
import wave

import numpy as np
import pytest
from PIL import Image
from program import called

from score_sde.data import notes, stored
from score_sde.fields import decode_texts, encode_texts

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

SMALL = (
    "--config=configs/notes_text.py",
    "--config.conditions.text.features=8",
    "--config.conditions.text.rows=64",
    "--config.space.log_mel.bands=16",
    "--config.space.log_mel.hop=512",
    "--config.space.log_mel.inverse_steps=2",
    "--config.space.log_mel.phase_steps=1",
    "--config.model.channels=8",
    "--config.model.depth=1",
    "--config.model.heads=1",
    "--config.training.batch_size=4",
    "--config.training.steps=2",
    "--config.training.steps_per_call=1",
    "--config.training.eval_every=0",
    "--config.training.sample_every=2",
    "--config.sampling.steps=4",
    "--config.sampling.batch_size=4",
    "--config.sampling.num_samples=4",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two steps."""
    folder = tmp_path_factory.mktemp("sound")
    rng = np.random.default_rng(0)
    splits = {}
    for split in ("train", "test"):
        pitches = np.arange(60, 72)
        families = np.arange(12, dtype=np.int32) % 3
        texts = [notes.instruments.text(8 * f, p) for f, p in zip(families, pitches, strict=True)]
        (most,) = notes.FIELDS[1].shape
        splits[split] = {
            "signal": rng.uniform(-0.5, 0.5, (12, 16_000)).astype(np.float32),
            "text": encode_texts(texts, most),
            "family": families,
            "pitch": pitches.astype(np.float32),
        }
    stored.write(folder / "data" / "notes", "notes", notes.FIELDS, splits, note="", license="")
    where = (f"--config.data.dir={folder / 'data'}", f"--workdir={folder / 'run'}")
    result = called(*SMALL, *where)
    assert result.returncode == 0, result.stderr
    assert "no effect" not in result.stdout
    return folder / "run"


def test_pictures_of_training_are_spectrograms(trained):
    for name in ("real.png", "samples/2.png"):
        with Image.open(trained / name) as picture:
            assert picture.mode == "RGB"


def test_samples_are_sounds(trained):
    asked = ("--mode=sample", "--condition=text=violin, A4", "--num_samples=2")
    result = called(f"--workdir={trained}", *asked)
    assert result.returncode == 0, result.stderr
    with np.load(trained / "samples.npz") as arrays:
        assert arrays["samples"].shape == (2, 16_000)
        assert arrays["samples"].dtype == np.float32
        assert decode_texts(arrays["text"]) == 2 * ["violin, A4"]
    assert (trained / "samples.png").exists()


def test_evaluation_says_how_many_are_right_and_keeps_wav_files(trained):
    options = ("--config.evaluation.notes.num_samples=6", "--config.evaluation.notes.keep=files")
    result = called(f"--workdir={trained}", "--mode=evaluate", *options)
    assert result.returncode == 0, result.stderr
    found = json.loads((trained / "evaluation.json").read_text())
    for name in ("notes_pitch", "notes_family"):
        assert 0 <= found[name]["value"] <= 1
        assert 0 <= found[name]["recordings"] <= 1
    files = sorted((trained / "evaluation" / found["notes_pitch"]["kept"]).iterdir())
    assert len(files) == 6
    with wave.open(str(files[0])) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, 16_000)


def test_prompts_are_of_pictures(trained):
    result = called(f"--workdir={trained}", "--mode=sample", "--prompt=violin, A4")
    assert result.returncode == 2
    assert "draws no pictures of texts; what it is told, --condition=NAME=VALUE says" in (
        result.stderr
    )
    assert result.stderr.count("\n") == 1
