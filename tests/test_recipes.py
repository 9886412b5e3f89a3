"""Every command that test_readme.py does not run is understood, and its config can be built.

These are variants of what it runs, or of kinds that the tests of in_small.ELSEWHERE run. What is
looked at is what a change can break, the flags, the options and the files that they name. And of
recipes: how many parameters they have, and a step of what no other test trains.
"""

import contextlib
import dataclasses
import re
from pathlib import PurePath

import in_small
import jax
import numpy as np
import pytest
from filled import filled, quick_jit
from made_info import image_info
from program import ROOT

from score_sde import fields
from score_sde.cli import help
from score_sde.data import Info, backbone64, notes, qm9, selection, sounds, speech
from score_sde.data.load import is_as_it_is
from score_sde.errors import UserError
from score_sde.evaluation import asked
from score_sde.runs import build, recipes
from score_sde.runs.config import set_field
from score_sde.runs.ignored import ignored

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("begin", in_small.ELSEWHERE)
def test_what_runs_elsewhere_is_a_kind_of_command_and_has_a_test(begin):
    assert (ROOT / "tests" / in_small.ELSEWHERE[begin]).exists()
    commands = [" ".join(in_small.filled(c)) for c in in_small.UNDERSTOOD]
    assert any(command.startswith(begin) for command in commands)


@pytest.mark.parametrize("command", in_small.UNDERSTOOD, ids=lambda command: command.where)
def test_a_command_is_understood(command, data_dir):
    """It is of a known kind, and what it asks for can be built; no option is for nothing."""
    words = in_small.filled(command)
    kinds = (*in_small.HOW, *in_small.ELSEWHERE)
    assert any(" ".join(words).startswith(begin) for begin in kinds), words
    typed = in_small.parsed(words)
    if typed is None:
        files = [word for word in words if word.startswith("runs/")]
        assert len(in_small.needs(words)) >= len(files), f"no command makes {files}"
        if words[3:] and words[2] in in_small.PARSERS:
            in_small.PARSERS[words[2]]().parse_args(words[3:])
        if words[:2] == ("python", "main.py"):  # its config is not known, but its flags are
            named = {word.partition("=")[0] for word in words[2:]}
            assert all(re.search(rf"{name}\b", help.HELP) for name in named), named
        return
    small = in_small.parsed(in_small.recipe(words))
    with contextlib.chdir(ROOT):
        info = described(small.config, str(data_dir))
    experiment = build.experiment(small.config, info)
    assert ignored(experiment, typed.config, typed.overrides) == []
    if typed.mode == "evaluate":
        assert set(asked.read(typed.config.evaluation).metrics) == set(
            typed.config.evaluation.metrics
        )
    if typed.mode == "sample":
        assert experiment.objective.draws


@pytest.mark.parametrize("size", [16, 20, 48, 60])
def test_small_images_are_of_any_multiple_of_4(size):
    """Their recipe says so; one level has attention, beside the middle of the network."""
    config = recipes.get("small_images:arrays")
    network = build.experiment(config, image_info("mine", "train", 20, (size, size, 3))).network
    down = [name for name in network.shapes[0] if name.startswith("down")]
    assert len({name.split("/")[1] for name in down if "attentions" in name}) == 1


# Of every recipe, what it says: trainable parameters of its network at full size.
PARAMETERS = {
    "backbone64": 1_919_243,
    "backbone_l": 457_214_987,
    "bach_masked": 815_744,
    "cifar_classifier": 39_181_770,
    "cifar_dit": 32_483_340,
    "cifar_ect": 61_869_955,
    "cifar_edm": 55_733_891,
    "cifar_fast": 20_131_011,
    "cifar_flow_ot": 61_804_419,
    "cifar_subvp": 61_804_419,
    "cifar_vdm": 30_651_876,
    "cifar_ve": 62_758_787,
    "cifar_vp": 61_804_419,
    "clips64_dit": 822_566_064,
    "digits_cfg": 583_321,
    "digits_classifier": 324_938,
    "digits_dit": 722_788,
    "digits_ect": 582_265,
    "digits_edm": 584_569,
    "digits_flow": 582_265,
    "digits_flow_ot": 582_265,
    "digits_likelihood": 582_265,
    "digits_meanflow": 598_681,
    "digits_progressive": 582_265,
    "digits_rgb_vp": 583_131,
    "digits_subvp": 582_265,
    "digits_vdm": 585_530,
    "digits_ve": 584_569,
    "digits_video": 1_372_776,
    "digits_vp": 582_265,
    "emoji_autoencoder": 842_220,
    "emoji_control": 2_401_184,
    "emoji_latent": 2_417_576,
    "emoji_lora": 396_480,
    "emoji_styles": 324_194,
    "emoji_text": 4_323_756,
    "furniture_depth": 1_088_192,
    "furniture_points": 893_475,
    "furniture_points_xl": 695_281_091,
    "imagenet256_dit": 674_834_720,
    "imagenet64_edm2": 280_209_381,
    "llada_8b": 8_015_581_184,
    "qm9": 161_225,
    "qm9_edm": 4_617_743,
    "notes_autoencoder": 985_537,
    "notes_latent": 2_391_840,
    "notes_text": 1_806_400,
    "small_images": 1_754_147,
    "speech_text": 1_831_360,
    "stable_audio": 1_057_335_552,
    "text_masked": 794_240,
    "toy_gaussians": 56_130,
    "toy_moons": 56_130,
    "toy_spirals": 56_898,
    "words_masked": 795_904,
}
# Those that other tests train in small: test_paper.py those of the paper, which three recipes of
# CIFAR-10 are too, and of runs/ test_autoencoder_run.py, test_classifier_run.py,
# test_distilled_runs.py, test_sound_run.py and test_variational_run.py; and of interop/
# test_stable_audio.py.
TRAINED = ("paper", "cifar_vp", "cifar_subvp", "cifar_ve", "emoji_autoencoder", "emoji_latent")
TRAINED += ("digits_classifier", "digits_progressive", "digits_vdm")
TRAINED += ("notes_autoencoder", "notes_latent", "stable_audio")
UNTRAINED = [name for page in in_small.ALONE if (name := PurePath(page).stem) not in TRAINED]
COMPILED = {}
# Sets whose fields do not depend on what they are made from.
MADE_HERE = {data.NAME: data.FIELDS for data in (qm9, backbone64, notes)}
MADE_HERE["speech"] = sounds.fields(speech.RATE, speech.SECONDS)


def described(config, folder=None):
    """What is known of the data of a recipe; of those that are not there, a guess."""
    if config.space.name == "latents":
        latent, label = fields.latent((32, 32, 4)), fields.label(1000)
        return Info("arrays", "train", 20, (latent, label))
    if config.space.name == "encoded":
        return Info("encoded", "train", 20, (fields.gaussian((8, 8, 8)), fields.text(96)))
    if config.data.name == "arrays" and config.space.name.startswith("video"):
        return Info("arrays", "train", 20, (fields.video((16, 64, 64, 3)),))
    if config.data.name == "emoji":
        image, text = fields.image((32, 32, 3)), fields.text(96)
        more = fields.image((32, 32, 1), name="sketch"), fields.label(2, name="style")
        return Info("emoji", "train", 20, (image, *more, text))
    if config.data.name.startswith("furniture"):
        own = (fields.points(256, 3), fields.number("metres"))
        if config.data.name == "furniture_depth":
            own = tuple(fields.image((32, 32, 1), name=name) for name in ("image", "depth"))
        about = fields.text(64), fields.label(12, name="category")
        return Info(config.data.name, "train", 20, (*own, *about))
    if config.space.name == "score":
        return Info("chorales", "train", 20, (fields.tokens(128, 47),))
    if config.space.name == "tokens":
        return Info(config.data.name, "train", 20, (fields.tokens(13, 27),))
    if config.space.name == "encoded_sounds":
        latent = fields.Field("latent", "gaussian", (64, 2 * 32))
        return Info("encoded", "train", 20, (latent, *notes.FIELDS[1:]))
    if config.space.name == "sound_latents" and config.data.name == "encoded":
        return Info("encoded", "train", 20, sounds.fields(44_100, 2**21 / 44_100, 2))
    if config.data.name in MADE_HERE:
        return Info(config.data.name, "train", 20, MADE_HERE[config.data.name])
    if config.data.name in ("folder", "arrays"):
        return image_info(config.data.name, "train", 20, (32, 32, 3))
    return selection.read({**config.data, "dir": folder or config.data.dir}).describe()


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_set_that_is_taken_as_it_is_is_asked_for_so(name):
    """Its images are neither cropped nor resized: the set refuses to be."""
    section = recipes.get(name).data
    assert not (is_as_it_is(section.name) and (section.image_size or section.crop))


def test_a_video_model_of_latents_is_one_of_pixels_but_for_its_ends():
    """Of four channels at patches of 2 x 2 for three of 4 x 4: two layers have other sizes."""
    whole, latents = (
        build.experiment(config := recipes.get(name), described(config)).parameters
        for name in ("clips64_dit", "clips64_dit:latents")
    )
    assert whole - latents == (48 - 16) * 1152 + (48 - 16) * (1152 + 1)
    with pytest.raises(UserError, match="clips64_dit:latent: give pixels or latents"):
        recipes.get("clips64_dit:latent")


SMALL_TEXT = {
    "conditions.text.features": 8,
    "conditions.text.depth": 1,
    "conditions.text.heads": 1,
}


def in_little(name):
    """An experiment with a tiny network, and a batch of images of eight pixels or of vectors."""
    config, rng = recipes.get(name), np.random.default_rng(0)
    small = in_small.SMALL | in_small.NETWORK[config.model.name] | SMALL_TEXT
    for path, value in small.items():
        set_field(config, path, value)
    info, batch = described(config), {}
    for field in info.fields:
        if field.kind in ("image", "latent", "video"):
            *frames, _, _, channels = field.shape
            field = dataclasses.replace(field, shape=(*frames, 8, 8, channels))
        shape, values = (8, *field.shape), field.values
        drawn = rng.integers(values, size=shape) if values else rng.standard_normal(shape)
        batch[field] = drawn.astype(field.dtype)
    info = dataclasses.replace(info, fields=tuple(batch))
    return build.experiment(config, info), {field.name: a for field, a in batch.items()}


def test_examples_that_are_taken_as_they_are_are_given_no_size():
    """A recipe that is made of another one for images would name theirs, and be refused."""
    sections = {name: recipes.get(name).data for name in PARAMETERS}
    as_they_are = {name for name, data in sections.items() if is_as_it_is(data.name)}
    assert {"furniture_depth", "qm9", "words_masked"} <= as_they_are
    given = {n for n in as_they_are if sections[n].image_size or sections[n].crop is not None}
    assert not given


def test_every_recipe_has_its_number():
    names = {PurePath(page).stem for page in in_small.RECIPES}
    assert names == {*PARAMETERS, "paper"}, "each recipe is a line of PARAMETERS"


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_parameters_of_a_recipe(name):
    """At full size, of which no array is made; where its file says a number it is this one."""
    config, parameters = recipes.get(name), PARAMETERS[name]
    experiment = build.experiment(config, described(config))
    assert experiment.parameters == parameters
    # By which runs of equal networks find what was compiled.
    hash((experiment.make, experiment.sde, experiment.sampler))
    said = re.findall(r"[\d,]{5,}(?= parameters)", (ROOT / "configs" / f"{name}.py").read_text())
    assert not said or f"{parameters:,}" in said


@pytest.mark.parametrize("name", UNTRAINED)
def test_a_step_of_a_recipe_along_its_gradient(name):
    """Which is finite and not zero, and so is what it leads to; of few features."""
    experiment, batch = in_little(name)

    def loss(params, constants, fixed, batch, key):
        return experiment.loss(key, params, constants, fixed, batch, 0).mean()

    params, *others = *filled(experiment.network), experiment.fixed, batch, jax.random.key(0)
    lowered = quick_jit(jax.value_and_grad(loss)).lower(params, *others)
    text = lowered.as_text()
    if text not in COMPILED:  # some differ in their data only
        COMPILED[text] = lowered.compile()
    for _ in range(2):
        value, gradient = COMPILED[text](params, *others)
        assert np.isfinite(value)
        assert all(np.isfinite(array).all() for array in gradient.values())
        squared = sum(np.sum(np.square(array, dtype=np.float64)) for array in gradient.values())
        assert squared > 0
        rate = np.float32(1e-2 * abs(value) / squared)
        params = {path: array - rate * gradient[path] for path, array in params.items()}
