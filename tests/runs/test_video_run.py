"""Videos through the command line: train, sample as asked, evaluate, continue, fill in; and begin
with the weights of a run of images."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from untrained import untrained_run

import score_sde
from score_sde import cli, fields
from score_sde.data import moving_digits
from score_sde.guidance.task import Inpaint
from score_sde.runs import recipes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

TINY = {
    "model.channels": 4,
    "model.channel_mult": (1,),
    "model.num_res_blocks": 1,
    "model.attn_resolutions": (),
}
SMALL = {
    **TINY,
    "model.time_heads": 1,
    "conditions.text.features": 4,
    "training.batch_size": 4,
    "training.steps": 2,
    "training.steps_per_call": 1,
    "training.log_every": 1,
    "training.eval_every": 2,
    "training.sample_every": 2,
    "training.checkpoint_every": 2,
    "sampling.num_samples": 3,
    "sampling.batch_size": 3,
    "sampling.steps": 3,
    "evaluation.batch_size": 4,
    "evaluation.num_examples": 8,
    "evaluation.bits_per_dim.rtol": 0.1,
    "evaluation.bits_per_dim.atol": 0.1,
    "evaluation.bits_per_dim.dequantization_steps": 2,
}


def flags(options):
    return [f"--config.{name}={str(value).replace(' ', '')}" for name, value in options.items()]


@pytest.fixture(scope="module")
def begun(data_dir, tmp_path_factory):
    """A run that was trained from one of images, by the program; and that run."""
    folder = tmp_path_factory.mktemp("video")
    config = recipes.get("digits_vp")
    config.model.patch = 2
    config.conditions.fields = ("label",)
    images = untrained_run(folder / "images", config, **TINY)
    recipe = ["main.py", "--config=configs/digits_video.py", f"--config.data.dir={data_dir}"]
    words = [*recipe, *flags(SMALL), f"--workdir={folder / 'run'}"]
    assert cli.main([*words, f"--init_from={images}"]) == 0
    return words, folder / "run", images


def test_a_run_of_images_begins_a_run_of_videos(begun):
    """All arrays of its layers are taken, but of what only images are told; none over time is."""
    _, workdir, images = begun
    record = json.loads((workdir / "config.json").read_text())["run"]["init_from"]
    theirs = score_sde.load(images)
    told = {name for name in theirs.params if name.startswith("conditions/")}
    assert told
    assert record["arrays"] == len(theirs.params | theirs.constants) - len(told)
    new = ("/time/", "conditions/text/", "/seen_")  # and the table of the classes is of images
    missed = [name for name in record["not_taken"] if not name.startswith("conditions/label")]
    assert all(any(part in name for part in new) for name in missed)
    assert any("/time/" in name for name in missed)


def test_its_pictures_are_a_strip_and_an_animation(begun):
    """Of training, and real ones beside: rows of eight frames, and a GIF of as many."""
    _, workdir, _ = begun
    for name in ("samples/2", "real"):
        with Image.open(workdir / f"{name}.png") as picture:
            rows = (picture.size[1] - 2) / 34
            assert picture.size[0] == 8 * 34 + 2
        assert rows == 3
        with Image.open(workdir / f"{name}.gif") as picture:
            assert picture.n_frames == 8


def test_it_is_asked_by_a_text(begun):
    words, workdir, _ = begun
    assert cli.main([*words, "--mode=sample", "--condition=text=a 3 moves left"]) == 0
    with np.load(workdir / "samples.npz") as arrays:
        assert arrays["samples"].shape == (3, 8, 16, 16, 1)
        assert arrays["samples"].dtype == np.uint8
        assert fields.decode_texts(arrays["text"]) == 3 * [moving_digits.words(3, 1)]


@pytest.mark.parametrize(("mask", "known"), [("future", slice(0, 2)), ("between", [0, 7])])
def test_frames_that_are_known_stay(begun, mask, known):
    """Of held-out clips; the others are drawn."""
    words, workdir, _ = begun
    asked = ["--mode=sample", "--task=inpaint", f"--mask={mask}", "--overwrite"]
    assert cli.main([*words, *asked]) == 0
    with np.load(workdir / "inpaint.npz") as arrays:
        found = dict(arrays)
    drawn, real, observed = (found[name] for name in ("samples", "video", "observed"))
    unknown = np.delete(np.arange(8), known)
    np.testing.assert_array_equal(drawn[:, known], real[:, known])
    np.testing.assert_array_equal(observed[:, known], real[:, known])
    assert (observed[:, unknown] == 128).all()
    assert (drawn[:, unknown] != real[:, unknown]).mean() > 0.2
    with Image.open(workdir / "inpaint.png") as picture:
        assert picture.size == (8 * 34 + 2, 9 * 34 + 2)  # what is known, drawn and true, below


def test_small_frames_are_made_larger(begun):
    words, workdir, _ = begun
    assert cli.main([*words, "--mode=sample", "--task=superres", "--factor=4"]) == 0
    with np.load(workdir / "superres.npz") as arrays:
        assert arrays["samples"].shape == arrays["observed"].shape == (3, 8, 16, 16, 1)
        cells = arrays["observed"].reshape(3, 8, 4, 4, 4, 4)
        assert (cells == cells[:, :, :, :1, :, :1]).all()


def test_it_is_continued_from_python(begun):
    """As the README does it with images: a mask over frames, for any sampler."""
    run = score_sde.load(begun[1])
    known = run.space.encode(np.zeros((2, 8, 16, 16, 1), np.uint8))
    mask = np.arange(8)[None, :, None, None, None] < 4
    task = Inpaint(mask)
    sampler = run.experiment.sampler
    key = jax.random.key(0)
    x = task.start(run.sde, sampler.prior(key, run.sde, known.shape), run.sde.t_max, known)
    denoise = task.denoiser(run.denoise, run.sde, known)
    clips = run.space.decode(task.finish(sampler(key, denoise, run.sde, x_init=x).x, known))
    assert clips.shape == (2, 8, 16, 16, 1)
    assert not np.any(clips[:, :4])
    assert np.any(clips[:, 4:])


def test_it_is_measured(begun):
    words, workdir, _ = begun
    assert cli.main([*words, "--mode=evaluate"]) == 0
    assert set(json.loads((workdir / "evaluation.json").read_text())) == {"bits_per_dim"}


def test_a_network_of_images_begins_no_other_kind(begun, tmp_path, capsys):
    """Nor does one of videos begin one of images."""
    words, workdir, _ = begun
    recipe, folder = "--config=configs/digits_vp.py", next(w for w in words if "data.dir" in w)
    asked = ["main.py", recipe, folder, f"--init_from={workdir}", f"--workdir={tmp_path / 'new'}"]
    assert cli.main(asked) == 2
    message = f"{workdir} is of the network video_unet, and config.model.name=unet"
    assert message in capsys.readouterr().err
