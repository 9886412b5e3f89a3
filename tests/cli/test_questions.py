"""--mode=sample --task=...: what is known stays, labels are obeyed, mistakes are one line."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from program import called
from untrained import untrained_run

from score_sde.cli import classes, defined, flags, masks
from score_sde.fields import label as label_field
from score_sde.guidance.methods import METHODS
from score_sde.runs import config as configs

pytestmark = pytest.mark.slow

ROUGH = ("--config.sampling.steps=22", "--config.sampling.batch_size=16", "--num_samples=25")


TINY = {
    "model.channels": 4,
    "model.channel_mult": (1,),
    "model.num_res_blocks": 1,
    "model.attn_resolutions": (),
}
GUIDE = {"model.depth": 10, "model.width": 1, "model.noise_channels": 8}


@pytest.fixture(scope="module")
def folders(data_dir, tmp_path_factory):
    """Runs by name: of digits, coloured digits, told the class, and of classifiers."""
    top = tmp_path_factory.mktemp("runs")
    told = TINY | {"conditions.fields": ("label",)}
    guide = GUIDE | {"objective.name": "classification"}

    def untrained(folder, network, data_dir, **fields):
        fields |= {"data.dir": str(data_dir), "training.ema_decays": (0.9,)}
        return untrained_run(folder, configs.default(network), **fields)

    return {
        "digits": untrained(top / "digits", "unet", data_dir, **TINY),
        "rgb": untrained(top / "rgb", "unet", data_dir, **TINY, **{"data.name": "digits_rgb"}),
        "told": untrained(top / "told", "unet", data_dir, **told),
        "guide": untrained(top / "guide", "wide_resnet", data_dir, **guide),
        "guide_ve": untrained(
            top / "guide_ve", "wide_resnet", data_dir, **guide, **{"sde.name": "ve"}
        ),
        "guide_01": untrained(
            top / "guide_01", "wide_resnet", data_dir, **guide, **{"space.pixels.centered": False}
        ),
    }


@pytest.fixture
def sample(folders, data_dir, compilation_cache):
    """Samples a run by its name; returns the exit code and its line of error."""

    def main(name, *arguments):
        # The run of the colours says itself where its data are.
        recipe = ("--config=configs/digits_vp.py", f"--config.data.dir={data_dir}")
        given = ("--mode=sample", "--overwrite", *(() if name == "rgb" else recipe))
        result = called(*given, f"--workdir={folders[name]}", *ROUGH, *arguments)
        return result.returncode, result.stderr

    return main


def answer(folder, name):
    """The arrays of an answer, and the size of its picture."""
    with np.load(folder / f"{name}.npz") as arrays, Image.open(folder / f"{name}.png") as picture:
        return dict(arrays), picture.size


@pytest.mark.parametrize(("mask", "method"), [("right", "replacement"), ("center", "gibbs")])
def test_inpainting_keeps_what_is_known(folders, sample, mask, method):
    """In batches of 16, of which the second is filled up; by a method with its own sampler too."""
    folder = folders["digits"]
    flags = [f"--method={method}", *(["--sweeps=4"] if method == "gibbs" else [])]
    assert sample("digits", "--task=inpaint", f"--mask={mask}", *flags) == (0, "")
    arrays, size = answer(folder, "inpaint")
    assert set(arrays) == {"samples", "image", "observed", "about"}
    by = json.loads(str(arrays["about"]))["sampler"]
    own = {"name": "SplitGibbs", "sweeps": 4, "steps": 5, "first": 10.0, "last": 0.05}
    assert by == own if method == "gibbs" else by["name"] != "SplitGibbs"
    assert size == (12 * 34 + 2, 7 * 34 + 2)  # 25 threes, 4 a row
    known = np.broadcast_to(masks.known(mask, 8, 8), arrays["image"].shape)
    np.testing.assert_array_equal(arrays["samples"][known], arrays["image"][known])
    np.testing.assert_array_equal(arrays["observed"][known], arrays["image"][known])
    assert (arrays["observed"][~known] == 128).all()
    assert (arrays["samples"][~known] != arrays["image"][~known]).mean() > 0.2
    assert len(np.unique(arrays["image"], axis=0)) == 25  # held-out images, each once


def test_colorization_is_shown_the_gray_image(folders, sample):
    assert sample("rgb", "--task=colorize") == (0, "")
    arrays, _ = answer(folders["rgb"], "colorize")
    gray = arrays["image"].astype(float).mean(-1, keepdims=True)
    assert np.abs(arrays["observed"] - gray).max() <= 0.51
    assert np.ptp(arrays["samples"], axis=-1).max() > 0


@pytest.mark.parametrize("method", ["replacement", "pigdm"])
def test_a_larger_image_has_the_means_that_are_known(folders, sample, method):
    """Of squares of 4 by 4, to half a step of 17 levels; one with cut values may be off."""
    arguments = ("--task=superres", "--factor=4", f"--method={method}")
    assert sample("digits", *arguments) == (0, "")
    arrays, size = answer(folders["digits"], "superres")
    assert size == (12 * 34 + 2, 7 * 34 + 2)
    means, samples = (
        arrays[name].astype(float).reshape(25, 2, 4, 2, 4).mean((2, 4))
        for name in ("image", "samples")
    )
    observed = arrays["observed"].reshape(25, 2, 4, 2, 4)
    assert (observed == observed[:, :, :1, :, :1]).all()
    assert np.abs(observed.mean((2, 4)) - means).max() < 9
    uncut = ~((arrays["samples"] % 255 == 0).reshape(25, 2, 4, 2, 4).any((2, 4)))
    assert np.abs(samples - means)[uncut].max(initial=0) < 9


def test_the_flags_have_all_methods():
    assert tuple(METHODS) == defined.METHODS


def test_each_class_in_turn_or_one(folders, sample):
    """Guided by scale 0 they are the plain samples; by another, others, which differ by label."""
    guide = f"--classifier={folders['guide']}"
    assert sample("digits") == (0, "")
    plain, _ = answer(folders["digits"], "samples")
    assert sample("digits", "--task=class", guide, "--scale=0") == (0, "")
    turn, size = answer(folders["digits"], "class")
    np.testing.assert_array_equal(turn["label"], np.arange(25) % 10)
    np.testing.assert_array_equal(turn["samples"], plain["samples"])
    assert size[0] == 10 * 34 + 2  # a column for each class
    found = []
    for label in (3, 4):
        assert sample("digits", "--task=class", guide, "--scale=9", f"--label={label}") == (0, "")
        one, _ = answer(folders["digits"], "class")
        assert (one["label"] == label).all()
        found.append(one["samples"])
    assert (found[0] != plain["samples"]).any()
    assert (found[0] != found[1]).any()
    np.testing.assert_array_equal(
        answer(folders["digits"], "samples")[0]["samples"], plain["samples"]
    )


@pytest.mark.parametrize("label", ["owl", "Owl", 2])
def test_a_class_is_named_or_numbered(label):
    """A number comes as it did before there were names: files of samples are known again."""
    kind = label_field(3, ("cat", "dog", "owl"), "kind")
    told = SimpleNamespace(conditions=("kind",), data={"kind": kind}, field=kind)
    command = ["main.py", "--config=digits_cfg", "--mode=sample", "--task=class"]
    options = flags.parse([*command, f"--label={label}"]).question
    assert options.label == label
    cond = classes.ask(options, None, told, 2, {}).cond
    np.testing.assert_array_equal(cond["kind"], [2, 2])


def test_a_model_that_is_told_the_class_needs_no_classifier(folders, sample):
    found = []
    for label in (0, 1):
        assert sample("told", "--task=class", f"--label={label}") == (0, "")
        found.append(answer(folders["told"], "class")[0]["samples"])
    assert (found[0] != found[1]).any()
    assert sample("told", "--condition=label=1") == (0, "")
    np.testing.assert_array_equal(answer(folders["told"], "samples")[0]["samples"], found[1])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            *("digits", ["--task=class"]),
            "told no classes. Train one that is, by config.conditions.fields=('label',); or a "
            "classifier, by config.objective.name=classification and config.objective."
            "classification.field=label as configs/digits_classifier.py, and give its folder as "
            "--classifier=DIR",
        ),
        ("digits", ["--task=class", "--classifier={digits}"], "holds no classifier"),
        ("digits", ["--task=class", "--classifier={guide_ve}"], "was trained for VE("),
        ("digits", ["--task=class", "--classifier={guide_01}"], "'range': [0, 1]"),
        (
            "rgb",
            ["--task=class", "--classifier={guide}"],
            "for (8, 8, 1), the model for (8",
        ),
        (
            "digits",
            ["--task=class", "--classifier={guide}", "--label=10"],
            "'10' is no class",
        ),
        ("told", ["--task=class", "--label=sevne"], "--label=sevne: 'sevne' is no class of label"),
        ("told", ["--task=class", "--label="], "'' is no class of label"),
        ("digits", ["--task=class", "--scale=2"], "goes with --classifier=DIR"),
        ("digits", ["--task=class", "--classifier={guide}", "--scale=-1"], "at least 0"),
        ("digits", ["--task=class", "--classifier={guide}", "--scale=1e39"], "a finite number"),
        ("digits", ["--task=colorize"], "--task=colorize needs images with 3 channels"),
        ("digits", ["--task=inpaint", "--mask=rihgt"], "did you mean 'right'? valid: left, right"),
        ("digits", ["--task=inpaint", "--num_samples=501"], "there are 500 test images"),
        ("digits", ["--task=superres", "--factor=3"], "divides the height and the width"),
        ("digits", ["--task=superres", "--factor=1"], "a number of at least 2 that divides"),
        ("digits", ["--factor=2"], "--factor goes with --mode=sample --task=superres"),
        ("digits", ["--method=dps"], "--method goes with --mode=sample --task=inpaint or color"),
        ("digits", ["--task=inpaint", "--method=dbs"], "dbs"),
        ("digits", ["--task=inpaint", "--sweeps=9"], "--sweeps goes with --method=gibbs"),
        (
            "digits",
            ["--task=inpaint", "--method=dps", "--config.sampling.sampler=rk45"],
            "give --config.sampling.sampler=ddim",
        ),
        ("digits", ["--mask=left"], "--mask goes with --mode=sample --task=inpaint"),
        ("digits", ["--task=inpaint", "--label=1"], "--label goes with --mode=sample --task=class"),
        ("digits", ["--task=inpaint", "--mode=train"], "--task=inpaint goes with --mode=sample"),
        ("digits", ["--task=inpant"], "inpant"),
        ("digits", ["--condition=label=1"], "--condition=label=...: this model is told nothing"),
        ("told", ["--condition=size=1"], "--condition=size=...: this model is told label"),
        ("told", ["--condition=label=10"], "--condition=label=10: '10' is no class of label: "),
        ("told", ["--condition=label=a"], "'a' is no class of label: they are 0 to 9"),
        ("told", ["--condition=label"], "--condition=label: give NAME=VALUE, each name once"),
        ("told", ["--condition=label=2.7"], "'2.7' is no class of label: "),
        (
            "told",
            ["--task=class", "--label=1", "--condition=label=2"],
            "--condition=label=... and --label=1: give one of them",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_one_line(folders, sample, name, arguments, message):
    code, error = sample(name, *(argument.format(**folders) for argument in arguments))
    assert code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
