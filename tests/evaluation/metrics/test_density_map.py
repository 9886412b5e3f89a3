"""The density of the plane: mass and divergence where they are known, and what is drawn of it."""

import dataclasses
import json

import numpy as np
import pytest
from made_subject import made_source, made_subject, subject_of
from scipy import special, stats

import score_sde
from score_sde import analytic, fields, images
from score_sde.evaluation.metrics import density_picture
from score_sde.evaluation.metrics.density_map import DensityMap
from score_sde.spaces import Vectors

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

SDE = score_sde.VP(beta_max=50.0, t_min=1e-4)
SCALE = np.float32([1.5, 0.8])
SPACE = Vectors(np.float32([1.0, -2.0]), SCALE)
STD = 0.4
QUICK = DensityMap(points=24, samples=0, paths=0, rtol=1e-4, atol=1e-4)


def log_density(means):
    """Of vectors whose states are an even mixture of N(means, STD^2)."""

    def of(vectors):
        states = (vectors - SPACE.mean) / SCALE
        parts = stats.norm.logpdf(states[:, None], means, STD).sum(-1)
        return special.logsumexp(parts, axis=1) - np.log(len(means)) - np.log(SCALE).sum()

    return of


def subject(folder, means, model_means=None, known=True, **changes):
    """Data of these means, and the exact model of them or of others."""
    rng, means = np.random.default_rng(0), np.asarray(means)
    model_means = means if model_means is None else np.asarray(model_means)
    states = means[rng.integers(len(means), size=200)] + STD * rng.normal(size=(200, 2))
    vectors = (SPACE.mean + SCALE * states).astype(np.float32)
    density = log_density(means) if known else None
    source = made_source({"vector": vectors}, [fields.vector(2)], log_density=density)
    k = len(model_means)
    denoise = analytic.gaussian_mixture(SDE, model_means, np.full(k, STD), np.ones(k))
    return subject_of(folder, SDE, denoise, SPACE, source, batch_size=600, **changes)


def density_map(what, options=QUICK):
    return options.prepare(what)()["density_map"]


def test_an_exact_model(tmp_path):
    """Mass 1 and divergence 0, both within 2e-3, of which 1e-3 lies outside of the grid."""
    what, said = subject(tmp_path, [[-1.0, 0.0], [0.7, 0.4]])
    entry = density_map(what)
    assert entry["value"] == pytest.approx(1, abs=2e-3)
    assert entry["exact_mass"] == pytest.approx(1, abs=2e-3)
    assert entry["kl"] == pytest.approx(0, abs=2e-3)
    assert (tmp_path / entry["picture"]).read_bytes().startswith(b"\x89PNG")
    assert [line.split(",")[0] for line in said] == ["576/576 examples of density_map"]
    said.clear()
    assert density_map(what, dataclasses.replace(QUICK, samples=0)) == entry
    assert said == ["density_map: 576 of 576 examples are there from before"]


def test_a_shifted_model(tmp_path):
    """KL(N(0, s^2) || N(d, s^2)) = |d|^2 / (2 s^2), within 2 %."""
    what, _ = subject(tmp_path, [[0.0, 0.0]], [[0.1, -0.15]])
    expected = (0.1**2 + 0.15**2) / (2 * STD**2)
    assert density_map(what)["kl"] == pytest.approx(expected, rel=0.02)


def test_what_is_drawn(tmp_path, monkeypatch):
    """Ends of arrows: m + s^2 / (s^2 + c^2) (y - m) of states at noise c, for N(m, s^2)."""
    seen = []
    monkeypatch.setattr(density_picture, "save", lambda path, *what: seen.append(what))

    def draw(batch_size, number, first, on_progress):
        assert (batch_size, number, first) == (30, 30, 0)
        yield np.full((20, 2), 1.0), 5
        yield np.full((10, 2), 2.0), 5

    what, _ = subject(tmp_path, [[0.3, 0.1]], known=False, draw=draw)
    options = dataclasses.replace(QUICK, points=4, noise=(0.5, 1.0), samples=30, paths=7)
    entry = density_map(what, options)
    assert {"kl", "exact_mass"}.isdisjoint(entry)
    ((grid, found, noise, examples, samples, paths, about),) = seen
    assert (about["metric"], about["samples"], about["paths"]) == ("density_map", 30, 7)
    assert {**entry["protocol"], **about} == about
    assert found.exact is None
    assert noise == (0.5, 1.0)
    assert samples.shape == (30, 2)
    assert samples.sum() == 80
    np.testing.assert_array_equal(examples, what.source.gather(np.arange(200))["vector"])
    states = (grid.middles - SPACE.mean) / SCALE
    for level, ends in zip(noise, np.moveaxis(found.denoised, 1, 0), strict=True):
        expected = 0.3, 0.1
        expected = expected + STD**2 / (STD**2 + level**2) * (states - expected)
        np.testing.assert_allclose((ends - SPACE.mean) / SCALE, expected, atol=1e-4)
    # x_t - alpha m keeps its share of the scale sqrt(alpha^2 s^2 + sigma^2) along a path.
    assert paths.shape == (7, 65, 2)
    ends = (paths[:, [0, -1]] - SPACE.mean) / SCALE
    t = np.array([SDE.t_max, SDE.t_min])
    alpha, sigma = SDE.alpha(t)[:, None], SDE.sigma(t)[:, None]
    centred = ends * np.hypot(alpha, sigma) - alpha * (0.3, 0.1)
    shares = centred / np.hypot(alpha * STD, sigma)
    np.testing.assert_allclose(shares[:, 1], shares[:, 0], rtol=0.02, atol=0.01)
    assert np.abs(shares).max() > 0.5


def test_what_cannot_be_had(tmp_path):
    images, _ = made_subject(tmp_path, SDE, None, np.zeros((2, 2, 2, 1)), 17)
    told, _ = subject(tmp_path, [[0.0, 0.0]], conditions=("label",))
    source = made_source({"vector": np.zeros((3, 3), np.float32)}, [fields.vector(3)])
    space, _ = subject_of(tmp_path, SDE, None, Vectors.of(fields.vector(3)), source)
    for what, message in (
        (images, "it is of continuous data"),
        (told, "and this one is told label"),
        (space, r"it is of vectors of 2 numbers, and these are of shape \[3\]"),
    ):
        with pytest.raises(ValueError, match=message):
            QUICK.prepare(what)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 1}, "points=1 must be at least 2"),
        ({"samples": -1}, "samples=-1 must be at least 0"),
        ({"noise": (0.1, -1.0)}, r"noise=-1\.0 must be above 0"),
        ({"max_steps": 0}, "max_steps=0 must be at least 1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DensityMap(**options)


def test_the_grid():
    """Cells tile the rectangle, a tenth beyond the examples; of a single point, one unit."""
    grid = density_picture.Grid.over(np.array([[0.0, 2.0], [10.0, 2.0]]), 4)
    assert grid.extent == (-1.0, 11.0, 1.0, 3.0)
    assert grid.area * 16 == pytest.approx(12 * 2)
    np.testing.assert_allclose(grid.middles[:5, 0], [0.5, 3.5, 6.5, 9.5, 0.5])
    np.testing.assert_allclose(grid.middles[:5, 1], [1.25, 1.25, 1.25, 1.25, 1.75])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("noise", [(), (0.2, 1.0, 3.0)])
def test_the_picture(tmp_path, known, noise):
    """Its panels are in two rows, of at most four."""
    from PIL import Image

    grid = density_picture.Grid.over(np.array([[-1.0, -0.1], [1.0, 0.1]]), 9)
    logp = -(grid.middles**2).sum(1)
    found = density_picture.Map(logp, logp if known else None, np.zeros((81, len(noise), 2)))
    samples = grid.middles if noise else np.zeros((0, 2))
    paths = np.zeros((len(noise), 4, 2))
    density_picture.save(
        tmp_path / "map.png", grid, found, noise, grid.middles, samples, paths, {"step": 8}
    )
    assert json.loads(images.about(tmp_path / "map.png")) == {"step": 8}
    columns, rows = {4: (2, 2), 8: (4, 2), 2: (2, 1), 6: (3, 2)}[
        (3 if known else 1) + 1 + len(noise) + bool(noise)
    ]
    size = 120 * columns * (3.4 + 1.3), 120 * rows * (3.4 / 2 + 0.7)
    assert Image.open(tmp_path / "map.png").size == pytest.approx(size, abs=1)
