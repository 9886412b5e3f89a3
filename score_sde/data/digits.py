"""The bundled digits: 1797 real 8x8 images that come with scikit-learn, as a TFDS data set.

Built without a download and without TensorFlow, so that the first run works anywhere. (E. Alpaydin
and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998: the test part.)
"""

import contextlib
import hashlib
import io
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from score_sde.data.base import DataError

LEVELS = 17
TEST_SIZE = 500


class Digits(tfds.core.GeneratorBasedBuilder):
    """TFDS builder of the digits; pixel v in 0..16 is stored as round(255 v / 16)."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "1297 training and 500 test images."}  # noqa: RUF012 (TFDS's own form)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="scikit-learn's bundled 8x8 digits, 17 grey levels.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1), encoding_format="png"),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        from sklearn.datasets import load_digits

        digits = load_digits()
        in_test = in_test_split(digits.target)
        pixels = np.round(digits.images * (255 / (LEVELS - 1))).astype(np.uint8)
        return {
            "train": self._generate_examples(pixels, digits.target, np.flatnonzero(~in_test)),
            "test": self._generate_examples(pixels, digits.target, np.flatnonzero(in_test)),
        }

    def _generate_examples(
        self, pixels: np.ndarray, labels: np.ndarray, indices: np.ndarray
    ) -> Iterator[tuple[str, dict]]:
        for index in indices:
            png = io.BytesIO()  # Encoded here, because TFDS would encode an array with TensorFlow.
            Image.fromarray(pixels[index]).save(png, format="PNG")
            png.seek(0)
            yield f"{index:04d}", {"image": png, "label": int(labels[index])}


def in_test_split(labels: np.ndarray) -> np.ndarray:
    """Chooses the test images: a fixed random choice, stratified by class.

    Class c of n_c images gives 500 n_c / 1797 of them, rounded by largest remainders so that they
    sum to 500. The random order is that of a hash of the position, which no library's generator can
    change.

    Args:
      labels: class of every image, [1797].

    Returns:
      True where the image is in the test split, [1797].
    """
    counts = np.bincount(labels)
    quota, remainder = np.divmod(TEST_SIZE * counts, len(labels))
    quota[np.argsort(-remainder, kind="stable")[: TEST_SIZE - quota.sum()]] += 1
    order = sorted(range(len(labels)), key=lambda i: hashlib.sha256(b"digits %d" % i).digest())
    mask = np.zeros(len(labels), bool)
    for index in order:
        if quota[labels[index]]:
            quota[labels[index]] -= 1
            mask[index] = True
    return mask


def prepared_builder(data_dir: str) -> tfds.core.DatasetBuilder:
    """The builder of the digits, after building them if they are not there yet.

    TFDS writes into a folder with a random name and renames it when all is written, so a build that
    is killed leaves nothing that would be read, and of two that run at once one wins the rename.

    Args:
      data_dir: TFDS folder, made if missing.

    Returns:
      A builder whose files exist.

    Raises:
      DataError: if the folder cannot be written to.
    """
    tfds.disable_progress_bar()
    try:
        builder = Digits(data_dir=data_dir)
        try:
            # TFDS prints, on stdout, about a download that does not happen.
            with contextlib.redirect_stdout(io.StringIO()):
                builder.download_and_prepare(file_format="array_record")
        except OSError:
            if not builder.data_path.exists():
                raise
            builder = Digits(data_dir=data_dir)  # Another process won: read what it wrote.
    except OSError as error:
        raise DataError(
            f"cannot write the digits to {data_dir} ({error.strerror or error}): "
            "give a writable folder with data_dir, or set TFDS_DATA_DIR"
        ) from error
    return builder
