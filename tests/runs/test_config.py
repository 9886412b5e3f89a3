"""Configs: round trips, messages, and the recipes that come with the code."""

import importlib
import json

import pytest

from score_sde.data import Info
from score_sde.errors import UserError
from score_sde.runs import build
from score_sde.runs import config as configs

CIFAR = Info("cifar10", "train", 49_927, (32, 32, 3), 10, 256)
DIGITS = Info("digits", "train", 1297, (8, 8, 1), 10, 17)


@pytest.mark.parametrize("name", ["cifar_vp", "cifar_subvp", "cifar_ve"])
def test_cifar_recipes_are_the_papers(name):
    """Song et al. 2021, Appendix C and H: sizes, batch, learning rate, averaging."""
    config = importlib.import_module(f"configs.{name}").get_config()
    experiment = build.experiment(config, CIFAR)
    assert experiment.parameters == {"cifar_ve": 62_758_787}.get(name, 61_804_419)
    assert type(experiment.sde).__name__.lower() == name.removeprefix("cifar_")
    assert config.training.batch_size == 128
    assert config.training.steps == 1_300_000
    assert config.training.ema_decays == ((0.999,) if name == "cifar_ve" else (0.9999,))
    assert experiment.sampler.steps == 1000


@pytest.mark.parametrize("name", ["digits_vp", "digits_subvp", "digits_ve"])
def test_digits_recipes_build(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    experiment = build.experiment(config, DIGITS)
    assert type(experiment.sde).__name__.lower() == name.removeprefix("digits_")
    assert 100_000 < experiment.parameters < 2_000_000


def test_the_recipe_of_the_colored_digits_is_that_of_the_digits_with_three_channels():
    config = importlib.import_module("configs.digits_rgb_vp").get_config()
    expected = importlib.import_module("configs.digits_vp").get_config()
    info = Info("digits_rgb", "train", 1297, (8, 8, 3), 10, 256)
    assert build.experiment(config, info).parameters == 582_265 + 2 * 2 * 9 * 24 + 2
    expected.data.name = "digits_rgb"
    assert config.to_dict() == expected.to_dict()


def test_json_round_trip_keeps_every_value():
    config = configs.default()
    config.model.channel_mult = (1, 2, 3)
    config.sde.t_min = 1e-4
    again = configs.from_json(json.loads(json.dumps(configs.to_json(config))))
    assert again.to_dict() == config.to_dict()
    assert again.model.channel_mult == (1, 2, 3)
    assert again.sde.beta_min is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "model.chanels",
            3,
            r"unknown field config\.model\.chanels: did you mean .*model\.channels",
        ),
        ("trainig.steps", 3, r"did you mean config\.training"),
        ("seed.x", 3, r"config\.seed is a value, not a section"),
        ("training.steps", "many", r"config\.training\.steps='many': this field takes int"),
    ],
)
def test_set_field_says_what_is_wrong(path, value, message):
    with pytest.raises(UserError, match=message):
        configs.set_field(configs.default(), path, value)


def test_difference_looks_only_where_it_is_told():
    old, new = configs.default(), configs.default()
    new.training.batch_size = 7
    assert configs.difference(old, new, ("model", "training.steps")) is None
    assert configs.difference(old, new, ("training",)) == (
        "config.training.batch_size was 128 and is 7"
    )


def test_a_run_whose_config_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="no run in"):
        configs.read(tmp_path)
    for damaged in ("{", "[]", '{"run": {}, "model": 3}'):
        (tmp_path / "config.json").write_text(damaged)
        with pytest.raises(UserError, match=r"config\.json is not a run's config"):
            configs.read(tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model.parametrization", "noise", "unknown config.model.parametrization 'noise'"),
        ("model.noise_label", "t", "unknown config.model.noise_label"),
        ("model.dtype", "float16", "valid: float32, bfloat16"),
        ("training.times", "unifrom", "did you mean 'uniform'"),
        ("training.reduction", "sum", "half_sum"),
        ("training.quantity", "noise", "unknown config.training.quantity"),
        ("sampling.sampler", "rk4", "did you mean 'rk45'"),
        ("sde.name", "vpsde", "did you mean 'vp'"),
        ("model.name", "resnet", "unknown config.model.name"),
    ],
)
def test_build_names_what_it_does_not_know(path, value, message):
    config = configs.default()
    config.training.weighting = "uniform"
    configs.set_field(config, path, value)
    with pytest.raises(UserError, match=message) as caught:
        build.experiment(config, CIFAR)
    assert "\n" not in str(caught.value)


def test_a_logarithm_is_not_taken_twice():
    config = configs.default()
    config.model.embedding, config.model.noise_label = "fourier", "log_sigma"
    with pytest.raises(UserError, match=r"use config\.model\.noise_label=sigma"):
        build.experiment(config, CIFAR)


def test_class_conditional_needs_labels():
    config = configs.default()
    config.model.class_conditional = True
    assert build.experiment(config, DIGITS).conditional
    without = Info("folder", "train", 10, (8, 8, 1))
    with pytest.raises(UserError, match="folder has no class labels"):
        build.experiment(config, without)
    with pytest.raises(UserError, match=r"images are 4x8; set config\.data\.image_size"):
        build.experiment(configs.default(), Info("folder", "train", 10, (4, 8, 1)))


def test_options_that_a_sampler_lacks_are_left_out():
    config = configs.default()
    config.sampling.sampler = "rk45"
    config.sampling.rtol = 1e-3
    config.sampling.predictor = "ancestral"
    sampler = build.sampler(config.sampling)
    assert sampler.rtol == 1e-3
    assert sampler.atol == 1e-5
