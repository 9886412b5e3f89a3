"""The quality of a run's samples: metrics, their protocol, and what cannot be had."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from score_sde import analytic, build
from score_sde import config as configs
from score_sde.data import Info
from score_sde.errors import UserError
from score_sde.evaluation import extractors, quality
from score_sde.evaluation.frechet import moments
from score_sde.evaluation.quality import QualityOptions, sample_quality
from score_sde.evaluation.reference import Reference
from score_sde.runs import Run

OPTIONS = QualityOptions(num_samples=90, batch_size=32, kid_subsets=10, kid_size=20)
REAL = np.random.default_rng(0).normal(0.5, 0.1, (120, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def run():
    """The exact denoiser of pixels N(0, 0.2^2), which are N(0.5, 0.1^2) as a share of 255."""
    config = configs.default()
    config.model.channels, config.model.channel_mult = 4, (1,)  # it is not used
    config.model.attn_resolutions = ()
    config.sampling.corrector, config.sampling.steps = "none", 30
    experiment = build.experiment(config, Info("digits", "train", 10, (2, 2, 1), 0, 256))
    sde = experiment.sde

    def denoiser(params, constants):
        return analytic.gaussian_mixture(sde, params["mean"][None], np.array([0.2]), np.ones(1))

    experiment = dataclasses.replace(experiment, denoiser=denoiser)
    params = {"mean": np.zeros((2, 2, 1), np.float32)}
    return Run(None, config, 7, sde, None, experiment, jax.device_put(params), {})


@pytest.fixture(scope="module")
def reference():
    return Reference(*moments(REAL), len(REAL), REAL, {"extractor": "pixels", "split": "train"})


@pytest.fixture(scope="module")
def result(run, reference):
    return sample_quality(run, extractors.pixels, reference, OPTIONS)


def test_samples_of_the_data_are_good(result):
    assert 0 <= result["fid"]["value"] < 5e-3
    assert result["fid"]["standard_error"] < 5e-3
    assert abs(result["kid"]["value"]) < 5 * result["kid"]["standard_error"]
    assert result["precision"]["value"] > 0.8
    assert result["recall"]["value"] > 0.8


def test_the_protocol_says_all(result):
    protocol = json.loads(json.dumps(result))["protocol"]
    assert protocol["n"] == 90
    assert protocol["nfe"] == 30
    assert protocol["sampler"]["name"] == "PredictorCorrector"
    assert protocol["sampler"]["steps"] == 30
    assert protocol["seed"] == {"run": 0, "sampling": 0}
    assert (protocol["step"], protocol["weights"], protocol["coupling"]) == (7, "ema", "none")
    assert protocol["extractor"] == {"extractor": "pixels"}
    assert protocol["reference"] == {"n": 120, "extractor": "pixels", "split": "train"}
    assert result["kid"]["subset_size"] == 20


def test_what_cannot_be_had_is_said(run, result, reference):
    """Pixels have no logits, and moments alone no neighbours; asked for by name it is an error."""
    assert list(result["unavailable"]) == ["inception_score"]
    few = dataclasses.replace(OPTIONS, num_samples=8)
    bare = sample_quality(
        run, extractors.pixels, dataclasses.replace(reference, features=None), few
    )
    assert set(bare["unavailable"]) == {"kid", "precision_recall", "inception_score"}
    assert "fid" in bare
    asked = dataclasses.replace(few, metrics=("inception_score",))
    with pytest.raises(UserError, match="inception_score: needs an extractor that gives logits"):
        sample_quality(run, extractors.pixels, reference, asked)


def test_the_batch_size_does_not_matter(run, reference, result, tmp_path):
    options = dataclasses.replace(OPTIONS, batch_size=13)
    again = sample_quality(run, extractors.pixels, reference, options, keep=tmp_path / "s.npz")
    for name in ("fid", "kid", "precision", "recall"):
        assert again[name] == pytest.approx(result[name], rel=1e-3, abs=1e-6)
    with np.load(tmp_path / "s.npz") as file:
        assert file["samples"].shape == (90, 2, 2, 1)


def test_another_seed_is_another_set(run, reference, result):
    options = dataclasses.replace(OPTIONS, seed=1)
    other = sample_quality(run, extractors.pixels, reference, options)
    assert other["fid"]["value"] != result["fid"]["value"]


def test_png_files_hold_the_same_images(run, reference, tmp_path):
    from PIL import Image

    few = dataclasses.replace(OPTIONS, num_samples=10, batch_size=4, metrics=("fid",))
    seen = []
    for keep in (tmp_path / "png", tmp_path / "all.npz"):
        sample_quality(run, extractors.pixels, reference, few, keep=keep, on_batch=seen.append)
    assert seen == [4, 8, 10] * 2
    with np.load(tmp_path / "all.npz") as file:
        samples = file["samples"]
    assert len(list((tmp_path / "png").iterdir())) == 10
    for number, image in enumerate(samples):
        png = np.asarray(Image.open(tmp_path / "png" / f"{number:06d}.png"))
        np.testing.assert_array_equal(png, image[..., 0])


def test_logits_give_the_inception_score(run, reference):
    """Two classes that are certain and even would give 2."""

    def with_logits(images):
        x = extractors.pixels(images)
        return x, np.asarray(x[:, :2]) * 1e4

    options = dataclasses.replace(OPTIONS, splits=2)
    any_extractor = dataclasses.replace(reference, protocol={})
    found = sample_quality(run, with_logits, any_extractor, options)
    assert 1.8 < found["inception_score"]["value"] < 2
    assert found["inception_score"]["classes"] == 2
    assert "unavailable" not in found


def test_other_features_are_refused(run, reference):
    small = Reference(np.zeros(3), np.eye(3))
    with pytest.raises(UserError, match=r"of 3 features an image, the samples of 4"):
        sample_quality(run, extractors.pixels, small, OPTIONS)
    other = dataclasses.replace(reference, protocol={"extractor": "inception"})
    with pytest.raises(UserError, match="extractor=inception, not pixels"):
        sample_quality(run, extractors.pixels, other, OPTIONS)


def test_features_must_be_finite(run, reference):
    """Without this a metric would be missing, or not a number."""
    with pytest.raises(UserError, match="features that are not finite"):
        sample_quality(
            run,
            lambda images: extractors.pixels(images) * np.nan,
            dataclasses.replace(reference, protocol={}),
            OPTIONS,
        )


def test_coupling_is_in_the_protocol(run, reference):
    sampler = dataclasses.replace(run.experiment.sampler, corrector="langevin", snr=0.01)
    experiment = dataclasses.replace(run.experiment, sampler=sampler)
    few = dataclasses.replace(OPTIONS, num_samples=4, metrics=("fid",))
    coupled = dataclasses.replace(run, experiment=experiment)
    found = sample_quality(coupled, extractors.pixels, reference, few)
    assert "averages the norms" in found["protocol"]["coupling"]
    assert "batch_size 32" in found["protocol"]["coupling"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_samples", 1, "must be at least 2"),
        ("splits", 0, "splits must be a whole number"),
        ("metrics", ("fdi",), "did you mean 'fid'"),
    ],
)
def test_options_are_checked(field, value, message):
    with pytest.raises(ValueError, match=message):
        QualityOptions(**{field: value})


def test_every_metric_has_a_name():
    assert set(quality.METRICS) == {"fid", "kid", "inception_score", "precision_recall"}
