"""Messages of Protocol Buffers, as bytes and numbers: what fields mean, the caller knows."""

from __future__ import annotations

_VARINT, _EIGHT, _SIZED, _FOUR = 0, 1, 2, 5  # how a value is stored


def fields(message: bytes) -> dict[int, list[bytes | int]]:
    """The values of each field, in the order of the message.

    Args:
        message: fields, each a number of its own and how its value is stored, then the value.

    Returns:
        By the field's number: integers are numbers (as unsigned ones); others are bytes, messages
        within it too.

    Raises:
        ValueError: it is damaged.
    """
    found: dict[int, list[bytes | int]] = {}
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind, value = key & 7, b""
        if kind == _VARINT:
            value, place = _varint(message, place)
        else:
            size = {_EIGHT: 8, _FOUR: 4}.get(kind)
            if kind == _SIZED:
                size, place = _varint(message, place)
            if size is None or size > len(message) - place:
                raise ValueError(f"damaged at byte {place}")
            value, place = message[place : place + size], place + size
        found.setdefault(key >> 3, []).append(value)
    return found


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number, seven bits a byte and the last byte below 128; and the place after it."""
    value = 0
    for i, byte in enumerate(message[place : place + 10]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, place + i + 1
    raise ValueError(f"damaged at byte {place}")
