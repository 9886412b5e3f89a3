"""Notes of MusicXML files, plain or compressed (.mxl), by the standard library alone."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
import zipfile
from fractions import Fraction
from typing import NamedTuple

from score_sde.data.base import DataError
from score_sde.formats import archive

MOST = 2**25  # bytes of one score
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


# What an element that is missing, or says something else than it is for, raises below.
_WRONG = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)


class Note(NamedTuple):
    """Where a note lies.

    Attributes:
        pitch: number of MIDI; C4 is 60. -1 for a rest.
        start: in quarter notes from the beginning.
        length: in quarter notes.
    """

    pitch: int
    start: Fraction
    length: Fraction


def parts(content: bytes, name: str) -> list[list[Note]]:
    """The notes of each part of a score, in their order; grace notes and lower ones of chords not.

    Args:
        content: of the file, which may be a zip archive (.mxl).
        name: of the file, for messages.

    Raises:
        DataError: it is no such file.
    """
    try:
        if len(content) > MOST:
            raise ValueError(f"it is larger than {MOST:,} bytes")
        root = ET.fromstring(_whole(content) if content.startswith(b"PK") else content)
        return [_notes(part) for part in root.findall("part")]
    except (ET.ParseError, *_WRONG) as error:
        raise DataError(f"{name} is no MusicXML: {error!s:.80}") from error
    except archive.DAMAGED as error:
        raise DataError(f"{name} is no compressed MusicXML: {error!s:.80}") from error


def _whole(content: bytes) -> bytes:
    """The score in an archive, which its META-INF/container.xml names."""
    with zipfile.ZipFile(io.BytesIO(content)) as score:
        container = ET.fromstring(archive.member(score, "META-INF/container.xml", MOST))
        path = container.find(".//{*}rootfile").get("full-path")
        return archive.member(score, path, MOST)


def _notes(part: ET.Element) -> list[Note]:
    found, now, divisions = [], Fraction(0), Fraction(1)
    for measure in part.findall("measure"):
        for element in measure:
            if element.tag == "attributes" and element.find("divisions") is not None:
                divisions = _number(element, "divisions")
            elif element.tag in ("backup", "forward"):
                length = _number(element, "duration") / divisions
                now += length if element.tag == "forward" else -length
            elif element.tag == "note" and not _is_beside(element):
                length = _number(element, "duration") / divisions
                found.append(Note(_pitch(element.find("pitch")), now, length))
                now += length
    return found


def _number(element: ET.Element, name: str) -> Fraction:
    """Not below 0; of few digits, as those of a fraction are all computed."""
    text = (element.findtext(name) or "").strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} is {text[:20]!r}, no number")
    return Fraction(text)


def _is_beside(note: ET.Element) -> bool:
    return note.find("grace") is not None or note.find("chord") is not None


def _pitch(element: ET.Element | None) -> int:
    if element is None:
        return -1
    octave, alter = int(element.findtext("octave")), float(element.findtext("alter") or 0)
    return 12 * (octave + 1) + _STEPS[element.findtext("step")] + round(alter)
