"""Notes of MusicXML files, plain or compressed (.mxl), by the standard library alone."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
from fractions import Fraction
from typing import NamedTuple

from score_sde.data.base import DataError

_MOST = 2**25  # bytes of one score
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


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
        root = ET.fromstring(_whole(content) if content.startswith(b"PK") else content)
        return [_notes(part) for part in root.findall("part")]
    except (ET.ParseError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{name} is no MusicXML: {error!s:.80}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DataError(f"{name} is no compressed MusicXML: {error!s:.80}") from error


def _whole(content: bytes) -> bytes:
    """The score in an archive, which its META-INF/container.xml names."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:

        def read(path: str) -> bytes:
            with archive.open(path) as file:  # no more is read than may be, whatever it claims
                found = file.read(_MOST + 1)
            if len(found) > _MOST:
                raise ValueError(f"{path} is larger than {_MOST:,} bytes")
            return found

        container = ET.fromstring(read("META-INF/container.xml"))
        return read(container.find(".//{*}rootfile").get("full-path"))


def _notes(part: ET.Element) -> list[Note]:
    found, now, divisions = [], Fraction(0), 1
    for measure in part.findall("measure"):
        for element in measure:
            if element.tag == "attributes" and element.find("divisions") is not None:
                divisions = int(element.findtext("divisions"))
            elif element.tag in ("backup", "forward"):
                length = Fraction(element.findtext("duration")) / divisions
                now += length if element.tag == "forward" else -length
            elif element.tag == "note" and not _is_beside(element):
                length = Fraction(element.findtext("duration")) / divisions
                found.append(Note(_pitch(element.find("pitch")), now, length))
                now += length
    return found


def _is_beside(note: ET.Element) -> bool:
    return note.find("grace") is not None or note.find("chord") is not None


def _pitch(element: ET.Element | None) -> int:
    if element is None:
        return -1
    octave, alter = int(element.findtext("octave")), float(element.findtext("alter") or 0)
    return 12 * (octave + 1) + _STEPS[element.findtext("step")] + round(alter)
