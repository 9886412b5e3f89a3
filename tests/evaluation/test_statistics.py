"""Reference statistics of a data set: every example once, remembered, made by one command."""

import json

import numpy as np
import pytest
from made_subject import made_source

from score_sde import data, fields
from score_sde.evaluation import extractors, reference, statistics
from score_sde.evaluation.moments import moments
from score_sde.training.sharding import make_mesh

IMAGES = np.random.default_rng(0).integers(0, 256, (23, 2, 2, 1), np.uint8)
SOURCE = made_source({"image": IMAGES}, [fields.image((2, 2, 1))], split="train")


@pytest.mark.parametrize("batch_size", [4, 23, 64])
def test_every_example_counts_once(batch_size):
    found = statistics.compute(SOURCE, "image", extractors.pixels, batch_size=batch_size, keep=5)
    flat = IMAGES.reshape(23, 4).astype(np.float32) / 255
    mean, cov = moments(flat)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(found.cov, cov, rtol=1e-6)
    assert found.n == 23
    np.testing.assert_allclose(found.features, flat[[0, 5, 11, 16, 22]], rtol=1e-6)


def test_inceptions_weights_are_recorded(inception_file):
    net = extractors.get("inception", inception_file, check_hash=False)
    assert statistics.protocol(SOURCE, "image", net)["weights_sha256"] == net.sha256


def command(data_dir, out, *more):
    return statistics.main(
        ["digits", f"--data_dir={data_dir}", "--features=pixels", f"--out={out}", *more]
    )


def test_the_command(data_dir, tmp_path, capsys):
    out = tmp_path / "digits.npz"
    assert command(data_dir, out) == 0
    said = capsys.readouterr().out
    assert "1,297/1,297 examples" in said
    assert "wrote" in said
    found = reference.load(out)
    train = data.load("digits", "train", data_dir=data_dir)
    images = train.gather(np.arange(len(train)))["image"].reshape(len(train), -1)
    np.testing.assert_allclose(found.mean, images.mean(0) / 255, rtol=1e-5)
    assert found.n == len(found.features) == len(train)
    about = {k: found.protocol[k] for k in ("data", "split", "n", "field", "shape", "extractor")}
    assert about == {
        "data": "digits",
        "split": "train",
        "n": len(train),
        "field": "image",
        "shape": [8, 8, 1],
        "extractor": "pixels",
    }

    written = out.stat().st_mtime_ns
    assert command(data_dir, out) == 0  # it remembers
    assert "nothing to do" in capsys.readouterr().out
    assert out.stat().st_mtime_ns == written
    assert command(data_dir, out, "--split=test") == 2
    assert "holds other statistics, with split=train, not test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--features=inceptoin"], "did you mean 'inception'"),
        (["--split=validation"], "split"),
        (["--weights=none.pth", "--features=inception"], "no Inception weights at none.pth"),
        (["--batch_size=0"], "--batch_size must be at least 1"),
        ([f"--out={__file__}/out.npz"], f"cannot write to {__file__}: "),
    ],
)
def test_bad_input_is_one_line(data_dir, tmp_path, capsys, arguments, message):
    assert command(data_dir, tmp_path / "out.npz", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


def test_the_command_of_vectors(tmp_path, capsys):
    """By the field that is one, of which the pixels are asked in vain."""
    out = tmp_path / "moons.npz"
    line = ["moons", "--split=test", "--features=values", f"--out={out}"]
    assert statistics.main(line) == 0
    found = reference.load(out)
    points = data.load("moons", "test").gather(np.arange(2000))["vector"]
    np.testing.assert_allclose(found.cov, np.cov(points, rowvar=False), rtol=1e-5)
    assert found.protocol["field"] == "vector"
    assert "rounding" not in found.protocol
    for wrong, message in (
        ("--features=pixels", "pixels are of uint8 images"),
        ("--field=label", "the field 'label' of moons is of kind label"),
    ):
        assert statistics.main([*line, wrong]) == 2
        assert message in capsys.readouterr().err


def test_a_damaged_file_of_the_cache_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path))
    said = []

    def remembered():
        say = said.append
        return statistics.remembered(SOURCE, "image", extractors.pixels, make_mesh(), 23, say)

    found = remembered()
    (path,) = (tmp_path / "statistics").iterdir()
    damaged = path.read_bytes()[:-30]
    path.write_bytes(damaged)
    said.clear()
    np.testing.assert_array_equal(remembered().cov, found.cov)
    assert said[0].startswith(f"warning: {path} is not a file of statistics: ")
    assert said[0].endswith("; the statistics are computed again")
    assert path.with_name(path.name + ".damaged").read_bytes() == damaged
    said.clear()
    np.testing.assert_array_equal(remembered().cov, found.cov)
    assert not said


def test_a_file_that_is_no_statistics_is_not_replaced(data_dir, tmp_path, capsys):
    out = tmp_path / "notes.npz"
    out.write_text(json.dumps({"my": "notes"}))
    assert command(data_dir, out) == 2
    assert "is not a file of statistics" in capsys.readouterr().err
    assert "notes" in out.read_text()
