"""Four-part chorales of MusicXML files as tokens."""

import importlib.util
import io
import itertools
import zipfile
from fractions import Fraction

import numpy as np
import pytest

from score_sde import data
from score_sde.data import DataError, chorales, musicxml
from score_sde.data.musicxml import Note

CONTAINER = (
    '<container xmlns="urn:x"><rootfiles><rootfile full-path="a.xml"/></rootfiles></container>'
)


def note(pitch, duration, extra=""):
    """A note of so many divisions; a rest if it has no pitch."""
    step, octave, alter = pitch[:1], pitch[1:2], pitch[2:]
    said = f"<pitch><step>{step}</step>{alter}<octave>{octave}</octave></pitch>"
    return f"<note>{extra}{said if pitch else '<rest/>'}<duration>{duration}</duration></note>"


def score(*parts):
    """A score of parts, each the inside of its measures."""
    inside = "".join(f"<part>{''.join(f'<measure>{m}</measure>' for m in p)}</part>" for p in parts)
    return (
        f"<?xml version='1.0'?><!DOCTYPE score-partwise><score-partwise>{inside}</score-partwise>"
    )


def packed(text, name="a.xml"):
    """As a .mxl file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr(name, text)
    return file.getvalue()


DIVISIONS = "<attributes><divisions>2</divisions></attributes>"
MELODY = (
    DIVISIONS + note("C4", 3) + note("D4<alter>1</alter>", 1),
    note("E4", 1, "<grace/>") + note("", 2) + note("B3", 4) + note("G3", 4, "<chord/>"),
    "<backup><duration>4</duration></backup><forward><duration>2</duration></forward>"
    + note("A5", 2),
)


def test_the_notes_of_a_part():
    """Pitches, alterations, rests and times; neither grace notes nor the lower ones of chords."""
    expected = [
        Note(60, Fraction(0), Fraction(3, 2)),
        Note(63, Fraction(3, 2), Fraction(1, 2)),
        Note(-1, Fraction(2), Fraction(1)),
        Note(59, Fraction(3), Fraction(2)),
        Note(81, Fraction(4), Fraction(1)),
    ]
    for content in (score(MELODY).encode(), packed(score(MELODY))):
        assert musicxml.parts(content, "a") == [expected]


def test_the_steps_of_voices():
    """What sounds at the beginning of each eighth."""
    (voice,) = musicxml.parts(score(MELODY).encode(), "a")
    low = [Note(36, Fraction(0), Fraction(1, 4)), Note(40, Fraction(1, 4), Fraction(1))]
    steps = chorales.on_grid([voice, low, [], []])
    names = [[chorales.NAMES[token].strip() for token in column] for column in steps.T]
    assert names[0] == ["C4", "C4", "C4", "Eb4", "-", "-", "B3", "B3", "A5", "A5"]
    assert names[1] == ["C2", "E2", "E2", *["-"] * 7]
    assert chorales.on_grid([[Note(35, Fraction(0), Fraction(1))], [], [], []]) is None


@pytest.fixture
def folder(tmp_path):
    """Eleven chorales of 40 eighths that begin differently, and a score of one part."""
    for number in range(11):
        parts = (
            (DIVISIONS + note(f"C{octave}", 2 + 2 * number) + note(f"G{octave}", 38 - 2 * number),)
            for octave in (5, 4, 3, 2)
        )
        (tmp_path / f"{number:02d}.mxl").write_bytes(packed(score(*parts)))
    (tmp_path / "one.xml").write_text(score(MELODY))
    return tmp_path


def test_a_folder_and_an_archive(folder, tmp_path_factory):
    """One chorale in ten is held out; examples begin with each quarter, or follow each other."""
    train, test = (data.load("chorales", split, data_dir=folder) for split in ("train", "test"))
    assert (len(train), len(test)) == (10 * 5, 1)
    field = train.info["tokens"]
    assert (field.shape, field.values) == ((128,), 47)
    rows = train.gather(np.arange(5))["tokens"].reshape(5, 32, 4)
    np.testing.assert_array_equal(rows[0, 2:], rows[1, :-2])
    c5, g2 = (chorales.NAMES.index(name) for name in ("C5 ", "G2 "))
    assert rows[0, 0, 0] == c5
    assert rows[0, -1, 3] == g2
    wheel = tmp_path_factory.mktemp("wheel") / "music21.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"music21/corpus/bach/{path.name}")
        archive.writestr("music21/corpus/other/x.xml", "<no")
    of_wheel = data.load("chorales", data_dir=wheel)
    np.testing.assert_array_equal(
        of_wheel.gather(np.arange(50))["tokens"], train.gather(np.arange(50))["tokens"]
    )


def test_what_is_no_score(folder, tmp_path, monkeypatch):
    """One line that names the file, or says how to get chorales."""
    for content in (b"<a", b"PK\x03\x04", packed("<a"), packed(score(), "b.xml"), b"\xff\xfe"):
        with pytest.raises(DataError, match=r"x is no (compressed )?MusicXML") as error:
            musicxml.parts(content, "x")
        assert "\n" not in str(error.value)
    wrong = (
        (DIVISIONS + note("H4", 1),),
        (DIVISIONS + note("C4", "1e999999999"),),  # its digits alone would fill the memory
        (DIVISIONS.replace("2", "0") + note("C4", 1),),
        (DIVISIONS + note("C4<alter>1e999</alter>", 1),),
    )
    for part in wrong:
        with pytest.raises(DataError, match="x is no MusicXML"):
            musicxml.parts(score(part).encode(), "x")
    names = "abcdefghi"
    laughs = "".join(f'<!ENTITY {b} "{f"&{a};" * 30}">' for a, b in itertools.pairwise(names))
    bomb = f'<!DOCTYPE x [<!ENTITY a "ha">{laughs}]><x>&i;</x>'
    with pytest.raises(DataError, match="x is no MusicXML"):
        musicxml.parts(bomb.encode(), "x")
    damaged = bytearray(packed(score(MELODY)))
    place = damaged.index(b"a.xml", damaged.index(b"PK", 4)) + 10
    damaged[place : place + 8] = b"\xff" * 8
    with pytest.raises(DataError, match="x is no compressed MusicXML"):
        musicxml.parts(bytes(damaged), "x")
    monkeypatch.setattr(musicxml, "MOST", 100)
    with pytest.raises(DataError, match="larger than 100 bytes"):
        musicxml.parts(packed(score(MELODY)), "x")
    with pytest.raises(DataError, match="larger than 100 bytes"):
        chorales.load(folder)
    monkeypatch.undo()
    hint = "pip download --no-deps music21"
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nowhere", folder / "one.xml"):
        with pytest.raises(DataError, match=hint):
            chorales.load(path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=f"there are no chorales: .*{hint}"):
        data.load("chorales")
