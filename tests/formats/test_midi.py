"""MIDI files, byte for byte."""

import pytest

from score_sde.formats import midi


def test_notes_of_steps():
    """Equal steps that follow each other are one note; rests are none."""
    assert [*midi.notes([60, 60, -1, -1, 62, 60])] == [(60, 0, 2), (62, 4, 1), (60, 5, 1)]
    assert [*midi.notes([])] == []


def test_a_file():
    """Of two voices: a header, the tempo, and a track each, in ticks of 1 / 480 of a quarter."""
    header = b"MThd\x00\x00\x00\x06\x00\x01\x00\x03\x01\xe0"
    tempo = b"MTrk\x00\x00\x00\x0b\x00\xff\x51\x03\x07\xa1\x20\x00\xff\x2f\x00"  # 500,000 us
    first = b"\x00\x90\x3c\x50\x83\x60\x80\x3c\x00"  # 480 ticks are 3 * 128 + 96
    second = b"\x81\x70\x91\x28\x50\x81\x70\x81\x28\x00"  # after 240 = 128 + 112
    end = b"\x00\xff\x2f\x00"
    tracks = (b"MTrk" + len(t + end).to_bytes(4, "big") + t + end for t in (first, second))
    found = midi.file([[60, 60], [-1, 40]], steps=2, tempo=120)
    assert found == header + tempo + b"".join(tracks)


def test_a_number_of_variable_length():
    """The examples of the standard's page 12."""
    exact = {0: "00", 0x40: "40", 0x7F: "7f", 0x80: "8100", 0x2000: "c000", 0x3FFF: "ff7f"}
    exact |= {0x4000: "818000", 0x0FFFFFFF: "ffffff7f"}
    for number, content in exact.items():
        assert midi.quantity(number).hex() == content


def test_no_voice_is_percussion():
    """The tenth channel has none; there are fifteen others."""
    tracks = midi.file([[60]] * 15).split(b"MTrk")[2:]
    channels = [track[5] & 0x0F for track in tracks]  # after four bytes of length and a time
    assert channels == [*range(9), *range(10, 16)]
    with pytest.raises(ValueError, match="holds 15 voices, not 16"):
        midi.file([[60]] * 16)
