"""Standard MIDI files, written: a track for each voice (MIDI 1.0, Standard MIDI Files, RP-001)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_TICKS = 480  # of a quarter note
_VELOCITY = 80


def file(voices: Sequence[Sequence[int]], steps: int = 2, tempo: float = 84) -> bytes:
    """A file of format 1, in which steps of one pitch that follow each other are one note.

    Args:
        voices: of each the pitch of every step, 0 to 127; a negative one is a rest.
        steps: in a quarter note.
        tempo: quarter notes a minute.
    """
    first = _event(0, bytes((0xFF, 0x51, 3)) + round(60e6 / tempo).to_bytes(3, "big"))
    tracks = [first, *(_track(voice, n, _TICKS // steps) for n, voice in enumerate(voices))]
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


def _event(delta: int, message: bytes) -> bytes:
    """After so many ticks; a number of seven bits a byte, all but the last with the eighth set."""
    parts = [delta & 0x7F]
    while delta := delta >> 7:
        parts.append(0x80 | (delta & 0x7F))
    return bytes(reversed(parts)) + message
