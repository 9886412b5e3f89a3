"""The 128 instruments of General MIDI 1 (MIDI Manufacturers Association, 1991) and their pitches.

Names are as the standard has them, without capitals. Eight at a time are a family.
"""

from __future__ import annotations

_PROGRAMS = """
piano: acoustic grand piano, bright acoustic piano, electric grand piano, honky-tonk piano,
 electric piano 1, electric piano 2, harpsichord, clavi
chromatic percussion: celesta, glockenspiel, music box, vibraphone, marimba, xylophone,
 tubular bells, dulcimer
organ: drawbar organ, percussive organ, rock organ, church organ, reed organ, accordion,
 harmonica, tango accordion
guitar: nylon guitar, steel guitar, jazz guitar, clean guitar, muted guitar, overdriven guitar,
 distortion guitar, guitar harmonics
bass: acoustic bass, finger bass, pick bass, fretless bass, slap bass 1, slap bass 2,
 synth bass 1, synth bass 2
strings: violin, viola, cello, contrabass, tremolo strings, pizzicato strings, orchestral harp,
 timpani
ensemble: string ensemble 1, string ensemble 2, synth strings 1, synth strings 2, choir aahs,
 voice oohs, synth voice, orchestra hit
brass: trumpet, trombone, tuba, muted trumpet, french horn, brass section, synth brass 1,
 synth brass 2
reed: soprano sax, alto sax, tenor sax, baritone sax, oboe, english horn, bassoon, clarinet
pipe: piccolo, flute, recorder, pan flute, blown bottle, shakuhachi, whistle, ocarina
synth lead: square lead, sawtooth lead, calliope lead, chiff lead, charang lead, voice lead,
 fifths lead, bass and lead
synth pad: new age pad, warm pad, polysynth pad, choir pad, bowed pad, metallic pad, halo pad,
 sweep pad
synth effects: rain, soundtrack, crystal, atmosphere, brightness, goblins, echoes, sci-fi
ethnic: sitar, banjo, shamisen, koto, kalimba, bag pipe, fiddle, shanai
percussive: tinkle bell, agogo, steel drums, woodblock, taiko drum, melodic tom, synth drum,
 reverse cymbal
sound effects: guitar fret noise, breath noise, seashore, bird tweet, telephone ring, helicopter,
 applause, gunshot
"""
_LINES = [line.partition(": ") for line in _PROGRAMS.strip().replace("\n ", " ").splitlines()]

FAMILIES: tuple[str, ...] = tuple(family for family, _, _ in _LINES)
INSTRUMENTS: tuple[str, ...] = tuple(n for _, _, names in _LINES for n in names.split(", "))
PITCHES = range(48, 84)  # C3 to B5, by MIDI's numbers
_LETTERS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def pitch_name(number: int) -> str:
    """The name of a pitch, such as A4 of MIDI's number 69."""
    octave, step = divmod(number, 12)
    return f"{_LETTERS[step]}{octave - 1}"


def text(program: int, number: int) -> str:
    """What a note is told by, such as "violin, A4"."""
    return f"{INSTRUMENTS[program]}, {pitch_name(number)}"
