"""A run that is trained on notes by the program: its samples are sounds of what was asked for."""

import json
import shutil
import wave

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from program import called, called_command

import score_sde
from score_sde import data
from score_sde.data import notes, stored
from score_sde.data.__main__ import main as data_command
from score_sde.fields import decode_texts, encode_texts
from score_sde.sound import wav

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
    assert result.stdout.endswith("--mode=sample --condition=text=TEXT\n")
    return folder / "run"


def test_pictures_of_training_are_spectrograms(trained):
    for name in ("real.png", "samples/2.png"):
        with Image.open(trained / name) as picture:
            assert picture.mode == "RGB"


def test_samples_are_sounds(trained):
    """Each in a WAV file too, named after what was asked; one that is missing is drawn again."""
    asked = ("--mode=sample", "--condition=text=violin, A#4", "--num_samples=3")
    result = called(f"--workdir={trained}", *asked)
    assert result.returncode == 0, result.stderr
    (trained / "samples_wav" / "mine.wav").touch()
    asked = ("--mode=sample", "--condition=text=violin, A4", "--num_samples=2", "--overwrite")
    result = called(f"--workdir={trained}", *asked)
    assert result.returncode == 0, result.stderr
    assert f"each is in a file in {trained / 'samples_wav'}" in result.stdout
    names = ["mine.wav", "sample_000_violin_A4.wav", "sample_001_violin_A4.wav"]
    assert sorted(path.name for path in (trained / "samples_wav").iterdir()) == names
    result = called(f"--workdir={trained}", *asked[:-1])
    assert "holds these samples" in result.stdout
    (trained / "samples_wav" / names[1]).unlink()
    result = called(f"--workdir={trained}", *asked[:-1])
    assert "holds these samples" not in result.stdout
    with np.load(trained / "samples.npz") as arrays:
        assert arrays["samples"].shape == (2, 16_000)
        assert arrays["samples"].dtype == np.float32
        assert decode_texts(arrays["text"]) == 2 * ["violin, A4"]
        sound, rate = wav.read(trained / "samples_wav" / names[1], 16_000)
        np.testing.assert_allclose(sound[:, 0], np.clip(arrays["samples"][0], -1, 1), atol=1e-4)
        assert rate == 16_000
    with Image.open(trained / "samples.png") as picture:
        with_captions = picture.size
    with Image.open(trained / "samples" / "2.png") as picture:  # two rows of two
        across, down = picture.size
    assert with_captions == (across, down // 2 + 1 + 14)


def test_a_word_that_no_note_has_is_refused(trained):
    """The run's folder knows the words: its data need not be there."""
    result = called(
        *(f"--workdir={trained}", "--mode=sample", "--condition=text=violn, A4"),
        "--config.data.dir=nowhere",
    )
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "'violn' is no word of text here: did you mean 'violin'?" in result.stderr


def test_samples_stand_beside_recordings_of_what_they_are_told(trained, tmp_path):
    """Pairs of pictures; the file has what was told, by the seed; nothing else may be asked."""
    out = tmp_path / "beside"
    beside = ("--config.sampling.beside=True", "--config.sampling.told_of=test", f"--out={out}")
    line = (f"--workdir={trained}", "--mode=sample", "--num_samples=3", *beside)
    result = called(*line)
    assert result.returncode == 0, result.stderr
    held_out = data.load("notes", "test", data_dir=trained.parent / "data")
    rows = np.random.default_rng(0).integers(len(held_out), size=3)
    with np.load(f"{out}.npz") as arrays:
        told, drawn = arrays["text"], arrays["samples"]
    np.testing.assert_array_equal(told, held_out.gather(rows)["text"])
    space, real = score_sde.load(trained).space, held_out.gather(rows)["signal"]
    pairs = np.stack([drawn, real], axis=1).reshape(6, -1)
    texts = [title for text in decode_texts(told) for title in (text, "real")]
    space.show(tmp_path / "expected.png", pairs, 8, texts)
    with Image.open(f"{out}.png") as found, Image.open(tmp_path / "expected.png") as expected:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    result = called(*line, "--condition=text=violin, A4")
    assert result.returncode == 2
    assert "leave out --task and --condition" in result.stderr
    assert result.stderr.count("\n") == 1


def test_predictions_are_drawn_anew(trained):
    """In the file that sampling wrote, each of what it was asked; beside each in the picture."""
    asked = ("--mode=sample", "--condition=text=violin, A4", "--num_samples=2", "--overwrite")
    result = called(f"--workdir={trained}", *asked, f"--out={trained / 'first.npz'}")
    assert result.returncode == 0, result.stderr
    given = ("--mode=sample", "--task=shallow", f"--from={trained / 'first.npz'}")
    result = called(f"--workdir={trained}", *given, "--strength=0.5")
    assert result.returncode == 0, result.stderr
    assert ", from t = " in result.stdout
    first, found = np.load(trained / "first.npz"), np.load(trained / "shallow.npz")
    np.testing.assert_array_equal(found["predicted"], first["samples"])
    assert decode_texts(found["text"]) == ["violin, A4"] * 2
    assert found["samples"].shape == (2, 16_000)
    assert (found["samples"] != first["samples"]).any(axis=1).all()
    assert len(list((trained / "shallow_wav").iterdir())) == 2
    widths = [Image.open(trained / f"{name}.png").width for name in ("first", "shallow")]
    assert widths[1] > 1.5 * widths[0]


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


def test_an_autoencoder_of_waveforms_and_a_model_of_its_latents(trained):
    """Trained one after the other; the second keeps the first, and draws sounds by it."""
    folder = trained.parent
    small = [option for option in SMALL[1:] if "log_mel" not in option and ".model." not in option]
    where = f"--config.data.dir={folder / 'data'}"
    first, second = folder / "autoencoder", folder / "latent"
    widths = ("--config.model.widths=(4,4,4)", "--config.model.factors=(8,20)")
    more = ("--config.model.latent_channels=3", "--config.model.dilations=(1,)")
    training = [option for option in small if ".training." in option]
    given = ("--config=configs/notes_autoencoder.py", *training, *widths, *more, where)
    result = called(*given, f"--workdir={first}")
    assert result.returncode == 0, result.stderr
    assert (first / "samples" / "2.png").exists()
    result = called(f"--workdir={first}", "--mode=evaluate", "--config.evaluation.num_examples=4")
    assert result.returncode == 0, result.stderr
    found = json.loads((first / "evaluation.json").read_text())
    run = score_sde.load_autoencoder(first)
    x = data.load("notes", "test", data_dir=folder / "data").gather(np.arange(4))["signal"]
    again = run.space.decode(run.decode(run.encode(run.space.encode(jnp.asarray(x))).mean))
    x = x.astype(np.float64)
    ratios = np.sum(x**2, axis=1) / np.sum((np.asarray(again) - x) ** 2, axis=1)
    ratio = 10 * np.log10(ratios).mean()  # dB, of which silence has none
    np.testing.assert_allclose(found["reconstruction"]["value"], ratio, rtol=1e-3, atol=1e-4)
    _check_encoded(folder, first, run, small)
    space = [f"--config.space.sound_latents.{o}" for o in ("channels=3", "factor=160")]
    space += [f"--config.space.sound_latents.autoencoder={first}"]
    width = ("--config.model.channels=8", "--config.model.depth=1", "--config.model.heads=1")
    given = ("--config=configs/notes_latent.py:notes", *small, *width, *space, where)
    given += ("--config.training.sample_every=0",)
    result = called(*given, f"--workdir={second}")
    assert result.returncode == 0, result.stderr
    shutil.rmtree(first)
    asked = ("--mode=sample", "--condition=text=violin, A4", "--num_samples=2")
    result = called(f"--workdir={second}", *asked)
    assert result.returncode == 0, result.stderr
    with np.load(second / "samples.npz") as arrays:
        assert arrays["samples"].shape == (2, 16_000)
    assert len(list((second / "samples_wav").iterdir())) == 2


def _check_encoded(folder, autoencoder, run, small):
    """Its latents can be made once; a model of them draws sounds when it is gone."""
    out = folder / "encoded"
    flags = (f"--data_dir={folder / 'data'}", f"--autoencoder={autoencoder}", f"--out={out}")
    result = called_command(data_command, "encode", "notes", *flags)
    assert result.returncode == 0, result.stderr
    space = "--config.space.encoded_sounds."
    assert result.stdout.endswith(
        f"--config.space.name=encoded_sounds {space}factor=160 {space}rate=16000\n"
    )
    found = data.load("encoded", "test", data_dir=out).gather(np.arange(4))
    signals = data.load("notes", "test", data_dir=folder / "data").gather(np.arange(4))["signal"]
    expected = run.encode(run.space.encode(jnp.asarray(signals)))
    assert found["latent"].shape == (4, 100, 6)
    np.testing.assert_allclose(found["latent"][..., :3], expected.mean, atol=1e-4)
    np.testing.assert_allclose(found["latent"][..., 3:], expected.std, rtol=1e-3)
    options = [word for word in result.stdout.split() if word.startswith("--config.")]
    width = ("--config.model.channels=8", "--config.model.depth=1", "--config.model.heads=1")
    given = ("--config=configs/notes_latent.py", *small, *width)
    given += ("--config.training.sample_every=0",)
    workdir = f"--workdir={folder / 'of_encoded'}"
    result = called(*given, *options, workdir)
    assert result.returncode == 0, result.stderr
    result = called(workdir, "--mode=evaluate", "--config.evaluation.notes.num_samples=2")
    assert result.returncode == 0, result.stderr
    shutil.rmtree(out)
    asked = ("--mode=sample", "--condition=text=violin, A4", "--num_samples=2")
    result = called(workdir, *asked)
    assert result.returncode == 0, result.stderr
    sound, rate = wav.read(next((folder / "of_encoded" / "samples_wav").iterdir()), 16_000)
    assert (sound.shape, rate) == ((16_000, 1), 16_000)


def test_prompts_are_of_pictures(trained):
    result = called(f"--workdir={trained}", "--mode=sample", "--prompt=violin, A4")
    assert result.returncode == 2
    assert "draws no pictures of texts; what it is told, --condition=NAME=VALUE says" in (
        result.stderr
    )
    assert result.stderr.count("\n") == 1
