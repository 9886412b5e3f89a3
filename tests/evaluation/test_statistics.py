"""Reference statistics of a data set: every image once, remembered, made by one command."""

import json

import numpy as np
import pytest

from score_sde import data
from score_sde.data import Info, Source
from score_sde.errors import UserError
from score_sde.evaluation import extractors, reference, statistics
from score_sde.evaluation.metrics.frechet import moments
from score_sde.training.sharding import make_mesh

IMAGES = np.random.default_rng(0).integers(0, 256, (23, 2, 2, 1), np.uint8)
SOURCE = Source(Info("made_up", "train", 23, (2, 2, 1)), lambda i: (IMAGES[i], np.full(len(i), -1)))


@pytest.mark.parametrize("batch_size", [4, 23, 64])
def test_every_image_counts_once(batch_size):
    found = statistics.compute(SOURCE, extractors.pixels, batch_size=batch_size, keep=5)
    flat = IMAGES.reshape(23, 4).astype(np.float32) / 255
    mean, cov = moments(flat)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(found.cov, cov, rtol=1e-6)
    assert found.n == 23
    np.testing.assert_allclose(found.features, flat[[0, 5, 11, 16, 22]], rtol=1e-6)


def test_any_callable_is_an_extractor():
    """On the host too, and with logits."""

    def mean_and_logits(images):
        images = np.asarray(images, np.float32)
        return images.mean((1, 2)), images.reshape(len(images), -1)

    batches = [IMAGES[:4], IMAGES[4:7]]
    found = list(extractors.extract(mean_and_logits, batches, make_mesh(), 4))
    assert [f.features.shape for f in found] == [(4, 1), (3, 1)]
    np.testing.assert_array_equal(found[1].logits, IMAGES[4:7].reshape(3, 4))
    assert "mean_and_logits" in extractors.protocol(mean_and_logits)["extractor"]
    with pytest.raises(UserError, match=r"gave features \[4, 2, 2, 1\]"):
        next(extractors.extract(lambda images: images, batches, make_mesh(), 4))


def test_inceptions_weights_are_recorded(inception_file, tmp_path):
    net = extractors.get("inception", inception_file, check_hash=False)
    assert statistics.protocol(SOURCE, net)["weights_sha256"] == net.sha256
    with pytest.raises(UserError, match="did you mean 'pixels'"):
        extractors.get("pixel")
    with pytest.raises(UserError, match="no Inception weights at"):
        extractors.get("inception", tmp_path / "none.pth")


def command(data_dir, out, *more):
    return statistics.main(
        ["digits", f"--data_dir={data_dir}", "--features=pixels", f"--out={out}", *more]
    )


def test_the_command(data_dir, tmp_path, capsys):
    out = tmp_path / "digits.npz"
    assert command(data_dir, out) == 0
    said = capsys.readouterr().out
    assert "1,024/1,297 images" in said  # 256 at a time
    assert "wrote" in said
    found = reference.load(out)
    train = data.load("digits", "train", data_dir=data_dir)
    images = train.gather(np.arange(len(train)))["image"].reshape(len(train), -1)
    np.testing.assert_allclose(found.mean, images.mean(0) / 255, rtol=1e-5)
    assert found.n == len(found.features) == len(train)
    about = {k: found.protocol[k] for k in ("data", "split", "n", "image_shape", "extractor")}
    assert about == {
        "data": "digits",
        "split": "train",
        "n": len(train),
        "image_shape": [8, 8, 1],
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
    ],
)
def test_bad_input_is_one_line(data_dir, tmp_path, capsys, arguments, message):
    assert command(data_dir, tmp_path / "out.npz", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


def test_a_file_that_is_no_statistics_is_not_replaced(data_dir, tmp_path, capsys):
    out = tmp_path / "notes.npz"
    out.write_text(json.dumps({"my": "notes"}))
    assert command(data_dir, out) == 2
    assert "is not a file of statistics" in capsys.readouterr().err
    assert "notes" in out.read_text()
