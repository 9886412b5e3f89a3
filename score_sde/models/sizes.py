"""Sizes of transformers by one word: a name, and the side of a patch, such as "XL/2"."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from score_sde.values import between

Own = Annotated[int, between(0, 2**16)]  # an option that takes the place of the word's; 0 does not
Rows = Annotated[int, between(0, 2**24)]  # of a table; 0 for as many as are needed
Ratio = Annotated[float, between(0.25, 64)]


class Published(NamedTuple):
    """A size as published.

    Attributes:
        channels: features of a token.
        depth: number of blocks.
        heads: of attention.
    """

    channels: int
    depth: int
    heads: int


@dataclasses.dataclass(frozen=True)
class Size:
    """The size of one network.

    Attributes:
        channels: features of a token.
        depth: number of blocks.
        heads: of attention.
        patch: side of a patch.

    Raises:
        ValueError: heads do not divide channels.
    """

    channels: int
    depth: int
    heads: int
    patch: int

    def __post_init__(self) -> None:
        if self.channels % self.heads:
            raise ValueError(f"channels={self.channels} must be a multiple of heads={self.heads}")


def words(published: Mapping[str, Published], patches: Sequence[int]) -> tuple[str, ...]:
    """The words for all sizes with all patches."""
    return tuple(f"{name}/{patch}" for name in published for patch in patches)


def size(word: str, published: Mapping[str, Published], **own: int) -> Size:
    """What a word stands for.

    Args:
        word: one of `words`.
        published: the sizes that there are.
        own: by the names of Size's fields, what takes the place of the word's; 0 keeps it.

    Raises:
        ValueError: heads do not divide channels.
    """
    name, _, patch = word.partition("/")
    given = {**published[name]._asdict(), "patch": int(patch)}
    return Size(**{field: own[field] or value for field, value in given.items()})
