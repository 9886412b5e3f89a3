"""The shares of notes that are right, of samples that are known to be."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_subject import made_source, subject_of

import score_sde
from score_sde import analytic, fields
from score_sde.evaluation.metrics.notes import LogBands, Notes
from score_sde.sound import pitch
from score_sde.spaces import Waveforms

RATE, SAMPLES = 16_000, 4000
FIELDS = (
    fields.signal(SAMPLES, RATE),
    fields.number("pitch"),
    fields.label(3, name="family"),
    fields.text(8),
)
PARTIALS = {0: [1.0], 1: [1.0, 0.8, 0.7, 0.6, 0.5], 2: [1.0, 0, 0.9, 0, 0.8, 0, 0.7]}


def note(number, family):
    t = np.arange(SAMPLES) / RATE
    f = float(pitch.frequency(number))
    parts = [a * np.sin(2 * np.pi * (k + 1) * f * t) for k, a in enumerate(PARTIALS[int(family)])]
    return (0.3 * sum(parts)).astype(np.float32)


def of(numbers, families):
    return {
        "signal": np.stack([note(*one) for one in zip(numbers, families, strict=True)]),
        "pitch": np.asarray(numbers, np.float32),
        "family": np.asarray(families, np.int32),
        "text": np.zeros((len(numbers), 8), np.uint8),
    }


TRAIN = of(np.repeat(np.arange(50, 74), 3), [0, 1, 2] * 24)
HELD_OUT = of(np.arange(50, 74) + 0.3, [0, 1, 2] * 8)


def subject(folder, drawn, **changes):
    source = made_source(TRAIN, FIELDS)
    sde = score_sde.VP()
    model = analytic.gaussian(sde, np.zeros(SAMPLES), 1.0)
    space = Waveforms.of(FIELDS[0])
    held_out = made_source(HELD_OUT, FIELDS)

    def draw(batch_size, number, first, on_progress):
        for start in range(first, number, batch_size):
            yield drawn[start : min(start + batch_size, number)], 7

    changes = {"draw": draw, "conditions": ("text",), "training": lambda: source} | changes
    return subject_of(folder, sde, model, space, held_out, **changes)[0]


def test_shares_are_those_that_are_right(tmp_path):
    """Of 24 samples 6 are a semitone off, and 8 of another family."""
    asked = of(np.arange(50, 74), [0, 1, 2] * 8)
    played = np.arange(50, 74) + (np.arange(24) % 4 == 0)
    families = np.where(np.arange(24) % 3 == 0, 1, asked["family"])  # no sines
    drawn = of(played, families)["signal"]
    what = subject(tmp_path, drawn, asked=lambda number: {n: a[:number] for n, a in asked.items()})
    found = Notes(num_samples=24).prepare(what)()
    assert found["notes_pitch"]["value"] == 18 / 24
    assert found["notes_pitch"]["recordings"] == 1
    assert found["notes_pitch"]["ratio"] == 18 / 24
    assert found["notes_pitch"]["standard_error"] == pytest.approx((0.75 * 0.25 / 24) ** 0.5)
    assert found["notes_family"]["value"] == 16 / 24
    assert found["notes_family"]["recordings"] == 1
    assert found["notes_pitch"]["nfe"] == 7
    assert (tmp_path / "evaluation" / found["notes_pitch"]["kept"]).exists()


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Slower(Waveforms):
    """Whose examples are to be heard an octave lower, as latents are to be heard decoded."""

    def viewed(self, examples):
        return jnp.repeat(examples, 2, axis=1)[:, : examples.shape[1]]


def test_recordings_are_what_the_space_makes_of_examples(tmp_path):
    lower = {**HELD_OUT, "pitch": HELD_OUT["pitch"] - 12}
    asked = {name: values[:4] for name, values in TRAIN.items()}
    changes = {"space": Slower.of(FIELDS[0]), "source": made_source(lower, FIELDS)}
    what = dataclasses.replace(
        subject(tmp_path, asked["signal"], asked=lambda number: asked), **changes
    )
    found = Notes(num_samples=4).prepare(what)()["notes_pitch"]
    assert (found["value"], found["recordings"]) == (1, 1)


def test_what_it_is_not_of_is_refused(tmp_path):
    what = subject(tmp_path, TRAIN["signal"], conditions=("family",))
    with pytest.raises(ValueError, match="told a text or a number"):
        Notes().prepare(what)
    told = dataclasses.replace(what, conditions=("text",))
    images = {"image": np.zeros((4, 8, 8, 1), np.uint8)}
    of_images = made_source(images, [fields.image((8, 8, 1))])
    with pytest.raises(ValueError, match="prepare the data set notes"):
        Notes().prepare(dataclasses.replace(told, source=of_images, field="image"))
    Notes().prepare(told)


def test_features_are_averages_of_the_parts_in_time():
    """A sound of a half that is loud and a half that is silent."""
    signal = note(60, 0)
    signal[SAMPLES // 2 :] = 0
    bands = np.asarray(LogBands(RATE)(signal[None])).reshape(8, -1)
    assert (bands[:3].max(1) > 0).all()
    np.testing.assert_allclose(bands[6:], np.log(1e-4), rtol=1e-6)
    assert np.asarray(LogBands(RATE)(signal[None, :10])).shape == bands.reshape(1, -1).shape
