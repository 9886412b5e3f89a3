"""Feature extractors: any callable, those with a name, and what they are not for."""

import numpy as np
import pytest

from score_sde import fields
from score_sde.errors import UserError
from score_sde.evaluation import extractors
from score_sde.training.sharding import make_mesh

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 2, 2, 1), np.uint8)
IMAGE, VECTOR = fields.image((2, 2, 1)), fields.vector(3)


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
    with pytest.raises(UserError, match=r"gave features \[4, 2, 2, 1\] for a batch of 4 examples"):
        next(extractors.extract(lambda images: images, batches, make_mesh(), 4))


def test_the_numbers_themselves():
    """Pixels from 0 to 1; vectors as they are, also those of more axes."""
    np.testing.assert_allclose(extractors.pixels(IMAGES), IMAGES.reshape(7, 4) / 255, rtol=1e-6)
    vectors = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    np.testing.assert_array_equal(extractors.values(vectors), vectors.reshape(5, 6))
    assert extractors.protocol(extractors.values) == {"extractor": "values"}


@pytest.mark.parametrize(
    ("name", "field", "message"),
    [
        ("pixels", VECTOR, "'vector': pixels are of uint8 images, not of float32: take values"),
        ("values", IMAGE, "'image': values are of continuous .*, not of uint8: take pixels"),
        ("inception", VECTOR, r"'vector': inception takes uint8 images .* not float32 \[1, 3\]"),
    ],
)
def test_examples_of_another_kind(inception_file, name, field, message):
    extractor = extractors.get(name, inception_file, check_hash=False)
    with pytest.raises(UserError, match=f"features of the field {message}"):
        extractors.shapes(extractor, field)


def test_shapes_without_an_example(inception_file):
    features, logits = extractors.shapes(extractors.pixels, IMAGE)
    assert (features.shape, logits) == ((1, 4), None)
    net = extractors.get("inception", inception_file, check_hash=False)
    features, logits = extractors.shapes(net, fields.image((32, 32, 3)))
    assert (features.shape, logits.shape) == ((1, 2048), (1, 1008))


def test_what_is_not_there(tmp_path):
    with pytest.raises(UserError, match="did you mean 'pixels'"):
        extractors.get("pixel")
    with pytest.raises(UserError, match="no Inception weights at"):
        extractors.get("inception", tmp_path / "none.pth")
