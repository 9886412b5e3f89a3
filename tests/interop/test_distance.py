"""How far pictures are from real ones, by released encoders of images."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image
from vision import (
    DINOV2,
    VISION,
    arrays_of_dinov2,
    arrays_of_vision,
    class_token,
    pooled,
    saved,
)

from score_sde.interop import distance
from score_sde.models import clip_image, dinov2

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A folder of files of several kinds and sizes, a samples.npz, and what both hold."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0).integers
    wide, grey = draw(0, 256, (9, 14, 3), np.uint8), draw(0, 256, (12, 12), np.uint8)
    Image.fromarray(wide).save(folder / "a.png")
    Image.fromarray(grey).save(folder / "b.PNG")
    Image.fromarray(wide[::-1]).save(folder / "c.jpg")
    (folder / "notes.txt").write_text("no picture")
    with Image.open(folder / "c.jpg") as file:
        pictures = [wide, np.stack([grey] * 3, axis=-1), np.asarray(file)]
    real = draw(0, 256, (4, 12, 12, 3), np.uint8)
    np.savez(folder / "real.npz", samples=real)
    return folder, folder / "real.npz", pictures, [*real]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """The folder of a small DINOv2, and its arrays."""
    folder = tmp_path_factory.mktemp("models") / "dino"
    return folder, saved(folder, DINOV2, arrays_of_dinov2(DINOV2))


def frechet(x, y):
    """By the eigenvalues of the product of the covariances."""
    c, d = np.cov(x.T), np.cov(y.T)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(c @ d).real, 0))
    means = x.mean(axis=0) - y.mean(axis=0)
    return means @ means + np.trace(c) + np.trace(d) - 2 * roots.sum()


def mmd(x, y):
    """1000 times the unbiased estimate, of vectors of length 1 and the bandwidth 10."""
    x, y = (a / np.linalg.norm(a, axis=1)[:, None] for a in (x, y))

    def kernel(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=-1) / 200)

    def others(a):
        return (kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1))

    return 1000 * (others(x) + others(y) - 2 * kernel(x, y).mean())


def printed(capsys, *arguments):
    """The line of JSON, and what else is said."""
    assert distance.main([*map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_the_distances_are_those_of_the_formulas(sets, encoder, tmp_path, capsys):
    """By class tokens of DINOv2, then by embeddings of the image encoder of a whole CLIP."""
    clip = tmp_path / "clip"
    whole = {"vision_config": VISION, "text_config": {}, "projection_dim": 6}
    of_clip = saved(clip, whole, arrays_of_vision())
    folder, file, *both = sets
    for model, made, side, size in (
        (encoder[0], lambda a: class_token(encoder[1], dinov2.prepared(a, 8)), 8, 16),
        (clip, lambda a: pooled(of_clip, clip_image.prepared(a, 8)), None, 6),
    ):
        x, y = (np.stack([made(picture) for picture in pictures]) for pictures in both)
        sized = [] if side is None else [f"--side={side}"]
        found, err = printed(capsys, folder, file, f"--encoder={model}", *sized)
        assert found["frechet"] == pytest.approx(frechet(x, y), rel=1e-4)
        assert found["mmd"] == pytest.approx(mmd(x, y), rel=1e-3)
        assert (found["pictures"], found["real"], found["side"]) == (3, 4, 8)
        assert (found["encoder"], found["mmd_estimate"]) == (model.name, "unbiased")
        weights = (model / "model.safetensors").read_bytes()
        assert found["sha256"] == {"model.safetensors": hashlib.sha256(weights).hexdigest()}
        assert f"3 pictures are few for vectors of {size}" in err


def test_gaussians_that_are_known():
    """Of sets with covariances 2 s^2 / (2 d - 1) along the axes: |m|^2 + sum of squares."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    s, t, mean = np.array([1, 2, 3]), np.array([2, 2, 0.5]), np.array([0.5, -1, 2])
    found = distance.distances(axes * s, mean + axes * t)
    expected = mean @ mean + 2 / 5 * np.sum((s - t) ** 2)
    assert found["frechet"] == pytest.approx(expected, rel=1e-5)


def test_what_cannot_be_compared_is_one_line(sets, encoder, tmp_path, capsys):
    """And what to do about it."""
    folder, file, pictures, _ = sets
    model = f"--encoder={encoder[0]}"
    (tmp_path / "one").mkdir()
    Image.fromarray(pictures[0]).save(tmp_path / "one" / "a.png")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "config.json").write_text('{"architectures": ["T5EncoderModel"]}')
    np.savez(tmp_path / "floats.npz", samples=np.zeros((4, 8, 8, 3)))
    np.savez(tmp_path / "other.npz", images=np.zeros((4, 8, 8, 3)))
    for arguments, message in (
        ([tmp_path / "missing", file, model], "no file or folder"),
        ([tmp_path / "none", file, model], "has no picture"),
        ([folder, tmp_path / "one", model], "2 are the fewest"),
        ([folder, tmp_path / "other.npz", model], "it holds no samples"),
        ([tmp_path / "floats.npz", file, model, "--side=8"], "holds float64"),
        ([folder, file, model, "--side=9"], "the side must be a multiple of 4"),
        ([folder, file, model, "--side=0"], "must be at least 1"),
        ([folder, file, model, "--side=4000000"], "PB of memory"),
        ([folder, file, f"--encoder={tmp_path / 'none'}"], "is a 'T5EncoderModel', and no image"),
        ([folder, file, f"--encoder={tmp_path / 'one'}"], "has no config.json"),
        ([folder, file], "--encoder"),
    ):
        assert distance.main([*map(str, arguments)]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert message in err
