"""Fields: the named parts of an example of a data set, and what they mean."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable

import numpy as np

from score_sde.checks import check_name
from score_sde.values import shown

# What the values of a field can mean. A space models the fields of some kind, a condition embeds
# those of some kind.
KINDS = (
    *("image", "video", "vector", "points", "molecule", "label", "number", "mask", "text"),
    *("tokens", "latent", "gaussian", "signal"),
)

# What the states of a space, and of a process, can be: real numbers, or one of a vocabulary each.
NUMBERS, TOKENS = "numbers", "tokens"

ABOUT = "about"  # in files of samples: JSON text that says what they are

# What stands beside the fields in batches and in files of samples.
RESERVED = ("counts", "samples", "observed", "predicted", ABOUT)


_MOST = 2**31 - 1  # values of anything
_DIGITS = 10  # of a class
_SHOWN = 12  # names of classes, or words, in a message
_LEVELS = 2**16  # and of what has pixels
_PIXELS = ("image", "video")
# Of a text in UTF-8, its A to Z as a to z: as encoders that are trained here read it (models.text).
_WORD = re.compile(rb"[a-z0-9\x80-\xff]+|[!-~]")


@dataclasses.dataclass(frozen=True)
class Field:
    """One named part of every example.

    Attributes:
        name: by which examples hold it, such as "image".
        kind: what it means, one of KINDS.
        shape: of one example: (height, width, channels) of an image, (..., channels) of a latent,
            twice as many channels of a gaussian, (frames, height, width, channels) of a video, (d,)
            of a vector, (most, d) of points, (most atoms, 4) of a molecule, (most bytes,) of a
            text, (length,) of tokens, () of a label or a number.
        dtype: NumPy's name of it.
        values: how many distinct values an element takes: levels of an image or a video, classes of
            a label, tokens that there are; 0 if it is continuous.
        names: one for each class of a label, or for each token what it stands for; or empty.
        rate: samples a second of a signal; 0 of anything else.
        vocabulary: of texts of few words all of these, as `words_of` gives them: what is trained on
            the texts can mean nothing by another. Empty where any word may be asked for.

    Raises:
        ValueError: there is no such kind, the name cannot be one, the type is not of numbers, there
            are more values than levels of 16 bits or classes of 31, or a signal has no rate.
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    values: int = 0
    names: tuple[str, ...] = ()
    rate: int = 0
    vocabulary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name("kind of field", self.kind, KINDS)
        if not 0 <= self.values <= (_LEVELS if self.kind in _PIXELS else _MOST):
            raise ValueError(f"the field {self.name} cannot have {self.values} values")
        if not _is_of_numbers(self.dtype):
            raise ValueError(f"the field {self.name} cannot be of {shown(self.dtype)}")
        if (self.rate > 0) != (self.kind == "signal") or not 0 <= self.rate <= _MOST:
            raise ValueError(f"the field {self.name} cannot have {self.rate} samples a second")
        if not self.name.isidentifier() or self.name in RESERVED:
            raise ValueError(
                f"a field cannot be named {self.name!r}: letters, digits and _, and none of "
                f"{', '.join(RESERVED)}"
            )

    @property
    def words(self) -> str:
        """The field in words: image of 8x8x1, label of 10 classes, size of one number."""
        if self.kind == "text":
            return f"{self.name} of at most {self.shape[0]} bytes"
        if self.kind == "tokens":
            return f"{self.name}, {self.shape[0]} of {self.values}"
        sized = f"{self.values} classes" if self.values else "one number"
        what = "x".join(map(str, self.shape)) or sized
        return f"{self.name} of {what}"

    @property
    def of_pixels(self) -> bool:
        """Whether its values are pixels: images, or videos of them."""
        return self.kind in _PIXELS

    def class_of(self, text: str) -> int:
        """The class of a label that a user means: by its name, or else by its number.

        Args:
            text: what the user gave.

        Raises:
            ValueError: there is no such class; the message names those that there are, the nearest
                first if one is near.
        """
        if text in self.names:
            return self.names.index(text)
        if text.isdecimal() and len(text) <= _DIGITS and int(text) < self.values:
            return int(text)
        folded = [name.casefold() for name in self.names]
        if folded.count(text.casefold()) == 1:
            return folded.index(text.casefold())
        near = difflib.get_close_matches(text.casefold(), folded, n=1)
        near = [] if text.isdecimal() else near  # another number is not meant
        hint = f"did you mean {self.names[folded.index(near[0])]!r}? " if near else ""
        known = ", ".join(self.names[:_SHOWN]) + (", ..." if len(self.names) > _SHOWN else "")
        raise ValueError(
            f"{text!r:.80} is no class of {self.name}: {hint}they are "
            f"{known or f'0 to {self.values - 1}'}"
        )

    def check_words(self, text: str) -> None:
        """Raise ValueError if a text has a word that no text of the vocabulary has.

        Args:
            text: what the user gave; the message names the nearest word, if one is near.
        """
        unknown = [word for word in words_of([text]) if word not in self.vocabulary]
        if not self.vocabulary or not unknown:
            return
        near = difflib.get_close_matches(unknown[0], self.vocabulary, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        some = [word for word in self.vocabulary if word.isalnum()]
        known = ", ".join(some[:_SHOWN]) + (", ..." if len(some) > _SHOWN else "")
        raise ValueError(
            f"{unknown[0]!r:.80} is no word of {self.name} here: {hint}they are {known}"
        )

    def differs(self, other: Field) -> tuple[str, str] | None:
        """What is different of another field, in words of this and of that.

        Returns:
            None if values of one mean the same as values of the other.
        """
        if self.kind != other.kind:
            return f"the {self.kind} {self.name}", f"the {other.kind} {other.name}"
        if self.shape != other.shape:
            return self.words, other.words
        if self.rate != other.rate:
            a, b = (f"{f.words} with {f.rate} samples a second" for f in (self, other))
            return a, b
        if self.values != other.values:
            if self.kind == "label":
                return self.words, other.words
            a, b = (f"{f.words} with {f.values} levels" for f in (self, other))
            return a, b
        for number, (ours, theirs) in enumerate(zip(self.names, other.names, strict=False)):
            if ours != theirs:
                a, b = (f"{self.name} whose class {number} is {n!r}" for n in (ours, theirs))
                return a, b
        return None


def _is_of_numbers(dtype: str) -> bool:
    try:
        return np.dtype(dtype).kind in "biuf"
    except TypeError:
        return False


def image(shape: tuple[int, int, int], levels: int = 256, name: str = "image") -> Field:
    """A uint8 image.

    Args:
        shape: (height, width, channels).
        levels: how many values a number of it has, from 0 on.
        name: of the field.
    """
    return Field(name, "image", tuple(shape), "uint8", levels)


def video(shape: tuple[int, int, int, int], levels: int = 256, name: str = "video") -> Field:
    """A uint8 video.

    Args:
        shape: (frames, height, width, channels).
        levels: how many values a number of it has, from 0 on.
        name: of the field.
    """
    return Field(name, "video", tuple(shape), "uint8", levels)


def label(classes: int, names: tuple[str, ...] = (), name: str = "label") -> Field:
    """A class, an int32 from 0 to classes - 1.

    Args:
        classes: how many there are.
        names: theirs, if they are known.
        name: of the field.
    """
    return Field(name, "label", (), "int32", classes, tuple(names))


def number(name: str) -> Field:
    """A float32 number of this name."""
    return Field(name, "number")


def latent(shape: tuple[int, ...], name: str = "latent") -> Field:
    """What an autoencoder made of an example, float32.

    Args:
        shape: (..., channels): of an image (height, width, channels).
        name: of the field.
    """
    return Field(name, "latent", tuple(shape))


def gaussian(shape: tuple[int, ...], name: str = "latent") -> Field:
    """q(z | x) of latents: channels of the mean, then of the deviation; float32.

    Args:
        shape: of the latents, (..., channels).
        name: of the field.
    """
    return Field(name, "gaussian", (*shape[:-1], 2 * shape[-1]))


def vector(d: int, name: str = "vector") -> Field:
    """A float32 vector of d numbers, a field of this name."""
    return Field(name, "vector", (d,))


def points(most: int, d: int, name: str = "points") -> Field:
    """A set of at most so many points of d float32 numbers, the first of which are a place.

    A row of zeros is no point: those of smaller sets come after their points.

    Args:
        most: how many points.
        d: numbers of a point.
        name: of the field.
    """
    return Field(name, "points", (most, d))


def molecule(most: int, name: str = "molecule") -> Field:
    """A molecule: a place in angstroms and the atomic number of each atom; float32.

    Rows of zeros come after those of its atoms.

    Args:
        most: how many atoms it has at most.
        name: of the field.
    """
    return Field(name, "molecule", (most, 4))


def signal(samples: int, rate: int, channels: int = 0, name: str = "signal") -> Field:
    """A float32 signal within [-1, 1] of so many samples, `rate` of them a second.

    Args:
        samples: how many.
        rate: samples a second.
        channels: the shape is (samples,), or (samples, channels) if channels are given.
        name: of the field.
    """
    return Field(name, "signal", (samples, channels)[: 1 + (channels > 0)], rate=rate)


def text(most: int, name: str = "text", vocabulary: tuple[str, ...] = ()) -> Field:
    """A text in UTF-8, uint8, with zeros after its end.

    Args:
        most: how many bytes it has at most.
        name: of the field.
        vocabulary: the words that there are, if only they have a meaning.
    """
    return Field(name, "text", (most,), "uint8", vocabulary=tuple(vocabulary))


def words_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The different words of texts, in the order in which they come; A to Z count as a to z.

    A word is a stretch of letters, digits and what is not of ASCII, or one other visible sign.
    """
    found = (word for one in texts for word in _WORD.findall(one.encode().lower()))
    return tuple(word.decode() for word in dict.fromkeys(found))


def pictures(field: Field, value: np.ndarray) -> list[np.ndarray]:
    """The images that a value of a field shows, uint8 [height, width, channels] each.

    Args:
        field: of any kind.
        value: of it, [*shape].

    Returns:
        One of an image, those of its frames of a video, none of other kinds.
    """
    if not field.of_pixels:
        return []
    return list(value.reshape(-1, *field.shape[-3:]))


def tokens(length: int, values: int, names: tuple[str, ...] = (), name: str = "tokens") -> Field:
    """Tokens, int32 from 0 to values - 1 each.

    Args:
        length: how many.
        values: of a token.
        names: what each value stands for, if it is known.
        name: of the field.
    """
    return Field(name, "tokens", (length,), "int32", values, tuple(names))


def encode_texts(texts: Iterable[str], most: int) -> np.ndarray:
    """Texts as the values of a field of kind text; `decode_texts` gives them back.

    Args:
        texts: any number n of them.
        most: bytes of UTF-8 that each may have.

    Returns:
        uint8 [n, most]: UTF-8, and zeros after it.

    Raises:
        ValueError: a text is longer, has a zero character, or is half of a surrogate pair.
    """
    rows = []
    for one in texts:
        encoded = one.encode()
        if len(encoded) > most:
            raise ValueError(f"{one!r:.80} has {len(encoded)} bytes: a text can have {most} here")
        if 0 in encoded:
            raise ValueError(f"{one!r:.80} has a zero character: no text can")
        rows.append(encoded.ljust(most, b"\0"))
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), most).copy()


def decode_texts(values: np.ndarray) -> list[str]:
    """The texts of a batch, for a tokeniser or a picture.

    Args:
        values: of a field of kind text, uint8 [n, most].

    Raises:
        ValueError: a row is no UTF-8, or has something after its first zero.
    """
    values = np.ascontiguousarray(values, np.uint8)
    texts = []
    for number, row in enumerate(values):
        whole = row.tobytes().rstrip(b"\0")
        if b"\0" in whole:
            raise ValueError(f"text {number} has a zero within")
        texts.append(whole.decode())
    return texts
