"""Notes on fields that were given and that nothing reads."""

import dataclasses
import functools

import pytest
from made_info import image_info

from score_sde.runs import build, recipes
from score_sde.runs import config as configs
from score_sde.runs.ignored import ignored, unusual

pytestmark = pytest.mark.slow

DIGITS = image_info("digits", "train", 1297, (8, 8, 1), 10, 17)
RK45 = "config.sampling.sampler=rk45"
CLASSIFICATION = "config.objective.name=classification"


@functools.cache
def built(network, objective):
    """What such a config builds."""
    config = configs.default(network)
    config.objective.name = objective
    if network == "wide_resnet":
        config.model.update(depth=10, width=1, noise_channels=8)
    return build.experiment(config, DIGITS)


def of(network, objective):
    """A config of its own, to be changed, and what it builds."""
    experiment = built(network, objective)
    config = experiment.config.copy_and_resolve_references()
    return config, dataclasses.replace(experiment, config=config)


@pytest.fixture
def denoising():
    return of("unet", "denoising")


@pytest.fixture
def classification():
    return of("wide_resnet", "classification")


def test_all_that_is_read_is_not_mentioned(denoising):
    config, experiment = denoising
    read = ["seed", "sampling.steps", "sampling.predictor_corrector.snr", "objective.t_min"]
    config.sampling.sampler = "predictor_corrector"
    read += ["objective.denoising.reduction", "space.pixels.flip", "evaluation.bits_per_dim.rtol"]
    assert ignored(experiment, config, [*read, "model.dropout", "evaluation.samples.keep"]) == []


@pytest.mark.parametrize(
    ("changes", "path", "choice"),
    [
        ({"sampling.sampler": "rk45"}, "sampling.steps", RK45),
        ({"sampling.sampler": "rk45"}, "sampling.rho", RK45),
        ({"sampling.grid": "uniform"}, "sampling.rho", "config.sampling.grid=uniform"),
        (
            {"sampling.sampler": "ddim", "sampling.times": (1.0, 0.5)},
            "sampling.steps",
            "config.sampling.times=(1.0, 0.5)",
        ),
        ({"sampling.sampler": "rk45"}, "sampling.predictor_corrector.snr", RK45),
        ({}, "sampling.rk45.rtol", "config.sampling.sampler=dpmpp_2m"),
        ({"sampling.sampler": "PC1000"}, "sampling.steps", "config.sampling.sampler=PC1000"),
        (
            {"sampling.sampler": "PC1000"},
            "sampling.predictor_corrector.corrector",
            "config.sampling.sampler=PC1000",
        ),
        ({}, "objective.classification.field", "config.objective.name=denoising"),
        ({}, "conditions.label.dropout", "config.conditions.fields=()"),
        ({}, "evaluation.kid.subset_size", "config.evaluation.metrics=('bits_per_dim',)"),
        ({}, "guidance.run", "config.guidance.name=classifier_free"),
        ({}, "guidance.adaptive_projected.eta", "config.guidance.name=classifier_free"),
        (
            {"guidance.name": "adaptive_projected", "guidance.scale": 1.0},
            "guidance.rescale",
            "config.guidance.name=adaptive_projected",
        ),
        ({}, "model.sigma_data", "config.model.parametrization=eps"),
        ({"data.name": "moons"}, "data.dir", "config.data.name=moons"),
    ],
)
def test_what_another_choice_leaves_unread(denoising, changes, path, choice):
    config, experiment = denoising
    for field, value in changes.items():
        configs.set_field(config, field, value)
    assert ignored(experiment, config, [path]) == [f"config.{path} has no effect with {choice}"]


def test_a_set_that_is_made_has_a_folder(denoising):
    config, experiment = denoising
    configs.set_field(config, "data.name", "furniture_points")
    assert ignored(experiment, config, ["data.dir"]) == []


@pytest.mark.parametrize("path", ["sampling.steps", "model.noise_label", "training.sample_every"])
def test_a_classifier_does_not_draw(classification, path):
    config, experiment = classification
    note = f"config.{path} has no effect with {CLASSIFICATION}"
    assert ignored(experiment, config, [path]) == [note]
    assert ignored(experiment, config, ["model.depth", "objective.t_min"]) == []


def test_a_student_of_few_steps_is_drawn_by_these():
    """Another solver or number of steps is said, with what it was made for; others say nothing."""
    config = recipes.get("digits_progressive")
    experiment = build.experiment(config, DIGITS)
    assert unusual(experiment, config) == []
    config.sampling.steps = 10
    (said,) = unusual(experiment, config)
    assert "sampler=ddim --config.sampling.steps=8 --config.sampling.grid=uniform" in said
    plain = recipes.get("digits_vp")
    assert unusual(build.experiment(plain, DIGITS), plain) == []
