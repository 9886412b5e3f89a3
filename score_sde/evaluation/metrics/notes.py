"""Whether notes are of the pitch and of the instrument that was asked for.

Samples are told of training notes what the model is told of any, a text such as "violin, A4", and
held against what those were: the field "pitch", MIDI's number, and "family", a class of
instruments.

- notes_pitch: the share whose pitch, by the normalised difference of McLeod and Wyvill (2005;
  score_sde/sound/pitch.py), is within half a semitone;
- notes_family: the share whose family is right by a classifier that is fitted to the training
  recordings, and never sees a sample: a support vector machine with the Gaussian kernel on log-mel
  spectra (64 bands, each averaged over an eighth of the sound).

Beside each stands the same share of held-out recordings: what those miss is the measure's fault.
Of latents that were made once, recordings are what the autoencoder makes of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.data import Source
from score_sde.evaluation import samples
from score_sde.evaluation.metric import DENOISER, Entries, Metric
from score_sde.evaluation.shares import share_error
from score_sde.evaluation.subject import Subject
from score_sde.formats import npz
from score_sde.sound import pitch
from score_sde.sound.spectrogram import mel_bands
from score_sde.spaces import Space
from score_sde.values import LARGEST, between, one_of

PITCH, FAMILY = "pitch", "family"
_PARTS = 8  # of a sound, in time
_FLOOR = 1e-4  # of a band, which is silence
_NEAR = 0.5  # semitones
_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Notes(Metric):
    """The shares of the module.

    Attributes:
        num_samples: how many notes are drawn; all held-out recordings stand beside them.
        keep: how the notes are kept in evaluation/: "npz", in one file; "files", in a WAV file each
            too.
    """

    NEEDS: ClassVar[str] = DENOISER

    num_samples: Annotated[int, between(2, LARGEST)] = 256
    keep: Annotated[str, one_of(("npz", "files"))] = "npz"

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the data are no notes, or the model is told nothing of them but classes.
        """
        info = subject.source.info
        kinds = {name: info[name].kind for name in (PITCH, FAMILY) if name in info}
        heard = subject.space.decoded(info[subject.field])
        if heard.kind != "signal" or kinds != {PITCH: "number", FAMILY: "label"}:
            raise ValueError(
                f"it is of signals with fields {PITCH}, a number, and {FAMILY}, a label: prepare "
                "the data set notes"
            )
        if not [name for name in subject.conditions if info[name].kind != "label"]:
            raise ValueError("it is of a model that is told a text or a number of each note")
        return lambda: notes(subject, self.num_samples, self.keep)


class LogBands:
    """An extractor: logarithms of mel bands, each averaged over an eighth of the sound.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int):
        self._rate = rate
        self.protocol = {"extractor": "log_bands", "parts": _PARTS}

    def __call__(self, signals: jax.Array) -> jax.Array:
        """float32 [n, 8 bands], of signals [n, samples] or [n, samples, channels]."""
        logs = jnp.log(jnp.maximum(mel_bands(signals, self._rate), _FLOOR))
        edges = np.linspace(0, logs.shape[1], _PARTS + 1).round().astype(int)
        places = [min(first, logs.shape[1] - 1) for first in edges[:-1]]
        parts = [
            logs[:, first : max(last, first + 1)].mean(axis=1)
            for first, last in zip(places, edges[1:], strict=True)
        ]
        return jnp.concatenate(parts, axis=1)


def notes(subject: Subject, number: int, keep: str = "npz") -> Entries:
    """Draw notes, or go on with drawing that was interrupted, and measure them.

    Args:
        subject: the model, told of each note.
        number: of notes.
        keep: see Notes.

    Returns:
        The entries of evaluation.json "notes_pitch" and "notes_family": "value" is the share that
        is right, "recordings" that of held-out ones, "ratio" the first over the second.

    Raises:
        UserError: the sampler gave up, or the run's folder cannot be written.
    """
    rate = subject.space.decoded(subject.source.info[subject.field]).rate
    extractor = LogBands(rate)
    drawn = samples.draw(subject, extractor, number, keep="npz")
    with npz.opened(drawn.kept, "a file of samples") as arrays:
        signals = arrays["samples"]
    if keep != "npz":  # nothing is drawn again
        drawn = samples.draw(subject, extractor, number, keep=keep)
    asked = subject.asked(number)
    held_out = _read(subject, extractor, subject.source)
    train = _read(subject, extractor, subject.training())
    classifier = _classifier(train)
    about = {"nfe": drawn.nfe, "kept": drawn.kept.name}
    about["protocol"] = {
        **samples.protocol(subject, extractor, number),
        "recordings": {"split": subject.source.info.split, "n": len(held_out.family)},
    }
    pitches = (
        _pitch_right(signals, rate, asked[PITCH]),
        _pitch_right(held_out.signals, rate, held_out.pitch),
    )
    families = (
        classifier(drawn.features) == asked[FAMILY],
        classifier(held_out.features) == held_out.family,
    )
    return {
        "notes_pitch": _entry(*pitches) | about,
        "notes_family": _entry(*families) | about,
    }


class _Recordings(NamedTuple):
    """Of real notes, an array each."""

    signals: np.ndarray
    features: np.ndarray
    pitch: np.ndarray
    family: np.ndarray


def _read(subject: Subject, extractor: LogBands, source: Source) -> _Recordings:
    """All examples, as they are heard."""

    @jax.jit
    def heard(space: Space, examples: jax.Array) -> tuple[jax.Array, jax.Array]:
        signals = space.viewed(examples)
        return signals, extractor(signals)

    found, number = [], len(source)
    for start in range(0, number, _AT_ONCE):
        rows = np.minimum(np.arange(start, start + _AT_ONCE), number - 1)
        batch = source.gather(rows)
        signals, features = jax.device_get(heard(subject.space, batch[subject.field]))
        found.append((signals, features, batch[PITCH], batch[FAMILY]))
    return _Recordings(*(np.concatenate(column)[:number] for column in zip(*found, strict=True)))


def _classifier(train: _Recordings) -> Callable[[np.ndarray], np.ndarray]:
    """From features, [n, d], to families, [n]."""
    from sklearn.svm import SVC

    return SVC(C=10).fit(train.features, train.family).predict


def _pitch_right(signals: np.ndarray, rate: int, numbers: np.ndarray) -> np.ndarray:
    """Which signals are of their pitches, bool [n]; of no pitch is wrong."""
    mono = signals if signals.ndim == 2 else signals.mean(axis=2)
    found = pitch.numbers(pitch.frequencies(mono, rate))
    return np.abs(found - numbers) < _NEAR


def _entry(right: np.ndarray, recordings: np.ndarray) -> dict[str, Any]:
    share, real = float(right.mean()), float(recordings.mean())
    return {
        "value": share,
        "standard_error": share_error(share, len(right)),
        "recordings": real,
        "ratio": share / real if real else None,
        "unit": "share of samples that are right",
    }
