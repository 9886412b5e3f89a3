"""The quality of a run's samples: metrics, their protocol, going on after a kill."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from score_sde import analytic
from score_sde.data import Info, Source
from score_sde.errors import UserError
from score_sde.evaluation import extractors, judgement
from score_sde.evaluation.judgement import judge, prepare, sample_quality
from score_sde.evaluation.metrics.frechet import moments
from score_sde.evaluation.options import SampleOptions
from score_sde.evaluation.reference import Reference, save
from score_sde.evaluation.samples import Drawn, draw
from score_sde.evaluation.subject import Subject
from score_sde.runs import build
from score_sde.runs import config as configs
from score_sde.runs.folder import Run
from score_sde.training.sharding import make_mesh

OPTIONS = SampleOptions(num_samples=90, features="pixels", kid_subsets=10, kid_size=20)
FEW = dataclasses.replace(OPTIONS, num_samples=10)
REAL = np.random.default_rng(0).normal(0.5, 0.1, (120, 4)).astype(np.float32)
REFERENCE = Reference(*moments(REAL), len(REAL), REAL, {"extractor": "pixels", "split": "train"})
ALL = ("fid", "kid", "precision_recall")


def training():
    images = np.round(REAL * 255).clip(0, 255).astype(np.uint8).reshape(-1, 2, 2, 1)
    info = Info("made", "train", len(images), (2, 2, 1), 0, 256)
    return Source(info, lambda rows: (images[rows], np.full(len(rows), -1, np.int32)))


@pytest.fixture(scope="module")
def make():
    """Subjects: the exact denoiser of pixels N(0, 0.2^2), which are N(0.5, 0.1^2) / 255."""
    config = configs.default()
    config.model.channels, config.model.channel_mult = 4, (1,)  # it is not used
    config.model.attn_resolutions = ()
    config.sampling.corrector, config.sampling.steps = "none", 30
    experiment = build.experiment(config, Info("made", "train", 10, (2, 2, 1), 0, 256))
    sde = experiment.sde

    def denoiser(params, constants):
        return analytic.gaussian_mixture(sde, params["mean"][None], np.array([0.2]), np.ones(1))

    experiment = dataclasses.replace(experiment, denoiser=denoiser)
    params = jax.device_put({"mean": np.zeros((2, 2, 1), np.float32)})

    def subject(folder, batch_size=32, sampling_seed=0, **sampler):
        other = dataclasses.replace(experiment.sampler, **sampler)
        changed = dataclasses.replace(experiment, sampler=other)
        run = Run(folder, config, 7, sde, None, changed, params, {}, "ema 0.9")
        said = []
        what = Subject(
            run, training(), 120, make_mesh(), batch_size, 0, said.append, training, sampling_seed
        )
        return what, said

    return subject


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def result(make, folder):
    return sample_quality(make(folder)[0], extractors.pixels, REFERENCE, OPTIONS, ALL)


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
        assert protocol["sampler"]["name"] == "PredictorCorrector"
        assert protocol["sampler"]["steps"] == 30
        assert protocol["sde"]["name"] == "VP"
        assert protocol["seed"] == {"run": 0, "sampling": 0}
        assert (protocol["step"], protocol["weights"]) == (7, "ema 0.9")
        assert len(protocol["weights_sha256"]) == 64
        assert protocol["coupling"] == "none"
        assert protocol["extractor"] == {"extractor": "pixels"}
        assert protocol["reference"] == {"n": 120, "extractor": "pixels", "split": "train"}
        assert entry["nfe"] == 30
    assert result["kid"]["subset_size"] == 20


def test_drawing_goes_on_after_a_kill(make, folder, result, tmp_path):
    """At a part that was not finished, with another batch size: no sample twice, none missing."""
    what, _ = make(tmp_path)
    everything = draw(what, extractors.pixels, OPTIONS)
    (parts,) = (tmp_path / "evaluation").iterdir()
    assert sorted(path.name for path in parts.glob("*.npz")) == [
        f"{start:08d}.npz" for start in (0, 32, 64)
    ]
    (parts / "00000032.npz").unlink()
    (parts / "00000032.partial").write_bytes(b"half a file")
    what, said = make(tmp_path, batch_size=25)
    again = draw(what, extractors.pixels, OPTIONS)
    assert said[0] == "32 of 90 samples are there from before"
    assert [line.split(",")[0] for line in said[1:]] == [f"{n}/90 samples" for n in (57, 82, 90)]
    np.testing.assert_allclose(again.features, everything.features, atol=1.5 / 255)
    said.clear()
    assert sample_quality(what, extractors.pixels, REFERENCE, OPTIONS, ["fid"])["fid"][
        "value"
    ] == pytest.approx(result["fid"]["value"], rel=1e-3)
    assert said == ["90 of 90 samples are there from before"]


def test_a_larger_set_begins_with_the_smaller_one(make, tmp_path):
    """Going from 40 samples to 90 draws 50, and going back none; images that are kept too."""
    forty = dataclasses.replace(OPTIONS, num_samples=40, keep="npz")
    ninety = dataclasses.replace(forty, num_samples=90)
    what, said = make(tmp_path)
    smaller = draw(what, extractors.pixels, forty)
    larger = draw(what, extractors.pixels, ninety)
    assert [line.split(",")[0] for line in said] == [
        "32/40 samples",
        "40/40 samples",
        "40 of 90 samples are there from before",
        "72/90 samples",
        "90/90 samples",
    ]
    whole = draw(make(tmp_path / "other")[0], extractors.pixels, ninety)
    np.testing.assert_allclose(larger.features, whole.features, atol=1.5 / 255)
    said.clear()
    again = draw(what, extractors.pixels, forty)
    assert said == ["40 of 40 samples are there from before"]
    for drawn, number in ((smaller, 40), (larger, 90), (again, 40)):
        np.testing.assert_array_equal(drawn.features, larger.features[:number])
        with np.load(drawn.kept) as file:
            assert len(file["samples"]) == number


def test_a_coupled_set_is_its_own(make, tmp_path):
    """The batches of another number are others, and so are their images."""
    what, said = make(tmp_path, corrector="langevin")
    for number in (40, 90):
        draw(what, extractors.pixels, dataclasses.replace(OPTIONS, num_samples=number))
    assert not any("before" in line for line in said)


def test_the_seed_chooses_kids_subsets(make, folder, result):
    what = dataclasses.replace(make(folder)[0], seed=3)
    other = sample_quality(what, extractors.pixels, REFERENCE, OPTIONS, ["kid"])["kid"]
    assert (result["kid"]["subset_seed"], other["subset_seed"]) == (0, 3)
    assert other["value"] != result["kid"]["value"]


def test_a_damaged_part_is_one_line(make, tmp_path):
    draw(make(tmp_path)[0], extractors.pixels, FEW)
    (path,) = (tmp_path / "evaluation").glob("*/*.npz")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"00000000.npz is damaged \(.*\): remove it"):
        draw(make(tmp_path)[0], extractors.pixels, FEW)


def test_whatever_changes_the_samples_is_another_set(make, folder, result):
    """And a batch size changes them where the sampler couples a batch."""

    def protocol(options=OPTIONS, extractor=extractors.pixels, **changes):
        return json.dumps(judgement.protocol(make(folder, **changes)[0], extractor, options))

    langevin = {"corrector": "langevin", "snr": 0.01}
    assert protocol() == protocol(batch_size=5)
    assert "averages the norms" in protocol(**langevin)
    found = [
        protocol(),
        protocol(FEW),
        protocol(sampling_seed=1),
        protocol(steps=31),
        protocol(extractor=np.mean),
        protocol(**langevin),
        protocol(batch_size=5, **langevin),
    ]
    assert len(set(found)) == len(found)


def test_another_seed_is_another_set(make, tmp_path):
    one, other = (draw(make(tmp_path, sampling_seed=s)[0], extractors.pixels, FEW) for s in (0, 1))
    assert (one.features != other.features).any()


def test_images_are_kept(make, tmp_path):
    from PIL import Image

    for form in ("npz", "png"):
        keep = dataclasses.replace(FEW, keep=form)
        drawn = draw(make(tmp_path, batch_size=4)[0], extractors.pixels, keep)
        if form == "npz":
            with np.load(drawn.kept) as file:
                samples = file["samples"]
            np.testing.assert_allclose(samples.reshape(10, 4) / 255, drawn.features, atol=1e-6)
    assert len(list(drawn.kept.iterdir())) == 10
    for number, image in enumerate(samples):
        png = np.asarray(Image.open(drawn.kept / f"{number:06d}.png"))
        np.testing.assert_array_equal(png, image[..., 0])


def test_the_training_images_are_the_reference(make, folder, result, tmp_path, monkeypatch):
    """Computed once, then from the cache; other images are not taken for these."""
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path))
    what, _ = make(folder)
    entry = prepare(what, OPTIONS, ["fid"])()["fid"]
    assert entry["value"] == pytest.approx(result["fid"]["value"], abs=2e-4)
    assert entry["protocol"]["reference"]["data"] == "made"
    assert entry["protocol"]["reference"]["n"] == 120
    (path,) = (tmp_path / "statistics").iterdir()
    written = path.stat().st_mtime_ns
    assert prepare(what, OPTIONS, ["fid"])()["fid"] == entry
    assert path.stat().st_mtime_ns == written
    others = training().gather(np.arange(120)[::-1])["image"]
    info = training().info
    other = Source(info, lambda rows: (others[rows], np.full(len(rows), -1, np.int32)))
    prepare(dataclasses.replace(what, training=lambda: other), OPTIONS, ["fid"])()
    assert len(list((tmp_path / "statistics").iterdir())) == 2


def test_a_file_is_the_reference(make, folder, tmp_path):
    """It is written down by the hash of its content."""
    save(tmp_path / "real.npz", dataclasses.replace(REFERENCE, features=None))
    options = dataclasses.replace(OPTIONS, reference=str(tmp_path / "real.npz"))
    entry = prepare(make(folder)[0], options, ["fid"])()["fid"]
    assert entry["protocol"]["reference"]["file"] == "real.npz"
    assert len(entry["protocol"]["reference"]["file_sha256"]) == 64
    save(tmp_path / "few.npz", dataclasses.replace(REFERENCE, features=REAL[:3]))
    few = dataclasses.replace(OPTIONS, reference=str(tmp_path / "few.npz"))
    for name in ("kid", "precision_recall"):
        with pytest.raises(UserError, match=rf"{name}: needs features of 4 real images, .* have 3"):
            prepare(make(folder)[0], few, [name])
    with pytest.raises(UserError, match=r"kid: needs features of 4 real images, .* have none"):
        prepare(make(folder)[0], options, ["kid"])


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        ({}, "inception_score", "inception_score: needs an extractor that gives logits"),
        ({"num_samples": 3}, "kid", "kid: config.evaluation.samples.num_samples=3 must be at"),
        ({"features": "inception", "weights": "none.pth"}, "fid", "no Inception weights at none"),
        ({"reference": "none.npz"}, "fid", "no reference statistics at none.npz"),
        ({"reference": "small"}, "fid", "of 3 features an image, the samples of 4"),
        ({"reference": "other"}, "fid", "extractor=inception, not pixels"),
    ],
)
def test_what_cannot_be_had_is_said_before_sampling(make, tmp_path, options, name, message):
    if options.get("reference") in ("small", "other"):
        real = REFERENCE if options["reference"] == "other" else Reference(np.zeros(3), np.eye(3))
        real = dataclasses.replace(real, protocol={"extractor": "inception"})
        if options["reference"] == "small":
            real = dataclasses.replace(real, protocol={})
        save(tmp_path / "real.npz", real)
        options = {"reference": str(tmp_path / "real.npz")}
    with pytest.raises(UserError, match=message):
        prepare(make(tmp_path)[0], dataclasses.replace(OPTIONS, **options), [name])
    assert not (tmp_path / "evaluation").exists()


def test_inception_is_taken_from_its_file(make, inception_file, tmp_path):
    """Features and logits are known to be there without an image; another file is refused."""
    options = dataclasses.replace(OPTIONS, features="inception", weights=str(inception_file))
    own = dataclasses.replace(options, check_hash=False)
    assert callable(prepare(make(tmp_path)[0], own, ["fid", "inception_score"]))
    with pytest.raises(UserError, match="is not FID's Inception network"):
        prepare(make(tmp_path)[0], options, ["fid"])


def test_logits_give_the_inception_score():
    """Two classes that are certain and even would give 2."""
    logits = (np.random.default_rng(0).normal(size=(90, 2)) * 1e4).astype(np.float32)
    options = dataclasses.replace(OPTIONS, splits=2)
    found = judge(Drawn(REAL[:90], logits), REFERENCE, options, ["inception_score"])
    assert 1.8 < found["inception_score"]["value"] < 2
    assert found["inception_score"]["classes"] == 2


def test_neighbours_are_of_all_kinds_of_real_images():
    """Sets are often sorted: half of them would otherwise have no neighbour among the samples."""
    real = np.concatenate([REAL[:60], REAL[60:] + 100])
    reference = Reference(*moments(real), len(real), real, {})
    options = dataclasses.replace(OPTIONS, num_samples=60)
    found = judge(Drawn(real[::2]), reference, options, ["precision_recall"])
    assert found["precision"]["real"] == 60
    assert found["precision"]["value"] > 0.8
    assert found["recall"]["value"] > 0.8


def test_the_fewest_samples_of_fid_in_the_largest_groups():
    """Without one of two groups a covariance is left; of 3 samples it would not be."""
    options = dataclasses.replace(OPTIONS, frechet_groups=2, num_samples=4)
    found = judge(Drawn(REAL[:4]), REFERENCE, options, ["fid"])["fid"]
    assert 0 < found["standard_error"] < 10
    with pytest.raises(UserError, match="num_samples=3 must be at least 4"):
        judge(Drawn(REAL[:3]), REFERENCE, dataclasses.replace(options, num_samples=3), ["fid"])


def test_features_must_be_finite():
    """Without this a metric would be missing, or not a number."""
    with pytest.raises(UserError, match="features that are not finite"):
        judge(Drawn(REAL * np.nan), REFERENCE, OPTIONS, ["fid"])


def test_an_unknown_error_is_no_number():
    """KID of a single subset has none; JSON cannot hold NaN."""
    options = dataclasses.replace(OPTIONS, kid_subsets=1)
    found = judge(Drawn(REAL[:90]), REFERENCE, options, ["kid"])
    assert found["kid"]["standard_error"] is None
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_samples", 1, "config.evaluation.samples: num_samples=1 must be at least 2"),
        ("splits", 0, "splits must be a whole number"),
        ("keep", "jpg", "did you mean 'png'"),
        ("features", "pixel", "did you mean 'pixels'"),
    ],
)
def test_options_are_checked(field, value, message):
    with pytest.raises(ValueError, match=message):
        SampleOptions(**{field: value})
