"""Standard MIDI files, written: a track for each voice (MIDI 1.0, Standard MIDI Files, RP-001)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_TICKS = 480  # of a quarter note
_VELOCITY = 80
# Of a voice each; the tenth is that of percussion (General MIDI 1), whose notes have no pitch.
_CHANNELS = (*range(9), *range(10, 16))
MOST_VOICES = len(_CHANNELS)


def file(voices: Sequence[Sequence[int]], steps: int = 2, tempo: float = 84) -> bytes:
    """A file of format 1, in which steps of one pitch that follow each other are one note.

    Args:
        voices: of each the pitch of every step, 0 to 127; a negative one is a rest.
        steps: in a quarter note.
        tempo: quarter notes a minute.

    Raises:
        ValueError: there are more than MOST_VOICES.
    """
    first = _event(0, bytes((0xFF, 0x51, 3)) + round(60e6 / tempo).to_bytes(3, "big"))
    if len(voices) > MOST_VOICES:
        raise ValueError(f"a MIDI file holds {MOST_VOICES} voices, not {len(voices)}")
    each = zip(voices, _CHANNELS, strict=False)
    tracks = [first, *(_track(voice, channel, _TICKS // steps) for voice, channel in each)]
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), _TICKS)
    end = _event(0, b"\xff\x2f\x00")
    chunks = (track + end for track in tracks)
    return header + b"".join(b"MTrk" + struct.pack(">I", len(c)) + c for c in chunks)


def _track(pitches: Sequence[int], channel: int, ticks: int) -> bytes:
    found, now = b"", 0
    for pitch, start, length in notes(pitches):
        found += _event((start - now) * ticks, bytes((0x90 | channel, pitch, _VELOCITY)))
        found += _event(length * ticks, bytes((0x80 | channel, pitch, 0)))
        now = start + length
    return found


def notes(pitches: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Pitch, first step and number of steps of each note; rests are left out."""
    start = 0
    for step in range(1, len(pitches) + 1):
        if step == len(pitches) or pitches[step] != pitches[start]:
            if pitches[start] >= 0:
                yield int(pitches[start]), start, step - start
            start = step


def quantity(number: int) -> bytes:
    """A number of variable length: 7 bits a byte, the first bit of all but the last set."""
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(0x80 | (number & 0x7F))
    return bytes(reversed(parts))


def _event(delta: int, message: bytes) -> bytes:
    """A message after so many ticks."""
    return quantity(delta) + message
