"""The bundled digits, moving: 8 frames of 16x16 pixels in which a digit goes one pixel a frame.

Each digit is shown in every motion once. Where it begins is drawn, of the places from which it does
not leave the picture, by a hash that no library can change. So text, digit and motion of a clip are
known exactly: "a 3 moves left".
"""

from __future__ import annotations

import hashlib

import numpy as np

from score_sde import fields

FRAMES = 8
SIDE = 16  # pixels of a frame
LEVELS = 17
# What a text says of a motion, and the pixels down and right that it takes a frame.
MOTIONS = {
    "stands still": (0, 0),
    "moves left": (0, -1),
    "moves right": (0, 1),
    "moves up": (-1, 0),
    "moves down": (1, 0),
}


def words(digit: int, motion: int) -> str:
    """What a clip shows, in words."""
    return f"a {digit} {list(MOTIONS)[motion]}"


_TEXTS = [words(digit, motion) for digit in range(10) for motion in range(len(MOTIONS))]
FIELDS = (
    fields.video((FRAMES, SIDE, SIDE, 1), LEVELS),
    fields.label(10, tuple(map(str, range(10))), "digit"),
    fields.label(len(MOTIONS), tuple(MOTIONS), "motion"),
    fields.text(max(map(len, _TEXTS)), vocabulary=fields.words_of(_TEXTS)),
)


def said(text: str) -> tuple[int, int] | None:
    """Digit and motion of such a text; None of another."""
    for motion in range(len(MOTIONS)):
        for digit in range(10):
            if text == words(digit, motion):
                return digit, motion
    return None


def start(index: int, motion: int, side: int = 8) -> tuple[int, int]:
    """The row and the column of the upper left pixel of a digit in the first frame.

    Args:
        index: position of the digit in scikit-learn's order.
        motion: the position of its motion in MOTIONS.
        side: of the digit.

    Returns:
        Any place, as likely as the others, from which all frames show all of it.
    """
    digest = hashlib.sha256(b"digits_video %d %d" % (index, motion)).digest()
    drawn = (int.from_bytes(part, "big") for part in (digest[:8], digest[8:16]))
    found = []
    for number, step in zip(drawn, list(MOTIONS.values())[motion], strict=True):
        way = step * (FRAMES - 1)
        first, last = max(0, -way), SIDE - side - max(0, way)
        found.append(first + number % (last - first + 1))
    return found[0], found[1]


def clip(image: np.ndarray, motion: int, at: tuple[int, int]) -> np.ndarray:
    """A digit in motion, on black.

    Args:
        image: uint8 [height, width].
        motion: the position of its motion in MOTIONS.
        at: row and column of its upper left pixel in the first frame.

    Returns:
        uint8 [FRAMES, SIDE, SIDE, 1].
    """
    down, right = list(MOTIONS.values())[motion]
    frames = np.zeros((FRAMES, SIDE, SIDE, 1), np.uint8)
    height, width = image.shape
    for number, frame in enumerate(frames):
        row, column = at[0] + number * down, at[1] + number * right
        frame[row : row + height, column : column + width, 0] = image
    return frames
