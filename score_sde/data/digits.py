"""The bundled digits: 1797 real 8x8 images that come with scikit-learn, as TFDS data sets.

Built without a download and without TensorFlow, so that the first run works anywhere. (E. Alpaydin
and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998: the test part.) They are grey
in `digits`, and in `digits_rgb` each has a colour of its own: same images, order, splits, labels.
In `digits_video` each moves, in every way (see moving_digits).
"""

import colorsys
import contextlib
import hashlib
import io
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from score_sde.data import moving_digits
from score_sde.data.base import DataError
from score_sde.data.text_feature import text_feature

TEST_SIZE = 500


class Digits(tfds.core.GeneratorBasedBuilder):
    """TFDS builder of the digits; pixel v in 0..16 is stored as round(255 v / 16).

    Attributes:
      LEVELS: number of distinct values that a pixel takes.
      CHANNELS: 1 for grey, 3 for RGB.
    """

    LEVELS = 17
    CHANNELS = 1
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "1297 training and 500 test images."}  # noqa: RUF012 (TFDS's own form)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="scikit-learn's bundled 8x8 digits.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(8, 8, self.CHANNELS), encoding_format="png"
                    ),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        from sklearn.datasets import load_digits

        digits = load_digits()
        in_test = in_test_split(digits.target)
        pixels = np.round(255 * self._paint(digits.images / 16)).astype(np.uint8)
        return {
            "train": self._generate_examples(pixels, digits.target, np.flatnonzero(~in_test)),
            "test": self._generate_examples(pixels, digits.target, np.flatnonzero(in_test)),
        }

    def _paint(self, ink: np.ndarray) -> np.ndarray:
        """Ink in 0..1, [n, 8, 8], to images in 0..1 as Pillow takes them: grey is [n, 8, 8]."""
        return ink

    def _generate_examples(
        self, pixels: np.ndarray, labels: np.ndarray, indices: np.ndarray
    ) -> Iterator[tuple[str, dict]]:
        for index in indices:
            png = io.BytesIO()  # Encoded here, because TFDS would encode an array with TensorFlow.
            Image.fromarray(pixels[index]).save(png, format="PNG")
            png.seek(0)
            yield f"{index:04d}", {"image": png, "label": int(labels[index])}


class DigitsRGB(Digits):
    """TFDS builder of the coloured digits: pixel v of image i is stored as round(255 c_i v / 16).

    The ink is c_i = `color(i)`, the background black. 17 amounts of ink in 1797 colours fill the
    256 levels.
    """

    LEVELS = 256
    CHANNELS = 3

    def _paint(self, ink: np.ndarray) -> np.ndarray:
        colors = np.array([color(index) for index in range(len(ink))])
        return ink[..., None] * colors[:, None, None, :]


class DigitsVideo(Digits):
    """TFDS builder of the moving digits: a clip of each digit in each motion."""

    RELEASE_NOTES = {"1.0.0": "6485 training and 2500 test clips."}  # noqa: RUF012

    def _info(self) -> tfds.core.DatasetInfo:
        video, digit, motion, text = moving_digits.FIELDS
        return tfds.core.DatasetInfo(
            builder=self,
            description="scikit-learn's bundled 8x8 digits, moving on 16x16 pixels.",
            features=tfds.features.FeaturesDict(
                {
                    "video": tfds.features.Tensor(
                        shape=video.shape, dtype=np.uint8, encoding="zlib"
                    ),
                    "digit": tfds.features.ClassLabel(names=list(digit.names)),
                    "motion": tfds.features.ClassLabel(names=list(motion.names)),
                    "text": text_feature("what a clip shows", *text.shape, text.vocabulary),
                }
            ),
            supervised_keys=("video", "text"),
        )

    def _generate_examples(
        self, pixels: np.ndarray, labels: np.ndarray, indices: np.ndarray
    ) -> Iterator[tuple[str, dict]]:
        for index in indices:
            digit = int(labels[index])
            for motion in range(len(moving_digits.MOTIONS)):
                at = moving_digits.start(index, motion)
                yield (
                    f"{index:04d} {motion}",
                    {
                        "video": moving_digits.clip(pixels[index], motion, at),
                        "digit": digit,
                        "motion": motion,
                        "text": moving_digits.words(digit, motion),
                    },
                )


BUILDERS = {"digits": Digits, "digits_rgb": DigitsRGB, "digits_video": DigitsVideo}


def color(index: int) -> tuple[float, float, float]:
    """The ink of a coloured digit: full brightness, any hue, saturation 0.7 to 1.

    Hue and saturation are uniform, from a hash of the position, which no library can change.

    Args:
      index: position of the digit in scikit-learn's order.

    Returns:
      Red, green and blue, in 0..1; the largest is 1.
    """
    digest = hashlib.sha256(b"digits_rgb %d" % index).digest()
    hue, saturation = (int.from_bytes(part, "big") / 2**64 for part in (digest[:8], digest[8:16]))
    return colorsys.hsv_to_rgb(hue, 0.7 + 0.3 * saturation, 1.0)


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


def prepared_builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    """The builder of a set of digits, after building the set if it is not there yet.

    TFDS writes into a folder with a random name and renames it when all is written, so a build that
    is killed leaves nothing that would be read, and of two that run at once one wins the rename.

    Args:
      name: a key of BUILDERS.
      data_dir: TFDS folder, made if missing.

    Returns:
      A builder whose files exist.

    Raises:
      DataError: if the folder cannot be written to.
    """
    tfds.disable_progress_bar()
    try:
        builder = BUILDERS[name](data_dir=data_dir)
        try:
            # TFDS prints, on stdout, about a download that does not happen.
            with contextlib.redirect_stdout(io.StringIO()):
                builder.download_and_prepare(file_format="array_record")
        except OSError:
            if not builder.data_path.exists():
                raise
            builder = BUILDERS[name](data_dir=data_dir)  # Another process won: read what it wrote.
    except OSError as error:
        raise DataError(
            f"cannot write {name} to {data_dir} ({error.strerror or error}): "
            "give a writable folder with data_dir, or set TFDS_DATA_DIR"
        ) from error
    return builder
