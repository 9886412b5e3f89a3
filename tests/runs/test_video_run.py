"""Videos through the command line: train, sample as asked, evaluate, continue, fill in; and begin
with the weights of a run of images."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from program import metrics
from untrained import untrained_run

import score_sde
from score_sde import cli, data, fields
from score_sde.data import moving_digits
from score_sde.guidance.task import Inpaint
from score_sde.runs import recipes
from score_sde.spaces import pictures

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
    "model.time_patch": 1,
    "model.patch": 2,
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
    assert cli.main([*words, "--config.training.eval_every=0", f"--init_from={images}"]) == 0
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


@pytest.mark.parametrize("network", ["unet", "dit"])
def test_it_begins_by_denoising_each_frame_as_that_run_does(network, data_dir, tmp_path):
    """To rounding, by the program: its first step has learning rate 0, so it is as it began."""
    np.savez(tmp_path / "frames.npz", image=np.zeros((40, 16, 16, 1), np.uint8))
    config = recipes.get("digits_dit" if network == "dit" else "digits_vp")
    config.data.update(name="arrays", dir=str(tmp_path / "frames.npz"))
    config.conditions.fields = ()
    same = dict.fromkeys(("model.parametrization",), "v") | {"model.noise_label": "time"}
    small = {"model.channels": 8, "model.depth": 1, "model.heads": 1} if network == "dit" else TINY
    small = small | same | {"model.patch": 2}
    images = untrained_run(tmp_path / "images", config, **small)
    own = {} if network == "dit" else {"model.time_heads": 1}
    recipe = tmp_path / "begun.py"
    recipe.write_text(
        "from score_sde.runs.config import default\n"
        "def get_config():\n"
        f"    found = default('video_{network}')\n"
        "    found.data.name, found.space.name = 'digits_video', 'video'\n"
        "    return found\n"
    )
    options = small | own | {f"training.{n}_every": 0 for n in ("eval", "sample")}
    options |= {"training.steps": 1, "training.batch_size": 4, "optim.warmup": 100}
    begin = ["main.py", f"--config={recipe}", f"--config.data.dir={data_dir}", *flags(options)]
    assert cli.main([*begin, f"--workdir={tmp_path / 'run'}", f"--init_from={images}"]) == 0
    ours, theirs = (score_sde.load(tmp_path / name) for name in ("run", "images"))
    assert ours.step == 1
    assert theirs.params.keys() < ours.params.keys()
    x = np.random.default_rng(0).standard_normal((2, 8, 16, 16, 1)).astype(np.float32)
    t = np.array([0.2, 0.9], np.float32)
    found = ours.denoise(x, t)
    for frame in range(8):
        alone = theirs.denoise(x[:, frame], t)
        assert np.abs(alone.x0).max() > 0.1
        for name in ("x0", "eps"):
            mine = getattr(found, name)[:, frame]
            np.testing.assert_allclose(mine, getattr(alone, name), rtol=1e-5, atol=1e-5)


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


def test_it_is_asked_by_a_text(begun, capsys):
    words, workdir, _ = begun
    assert cli.main([*words, "--mode=sample", "--condition=text=a 3 moves left"]) == 0
    assert "and samples.png; it moves in samples.gif\n" in capsys.readouterr().out
    with np.load(workdir / "samples.npz") as arrays:
        assert arrays["samples"].shape == (3, 8, 16, 16, 1)
        assert arrays["samples"].dtype == np.uint8
        assert fields.decode_texts(arrays["text"]) == 3 * [moving_digits.words(3, 1)]


@pytest.mark.parametrize(
    ("part", "known"),
    [("--mask=future", slice(0, 2)), ("--mask=between", [0, 7]), ("--keep=2:5", [2, 3, 4])],
)
def test_frames_that_are_known_stay(begun, part, known):
    """Of held-out clips; the others are drawn."""
    words, workdir, _ = begun
    asked = ["--mode=sample", "--task=inpaint", part, "--overwrite"]
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
        # What is known, drawn and true, below each other, each under a line that says so.
        assert picture.size == (8 * 34 + 2, 9 * (34 + 14) + 2)


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


@pytest.fixture(scope="module")
def continued(begun, tmp_path_factory):
    """A run that is told first frames, begun with the other's weights, by the program."""
    words, workdir, _ = begun
    folder = tmp_path_factory.mktemp("frames") / "run"
    told = {"data.first_frames": 2, "conditions.fields": "('text','first_frames')"}
    asked = [*words[:-1], *flags(told), f"--workdir={folder}"]
    few = flags({f"training.{name}_every": 0 for name in ("eval", "sample")})
    assert cli.main([*asked, *few, f"--init_from={workdir}"]) == 0
    return asked, folder


def test_first_frames_are_told_beside_the_rest(continued):
    """All weights of a run without are taken; the new layer, zero at first, has learnt."""
    _, folder = continued
    record = json.loads((folder / "config.json").read_text())["run"]["init_from"]
    assert [line.split()[0] for line in record["not_taken"]] == ["beside/first/kernel"]
    run = score_sde.load(folder)
    assert np.any(run.params["beside/first/kernel"])
    assert run.experiment.conditions == ("text", "first_frames")


def test_first_frames_are_of_held_out_clips_or_of_a_file(continued, tmp_path, capsys):
    """They lie beside their own texts; a file is taken to the nearest levels."""
    words, _ = continued
    here = [*words, "--mode=sample"]
    held_out = [*here, "--config.sampling.told_of=test", f"--out={tmp_path / 'held_out'}"]
    assert cli.main(held_out) == 0
    with np.load(tmp_path / "held_out.npz") as arrays:
        told, text = arrays["first_frames"], arrays["text"]
        assert arrays["samples"].shape == (3, 8, 16, 16, 1)
    options = {"data_dir": next(w for w in words if "data.dir" in w).partition("=")[2]}
    source = data.load("digits_video", "test", first_frames=2, **options)
    real = source.gather(np.arange(len(source)))
    for one, words_of in zip(told, text, strict=True):
        same = (real["first_frames"] == one).all(axis=(1, 2, 3, 4))
        assert words_of.tolist() in real["text"][same].tolist()
    clip = np.repeat(told[0], 2, axis=2).repeat(2, axis=3)
    file = tmp_path / "clip.png"
    pictures.save_video(file, clip + (clip < 250))
    asked = [*here, "--condition=text=a 3 moves left", f"--out={tmp_path / 'file'}"]
    assert cli.main([*asked, f"--condition=first_frames={file}"]) == 0
    with np.load(tmp_path / "file.npz") as arrays:
        found = arrays["first_frames"]
    assert found.shape == (3, 2, 16, 16, 1)
    assert np.abs(found.astype(int) - told[0]).mean() < 8  # resized
    assert set(np.unique(found)) <= set(np.round(np.arange(17) * 255 / 16))
    pictures.save_png(file, clip[0])
    capsys.readouterr()
    assert cli.main([*asked, f"--condition=first_frames={file}", "--overwrite"]) == 2
    assert f"{file} shows 1 picture, and 2 are needed: give an animated" in capsys.readouterr().err


@pytest.mark.parametrize("told", [":frames", ":dit"])
def test_all_frames_as_the_channels_of_one_image(told, data_dir, tmp_path):
    """The recipe's own networks, in small: they train, and draw clips."""
    small = SMALL | {"model.time_patch": 8, "model.patch": 4 if told == ":dit" else 1}
    few = {f"training.{name}_every": 0 for name in ("eval", "sample")}
    if told == ":dit":
        small = {name: v for name, v in small.items() if not name.startswith("model.")}
        small |= {"model.channels": 8, "model.depth": 1, "model.heads": 1}
    recipe = ["main.py", f"--config=configs/digits_video.py{told}", f"--workdir={tmp_path / 'run'}"]
    words = [*recipe, f"--config.data.dir={data_dir}", *flags(small | few)]
    assert cli.main(words) == 0
    assert np.isfinite(float(metrics(tmp_path / "run")[-1]["loss"]))
    assert cli.main([*words, "--mode=sample"]) == 0
    with np.load(tmp_path / "run" / "samples.npz") as arrays:
        assert arrays["samples"].shape == (3, 8, 16, 16, 1)


def test_a_recipe_says_what_it_is_told_of(capsys):
    assert cli.main(["main.py", "--config=configs/digits_video.py:frame"]) == 2
    assert "digits_video:frame: give text, frames or dit" in capsys.readouterr().err


def test_it_is_measured(begun):
    words, workdir, _ = begun
    asked = ["--config.evaluation.clips.num_samples=4", "--config.sampling.told_of=test"]
    assert cli.main([*words, "--mode=evaluate", *asked]) == 0
    found = json.loads((workdir / "evaluation.json").read_text())
    assert set(found) == {"clips_motion", "clips_digit", "clips_both"}
    assert found["clips_motion"]["of_real_examples"] == 1
    assert found["clips_motion"]["protocol"]["told_of"] == "test"


def test_a_network_of_images_begins_no_other_kind(begun, tmp_path, capsys):
    """Nor does one of videos begin one of images."""
    words, workdir, _ = begun
    recipe, folder = "--config=configs/digits_vp.py", next(w for w in words if "data.dir" in w)
    asked = ["main.py", recipe, folder, f"--init_from={workdir}", f"--workdir={tmp_path / 'new'}"]
    assert cli.main(asked) == 2
    message = f"{workdir} is of the network video_unet, and config.model.name=unet"
    assert message in capsys.readouterr().err
