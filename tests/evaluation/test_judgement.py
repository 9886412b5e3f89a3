"""What metrics find of samples: their protocol, what they are held against, and what is missing."""

import dataclasses
import json

import numpy as np
import pytest
from made_model import REAL, REFERENCE, subject, training
from made_subject import made_source

from score_sde import fields
from score_sde.errors import UserError
from score_sde.evaluation import extractors
from score_sde.evaluation.judgement import SampleOptions, judge, judged, prepare
from score_sde.evaluation.metrics.fid import FID
from score_sde.evaluation.metrics.inception_score import InceptionScore
from score_sde.evaluation.metrics.kid import KID
from score_sde.evaluation.metrics.precision_recall import PrecisionRecall
from score_sde.evaluation.reference import Reference, save
from score_sde.evaluation.samples import Drawn
from score_sde.spaces import Vectors

OPTIONS = SampleOptions(num_samples=90, features="pixels")
ALL = {"fid": FID(), "kid": KID(subsets=10, size=20), "precision_recall": PrecisionRecall()}
ALONE = {"fid": FID()}


def options(**changes):
    return dataclasses.replace(OPTIONS, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def result(folder):
    return judged(subject(folder)[0], extractors.pixels, REFERENCE, OPTIONS, ALL)


def test_samples_of_the_data_are_good(result):
    assert 0 <= result["fid"]["value"] < 5e-3
    assert result["fid"]["standard_error"] < 5e-3
    assert abs(result["kid"]["value"]) < 5 * result["kid"]["standard_error"]
    assert result["precision"]["value"] > 0.8
    assert result["recall"]["value"] > 0.8


def test_the_protocol_says_all(result):
    for entry in json.loads(json.dumps(result)).values():
        protocol = entry["protocol"]
        assert protocol["n"] == 90
        assert protocol["sampler"] == {"name": "Made"}
        assert (protocol["run_seed"], protocol["sampling_seed"]) == (0, 0)
        assert protocol["sde"]["name"] == "VP"
        assert protocol["levels"] == 256
        assert protocol["data"] == {"name": "made", "field": "image", "shape": [2, 2, 1]}
        assert (protocol["step"], protocol["weights"]) == (7, "ema 0.9")
        assert protocol["coupling"] == "none"
        assert protocol["extractor"] == {"extractor": "pixels"}
        assert protocol["reference"] == {"n": 120, "extractor": "pixels", "split": "train"}
        assert entry["nfe"] == 30
    assert result["kid"]["subset_size"] == 20


def test_the_seed_chooses_kids_subsets(folder, result):
    what = dataclasses.replace(subject(folder)[0], seed=3)
    other = judged(what, extractors.pixels, REFERENCE, OPTIONS, ALL)["kid"]
    assert (result["kid"]["subset_seed"], other["subset_seed"]) == (0, 3)
    assert other["value"] != result["kid"]["value"]


def test_the_training_examples_are_the_reference(folder, result, tmp_path, monkeypatch):
    """Computed once, then from the cache; other examples are not taken for these."""
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path))
    what, _ = subject(folder)
    entry = prepare(what, OPTIONS, ALONE)()["fid"]
    assert entry["value"] == pytest.approx(result["fid"]["value"], abs=2e-4)
    assert entry["protocol"]["reference"]["data"] == "made"
    assert entry["protocol"]["reference"]["n"] == 120
    (path,) = (tmp_path / "statistics").iterdir()
    written = path.stat().st_mtime_ns
    assert prepare(what, OPTIONS, ALONE)()["fid"] == entry
    assert path.stat().st_mtime_ns == written
    other = dataclasses.replace(what, training=lambda: training(REAL[::-1]))
    prepare(other, OPTIONS, ALONE)()
    assert len(list((tmp_path / "statistics").iterdir())) == 2


def test_a_file_is_the_reference(folder, tmp_path):
    """It is written down by the hash of its content."""
    save(tmp_path / "real.npz", dataclasses.replace(REFERENCE, features=None))
    moments_only = options(reference=str(tmp_path / "real.npz"))
    entry = prepare(subject(folder)[0], moments_only, ALONE)()["fid"]
    assert entry["protocol"]["reference"]["file"] == "real.npz"
    assert len(entry["protocol"]["reference"]["file_sha256"]) == 64
    save(tmp_path / "few.npz", dataclasses.replace(REFERENCE, features=REAL[:3]))
    few = options(reference=str(tmp_path / "few.npz"))
    for name in ("kid", "precision_recall"):
        wanted = {name: ALL[name]}
        message = rf"{name}: needs features of 4 real examples, .* have 3"
        with pytest.raises(UserError, match=message):
            prepare(subject(folder)[0], few, wanted)
    with pytest.raises(UserError, match=r"kid: needs features of 4 real examples, .* have none"):
        prepare(subject(folder)[0], moments_only, {"kid": KID()})


@pytest.mark.parametrize(
    ("changes", "metrics", "message"),
    [
        (
            {},
            {"inception_score": InceptionScore()},
            "inception_score: needs an extractor that gives logits",
        ),
        (
            {"num_samples": 3},
            {"kid": KID()},
            "kid: config.evaluation.samples.num_samples=3 must be at",
        ),
        (
            {"features": "inception", "weights": "none.pth"},
            ALONE,
            "no Inception weights at none",
        ),
        ({"features": "values"}, ALONE, "field 'image': values .* not of uint8: take pixels"),
        ({"reference": "none.npz"}, ALONE, "no reference statistics at none.npz"),
        ({"reference": "small"}, ALONE, "of 3 features an example, the samples of 4"),
        ({"reference": "other"}, ALONE, "extractor=inception, not pixels"),
    ],
)
def test_what_cannot_be_had_is_said_before_sampling(tmp_path, changes, metrics, message):
    if changes.get("reference") in ("small", "other"):
        real = REFERENCE if changes["reference"] == "other" else Reference(np.zeros(3), np.eye(3))
        named = {"extractor": "inception"} if changes["reference"] == "other" else {}
        save(tmp_path / "real.npz", dataclasses.replace(real, protocol=named))
        changes = {"reference": str(tmp_path / "real.npz")}
    with pytest.raises(UserError, match=message):
        prepare(subject(tmp_path)[0], options(**changes), metrics)
    assert not (tmp_path / "evaluation").exists()


def test_vectors_have_values(folder, tmp_path, monkeypatch):
    """Of vectors, features are the numbers themselves; pixels they have none."""
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path))
    source = made_source({"vector": REAL}, [fields.vector(4)], split="train")
    what = dataclasses.replace(
        subject(folder, batch_size=90)[0],
        space=Vectors.of(fields.vector(4)),
        source=source,
        field="vector",
        training=lambda: source,
        draw=lambda size, number, first, on_progress: iter([(REAL[:90], 10)]),
    )
    entry = prepare(what, options(features="values"), ALONE)()["fid"]
    expected = judge(Drawn(REAL[:90]), REFERENCE, ALONE)["fid"]["value"]
    assert entry["value"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(UserError, match=r"field 'vector': pixels .* not of float32: take values"):
        prepare(what, OPTIONS, ALONE)


def test_inception_is_taken_from_its_file(inception_file, tmp_path):
    """Features and logits are known to be there without an image; another file is refused."""
    inception = options(features="inception", weights=str(inception_file))
    own = dataclasses.replace(inception, check_hash=False)
    both = {"fid": FID(), "inception_score": InceptionScore()}
    assert callable(prepare(subject(tmp_path)[0], own, both))
    with pytest.raises(UserError, match="is not FID's Inception network"):
        prepare(subject(tmp_path)[0], inception, ALONE)


def test_too_few_samples():
    with pytest.raises(UserError, match="num_samples=3 must be at least 4"):
        judge(Drawn(REAL[:3]), REFERENCE, ALONE)


def test_features_must_be_finite():
    """Without this a metric would be missing, or not a number."""
    with pytest.raises(UserError, match="features that are not finite"):
        judge(Drawn(REAL * np.nan), REFERENCE, ALONE)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_samples", 1, "num_samples=1 must be at least 2"),
        ("keep", "file", "did you mean 'files'"),
        ("features", "pixel", "did you mean 'pixels'"),
    ],
)
def test_options_are_checked(field, value, message):
    with pytest.raises(ValueError, match=message):
        SampleOptions(**{field: value})
