"""MIDI files of single notes, one after the other (Standard MIDI Files 1.0, 1996)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from score_sde.formats.midi import quantity

TICKS = 480  # of a quarter note, which is half a second
_PER_SECOND = 2 * TICKS
_VELOCITY = 100
_CHANNEL = 0
_NOTE_OFF, _NOTE_ON, _CONTROL, _PROGRAM = 0x80, 0x90, 0xB0, 0xC0
_SOUND_OFF = 120  # the controller by which all that still sounds is silent at once


def notes(program: int, pitches: Sequence[int], every: float, held: float, silent: float) -> bytes:
    """A file of one track: a note each `every` seconds, the first at 0.

    Args:
        program: the instrument, 0 to 127.
        pitches: of the notes, 0 to 127.
        every: seconds from one note to the next.
        held: seconds until a note is let go.
        silent: seconds until nothing of it is heard any more, at least `held`, less than `every`.
    """
    events = [(0, bytes([_PROGRAM | _CHANNEL, program]))]
    for number, pitch in enumerate(pitches):
        start = number * every
        events += [
            (_tick(start), bytes([_NOTE_ON | _CHANNEL, pitch, _VELOCITY])),
            (_tick(start + held), bytes([_NOTE_OFF | _CHANNEL, pitch, 0])),
            (_tick(start + silent), bytes([_CONTROL | _CHANNEL, _SOUND_OFF, 0])),
        ]
    track, now = b"", 0
    for tick, event in events:
        track += quantity(tick - now) + event
        now = tick
    track += quantity(_tick(len(pitches) * every) - now) + b"\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS)
    return header + b"MTrk" + struct.pack(">I", len(track)) + track


def _tick(seconds: float) -> int:
    return round(seconds * _PER_SECOND)
