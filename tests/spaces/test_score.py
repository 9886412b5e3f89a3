"""The space of scores: transposed, shown and saved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib import figure

from score_sde import fields, images, spaces
from score_sde.formats import midi

FIELD = fields.tokens(6, 47)


def made(**options):
    return spaces.SPACES["score"].of(FIELD, **{"voices": 2, **options})


def test_pitches_of_voices():
    """Step by step, a voice after another; a rest and a mask are none."""
    found = made().pitches(np.array([[1, 2, 0, 3, -1, 46]]))
    assert found.tolist() == [[[36, -1, -1], [37, 38, 81]]]


def test_transposed_in_training():
    """By up to so many semitones, all pitches of an example and no rest; or not at all."""
    x = jnp.tile(jnp.array([[20, 0, 22, 10, 0, 30], [46, 0, 22, 10, 0, 30]]), (500, 1))
    moved = np.asarray(made(transpose=3).augment(jax.random.key(0), x))
    by = moved - np.asarray(x)
    for row, expected in ((by[::2], range(-3, 4)), (by[1::2], range(-3, 1))):
        assert not row[:, [1, 4]].any()
        assert (row[:, [2, 3, 5]] == row[:, :1]).all()
        assert set(row[:, 0].tolist()) == {*expected}
    assert made().augment(jax.random.key(0), x) is x


def test_files_and_pictures(tmp_path):
    """A MIDI file an example, and a picture of all, of what is masked too."""
    space = made()
    examples = np.array([[1, 2, 0, 3, 1, 46], [-1, 2, -1, 2, -1, 2]])
    space.save(tmp_path / "out", ("a", "b"), examples)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.mid",
        "b.mid",
    ]
    assert (tmp_path / "out" / "a.mid").read_bytes() == midi.file(space.pitches(examples)[0])
    for shown, captions in ((examples, ()), (examples, ("a$", "b")), (0 * examples, ())):
        space.show(tmp_path / "a.png", shown, 2, captions)
        assert images.read(tmp_path / "a.png").size[0] > 100


def test_the_axis_has_a_unit(tmp_path, monkeypatch):
    """Below each column once: of three pictures in two columns, two."""
    figures = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *_, **__: figures.append(self))
    made().show(tmp_path / "a.png", np.array([[1, 2, 0, 3, 1, 46]] * 3), 2)
    said = [axes.get_xlabel() for axes in figures[0].axes]
    assert said == ["", "time in eighths", "time in eighths"]


@pytest.mark.parametrize("options", [{"voices": 4}, {"lowest": 90}])
def test_what_cannot_be(options):
    with pytest.raises(ValueError, match=r"config\.space\.score"):
        made(**options)
