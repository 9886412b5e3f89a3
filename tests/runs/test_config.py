"""Configs: round trips, messages, and the recipes that come with the code."""

import importlib
import json
import math

import pytest
from made_info import image_info

from score_sde import fields, records, samplers, values
from score_sde.data import Info
from score_sde.errors import UserError
from score_sde.models import NETWORKS
from score_sde.runs import build, sampling
from score_sde.runs import config as configs

CIFAR = image_info("cifar10", "train", 49_927, (32, 32, 3), 10, 256)
DIGITS = image_info("digits", "train", 1297, (8, 8, 1), 10, 17)


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
    info = image_info("digits_rgb", "train", 1297, (8, 8, 3), 10, 256)
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
        (
            "training.steps",
            "many",
            r"config\.training\.steps='many': this field takes a whole number",
        ),
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
    for damaged in ("{", "[]", '{"run": {}, "model": 3}', '{"a":' * 3000):
        (tmp_path / "config.json").write_text(damaged)
        with pytest.raises(UserError, match=r"config\.json is not a run's config"):
            configs.read(tmp_path)


FOUND = {"data": CIFAR.to_json(), "space": {}, "parameters": 5, "versions": {"score_sde": "0.1.0"}}


def without(values, path):
    """Values without what is at a dotted path."""
    first, _, rest = path.partition(".")
    if rest:
        return {**values, first: without(values[first], rest)}
    return {name: value for name, value in values.items() if name != first}


def replaced(values, path, value):
    first, _, rest = path.partition(".")
    return {**values, first: replaced(values[first], rest, value) if rest else value}


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: without(v, "run"), "it has no section run"),
        (lambda v: without(v, "sampling"), "it has no section sampling"),
        (lambda v: without(v, "seed"), "it has no field seed"),
        (lambda v: replaced(v, "sampling", []), r"its sampling is no section but \[\]"),
        (lambda v: replaced(v, "run", 3), "it has no section run"),
        (lambda v: replaced(v, "model.name", "x" * 300), "config.model.name=.x{50}"),
        (lambda v: replaced(v, "model.name", ["unet"]), "config.model.name=.* is no network"),
        (lambda v: replaced(v, "sampling.rk45", 3), "config.sampling.rk45 is a section"),
        (lambda v: replaced(v, "training.steps", 10**400), "at most 64 bits"),
        (lambda v: replaced(v, "optim.eps", math.nan), "this field takes a finite number"),
        (lambda v: replaced(v, "seed", {"a": 1}), "config.seed is a value, not a section"),
        (lambda v: replaced(v, "data.nane", "x"), "did you mean config.data.name"),
    ],
)
def test_a_record_of_another_form_is_one_line(tmp_path, sealed, change, message):
    """Whether or not it was changed after it was sealed; the message is what is wrong with it."""
    record = configs.to_record(configs.default(), FOUND)
    values = change(record if sealed else without(record, "run.sha256"))
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(
        UserError, match=rf"config\.json is not a run's config: .*{message}"
    ) as info:
        configs.read(tmp_path)
    assert len(str(info.value).splitlines()) == 1
    assert len(str(info.value)) < 2000


def test_a_record_that_was_changed_is_refused(tmp_path):
    record = json.loads(json.dumps(configs.to_record(configs.default(), FOUND)))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(record))
    config, found = configs.read(tmp_path)
    assert config.to_dict() == configs.default().to_dict()
    assert found == json.loads(json.dumps(FOUND))
    for change, message in (
        (replaced(record, "optim.learning_rate", 0.5), "it was changed since it was written"),
        (replaced(record, "run.data.size", 5), "it was changed since it was written"),
        (without(record, "sampling.steps"), "it lacks config.sampling.steps and was changed"),
    ):
        path.write_text(json.dumps(change))
        with pytest.raises(UserError, match=message):
            configs.read(tmp_path)


def test_a_record_lacks_what_is_newer_than_it(tmp_path):
    """It was sealed without the field: the run went by the default."""
    old = without(configs.to_record(configs.default(), FOUND), "sampling.steps")
    old["run"]["sha256"] = records.digest(without(old, "run.sha256"))
    (tmp_path / "config.json").write_text(json.dumps(old))
    assert configs.read(tmp_path)[0].sampling.steps is None
    # And one that was written before there were seals.
    (tmp_path / "config.json").write_text(json.dumps(without(old, "run.sha256")))
    assert configs.read(tmp_path)[0].sampling.steps is None


@pytest.mark.parametrize(
    ("process", "typed", "near", "there"),
    [
        ("masked", "unmaskin", "unmasking", samplers.TOKENS),
        ("masked", "remask_2m", "remasking", samplers.TOKENS),
        ("vp", "dpmpp_2mm", "dpmpp_2m", {*samplers.SAMPLERS, *samplers.PAPER} - {*samplers.TOKENS}),
    ],
)
def test_a_sampler_that_there_is_not_is_one_of_those_that_draw_these_states(
    process, typed, near, there
):
    """By the process, whether it is set or stands in a config."""
    config = configs.default()
    config.sde.name = process
    with pytest.raises(UserError) as error:
        configs.set_field(config, "sampling.sampler", typed)
    config.sampling.sampler = typed
    with pytest.raises(UserError) as of_config:
        configs.check_fields(config)
    for said in (str(error.value), str(of_config.value)):
        beginning, _, names = said.partition("? valid: ")
        assert beginning.startswith(f"unknown config.sampling.sampler {typed!r}: did you mean")
        assert set(names.split(", ")) == set(there)
        assert repr(near) in beginning


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model.parametrization", "noise", "unknown config.model.parametrization 'noise'"),
        ("model.noise_label", "t", "unknown config.model.noise_label"),
        ("model.dtype", "float16", "one of 'float32', 'bfloat16'"),
        ("objective.denoising.times", "unifrom", "did you mean 'uniform'"),
        ("objective.denoising.reduction", "sum", "half_sum"),
        (
            "objective.denoising.quantity",
            "noise",
            r"unknown config.objective.denoising.quantity 'noise'",
        ),
        ("sampling.sampler", "rk4", "did you mean 'rk45'"),
        ("sde.name", "vpsde", "did you mean 'vp'"),
        ("model.name", "resnet", "unknown config.model.name"),
    ],
)
def test_build_names_what_it_does_not_know(path, value, message):
    config = configs.default()
    config.objective.denoising.weighting = "uniform"

    def built():
        configs.set_field(config, path, value)
        return build.experiment(config, CIFAR)

    with pytest.raises(UserError, match=message) as caught:
        built()
    assert "\n" not in str(caught.value)


def test_a_logarithm_is_not_taken_twice():
    config = configs.default()
    config.model.embedding, config.model.noise_label = "fourier", "log_sigma"
    with pytest.raises(UserError, match=r"config\.model: .* use noise_label=sigma"):
        build.experiment(config, CIFAR)


def test_class_conditional_needs_labels():
    config = configs.default()
    config.conditions.fields = ("label",)
    assert build.experiment(config, DIGITS).conditions == ("label",)
    without = image_info("folder", "train", 10, (8, 8, 1))
    with pytest.raises(UserError, match="folder has no field 'label': did you mean 'image'"):
        build.experiment(config, without)
    masked = Info("m", "train", 9, (*without.fields, fields.Field("part", "mask", (8, 8))))
    config.conditions.fields = ("part",)
    with pytest.raises(
        UserError, match="part is of kind mask; conditions are of kind image, label"
    ):
        build.experiment(config, masked)


def test_images_need_not_be_square():
    config = configs.default()
    config.model.channel_mult = (1, 2)
    experiment = build.experiment(config, image_info("folder", "train", 10, (4, 8, 1)))
    assert experiment.space.shape == (4, 8, 1)


def test_another_network_takes_the_place_of_the_first():
    """How its output is read and its precision stay; the rest is as the network has it."""
    config = configs.default()
    config.model.parametrization, config.model.dtype, config.model.channels = "v", "bfloat16", 7
    configs.set_field(config, "model.name", "mlp")
    configs.check_fields(config)
    expected = configs.default("mlp")
    expected.model.parametrization, expected.model.dtype = "v", "bfloat16"
    assert config.to_dict() == expected.to_dict()
    with pytest.raises(UserError, match="name 'mpl': did you mean 'mlp'"):
        configs.set_field(config, "model.name", "mpl")


def test_a_field_too_many_and_one_too_few_are_named():
    """Where a recipe has unlocked its config."""
    for change, message in (
        (lambda config: config.training.update(stepps=3), "unknown field config.training.stepps"),
        (lambda config: delattr(config.training, "steps"), "unknown field config.training.step"),
        (lambda config: setattr(config, "data", 3), "config.data is a value, not a section"),
    ):
        config = configs.default()
        with config.unlocked(), config.ignore_type():
            change(config)
        with pytest.raises(UserError, match=message):
            configs.check_fields(config)


def test_the_name_of_a_network_goes_with_its_options():
    config = configs.default()
    config.model.name = "mlp"
    with pytest.raises(
        UserError, match=r"network than config\.model\.name=mlp: .*config\.use_network"
    ):
        configs.check_fields(config)


@pytest.mark.parametrize(
    ("network", "objective", "message"),
    [
        (
            "wide_resnet",
            "denoising",
            "name=wide_resnet does not go with .* choose unet or adm or edm2 or dit or uvit or",
        ),
        (
            "unet",
            "classification",
            r"name=unet does not go with .* choose adm_classifier or wide_resnet",
        ),
    ],
)
def test_a_network_is_for_an_objective(network, objective, message):
    config = configs.default(network)
    config.objective.name = objective
    with pytest.raises(UserError, match=message):
        build.experiment(config, DIGITS)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model.channel_mult", (1, "a"), "this field takes a tuple of whole numbers"),
        ("model.channel_mult", (1, 2.5), "this field takes a tuple of whole numbers"),
        ("training.ema_decays", ("0.9",), "this field takes a tuple of finite numbers"),
        ("evaluation.metrics", (3,), "this field takes a tuple of texts"),
        ("conditions.fields", "label", "this field takes a tuple of texts"),
        ("model.resblock", "bigan", "one of 'biggan', 'ddpm'"),
        ("training.steps", None, "this field takes a whole number"),
        ("training.steps", True, "this field takes a whole number"),
        ("sampling.steps", 2.5, "this field takes a whole number, .* or None"),
    ],
)
def test_every_field_checks_its_type_and_that_of_its_elements(path, value, message):
    with pytest.raises(UserError, match=f"config.{path}=.*{message}"):
        configs.set_field(configs.default(), path, value)


def test_an_option_that_several_samplers_have_stands_once_and_others_with_their_owner():
    """Shared options are None, as their owner has them; two of the same name never meet."""
    section = configs.default().sampling
    assert (section.steps, section.grid, section.denoise_final) == (None, None, None)
    assert section.predictor_corrector.snr == 0.16
    assert section.rk45.rtol == 1e-5
    assert "snr" not in section
    assert sampling.sampler(section).steps == 20
    section.sampler = "predictor_corrector"
    assert sampling.sampler(section).steps == 1000


def test_options_that_a_sampler_lacks_are_left_out():
    config = configs.default()
    config.sampling.sampler = "rk45"
    config.sampling.rk45.rtol = 1e-3
    config.sampling.predictor_corrector.predictor = "ancestral"
    sampler = sampling.sampler(config.sampling)
    assert sampler.rtol == 1e-3
    assert sampler.atol == 1e-5


def test_what_stands_twice_is_one():
    """No field is named twice, and the data have one standard deviation."""
    config = configs.default()
    config.conditions.fields = ("label", "label")
    with pytest.raises(UserError, match="names a field twice"):
        build.experiment(config, DIGITS)
    config = configs.default()
    config.model.parametrization = config.objective.denoising.weighting = "edm"
    config.model.sigma_data = 0.4
    assert build.experiment(config, DIGITS).objective.sigma_data == 0.4
    assert "sigma_data" not in config.objective.denoising


def test_a_model_is_not_told_what_it_is_to_find():
    config = configs.default("mlp")
    config.space.name = "vectors"
    config.conditions.fields = ("vector",)
    info = Info("points", "train", 10, (fields.vector(2), fields.label(3)))
    with pytest.raises(UserError, match="vector is what the model is to find"):
        build.experiment(config, info)


def test_what_a_classifier_does_not_do_cannot_stop_it():
    """It draws nothing: a sampler that cannot work for its process is none of its business."""
    config = configs.default("wide_resnet")
    config.objective.name = "classification"
    config.sampling.steps = 1
    config.model.update(depth=10, width=1, noise_channels=8)
    assert not build.experiment(config, DIGITS).objective.draws
    config.model.parametrization = "nonsense"
    with pytest.raises(UserError, match=r"unknown config\.model\.parametrization"):
        build.experiment(config, DIGITS)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_default_can_be_given(network):
    """check_fields does not look at them again."""
    for path, value in configs.flatten(configs.default(network).to_dict()):
        values.check(path, value, configs.entries(network)[path].annotation)
