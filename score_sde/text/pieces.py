"""A unigram model from its files: SentencePiece's own, spiece.model, or tokenizer.json.

spiece.model is a message of Protocol Buffers. Of its fields these are read:

    1  a piece: 1 its text, 2 its score, 3 its kind
    2  how it was trained: 3 the kind of model, 35 whether bytes stand for unknown characters
    3  how it normalises: 2 the table of characters, 3 to 5 what it does with spaces
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from score_sde import files
from score_sde.errors import first_line
from score_sde.text import protobuf, settings

_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3  # kinds of pieces
_UNIGRAM = 1


class Pieces(NamedTuple):
    """A unigram model.

    Attributes:
        scores: of each piece its id and its log-probability.
        special: tokens that stand for no text, and their ids.
        unknown: the id of what no piece has.
        charsmap: the table that normalises characters, see charsmap.
        size: how many ids there are.
        extra: whether tokens beyond the pieces are among `special`.
    """

    scores: dict[str, tuple[int, float]]
    special: dict[str, int]
    unknown: int
    charsmap: bytes
    size: int
    extra: bool


def of_model(path: Path) -> Pieces:
    """The model in a file of SentencePiece.

    Raises:
        ValueError: it cannot be read, is damaged or another kind of model; the message follows the
            name of the file.
    """
    try:
        with files.regular(path) as file:
            message = protobuf.fields(file.read())
        pieces = [protobuf.fields(_bytes(piece)) for piece in message.get(1, [])]
        trained, normalises = (
            protobuf.fields(_bytes(message.get(field, [b""])[-1])) for field in (2, 3)
        )
        rows = [(_text(p), _number(p), p.get(3, [_NORMAL])[-1]) for p in pieces]
        charsmap = _bytes(normalises.get(2, [b""])[-1])
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read ({first_line(error)})") from error
    if trained.get(3, [_UNIGRAM])[-1] != _UNIGRAM or trained.get(35, [0])[-1]:
        raise ValueError("is no unigram model as T5 has it")
    if any(normalises.get(field, [1])[-1] != 1 for field in (3, 4, 5)):
        raise ValueError("treats spaces otherwise than T5 does")
    kinds = {kind for _, _, kind in rows}
    if not kinds <= {_NORMAL, _UNKNOWN, _CONTROL}:
        raise ValueError("has pieces of a kind that T5 has not")
    special = {name: i for i, (name, _, kind) in enumerate(rows) if kind != _NORMAL}
    unknown = [i for i, (_, _, kind) in enumerate(rows) if kind == _UNKNOWN]
    return _made([row[:2] for row in rows], special, unknown, charsmap, extra=False)


def of_json(path: Path) -> Pieces:
    """The model in a tokenizer.json.

    Raises:
        ValueError: it cannot be read, is damaged or another kind of model; the message follows the
            name of the file.
    """
    values, model = settings.json_object(path), settings.model(path)
    if model.get("type") != "Unigram" or model.get("byte_fallback"):
        raise ValueError("is no unigram model as T5 has it")
    try:
        rows = [(name, score) for name, score in model["vocab"]]
        if not all(isinstance(name, str) for name, _ in rows):
            raise TypeError("a piece that is no text")
        special = {one["content"]: one["id"] for one in values.get("added_tokens") or ()}
        charsmap = base64.b64decode(_charsmap(values.get("normalizer")), validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ValueError(f"is damaged ({first_line(error)})") from error
    return _made(rows, special, [model.get("unk_id")], charsmap, extra=True)


def _made(
    rows: Iterable[tuple[Any, Any]],
    special: dict[str, int],
    unknown: list[Any],
    charsmap: bytes,
    *,
    extra: bool,
) -> Pieces:
    scores = {name: (i, score) for i, (name, score) in enumerate(rows) if name not in special}
    for name, (_, score) in scores.items():
        if not name:
            raise ValueError("has a piece without text")
        if type(score) not in (int, float) or not math.isfinite(score):
            raise ValueError(f"gives {name!r:.40} the score {score!r:.40}")
    if not scores or len(unknown) != 1 or type(unknown[0]) is not int:
        raise ValueError("has no pieces, or no token for what is unknown")
    size = len(rows)
    return Pieces(scores, special, unknown[0], charsmap, size, extra)


def _charsmap(normalizer: Any) -> str:
    """The table in what a tokenizer.json says of normalisation, "" if there is none."""
    several = normalizer.get("normalizers") if isinstance(normalizer, dict) else None
    for one in [normalizer, *(several or ())]:
        if isinstance(one, dict) and one.get("type") == "Precompiled":
            return one["precompiled_charsmap"]
    return ""


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field of another type")
    return value


def _text(piece: dict[int, list[Any]]) -> str:
    return _bytes(piece.get(1, [b""])[-1]).decode()


def _number(piece: dict[int, list[Any]]) -> float:
    value = _bytes(piece.get(2, [bytes(4)])[-1])
    if len(value) != 4:
        raise ValueError("a score that is no number")
    return struct.unpack("<f", value)[0]
