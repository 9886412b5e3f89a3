"""Tokens of a vocabulary: the letters of a word, the pieces of a text."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import fields
from score_sde.fields import Field
from score_sde.processes import MASK
from score_sde.sections import DERIVED
from score_sde.spaces import texts
from score_sde.spaces.base import Space

_FEW, _NEAR = 40, 6  # tokens of which a message says all, and else so many


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Tokens(Space):
    """x = example: int32, 0 to vocabulary - 1, MASK where a token is not known.

    Attributes:
        shape: (length,).
        vocabulary: tokens that there are.
        names: what each stands for in a text; of none, its number.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("tokens",)
    STATES: ClassVar[str] = fields.TOKENS

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    vocabulary: int = dataclasses.field(metadata=DERIVED)
    names: tuple[str, ...] = dataclasses.field(metadata=DERIVED)

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of tokens."""
        return cls(field.shape, field.values, field.names, **options)

    @property
    def facts(self) -> dict[str, Any]:
        """Networks have to know the vocabulary."""
        return {"vocabulary": self.vocabulary}

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """As they are; nothing is random."""
        return jnp.asarray(examples, jnp.int32)

    def decode(self, x: jax.Array) -> jax.Array:
        """As they are."""
        return x

    def neutral(self, examples: jax.Array) -> jax.Array:
        """Masks."""
        return jnp.full((len(examples), *self.shape), MASK, jnp.int32)

    def as_texts(self, examples: np.ndarray) -> list[str]:
        """The text of each example; line ends after its end are left out.

        Args:
            examples: tokens, [n, length].
        """
        return [self._text(row).rstrip("\n") for row in np.asarray(examples)]

    def partly(self, text: str) -> np.ndarray:
        """Tokens of a text of which a part is known.

        Args:
            text: `_` stands for a token that is not known, and backslash n for a line end. The
                longest name that goes on is the next token; what follows the end is not known.

        Returns:
            int32 [length], MASK for what is not known.

        Raises:
            ValueError: it is too long, or begins somewhere with no token: the message says which
                there are, or those that are near.
        """
        text, found, at = text.replace("\\n", "\n"), [], 0
        numbers = {name: number for number, name in enumerate(self.names) if name}
        longest = max(map(len, numbers), default=0)
        while at < len(text):
            ends = range(min(len(text), at + longest), at, -1)
            name = next((text[at:end] for end in ends if text[at:end] in numbers), "")
            if text[at] == "_":
                name, token = "_", MASK
            elif name:
                token = numbers[name]
            else:
                raise ValueError(f"no token begins with {text[at]!r}: {self._there(text[at])}")
            found.append(token)
            at += len(name)
        (length,) = self.shape
        if len(found) > length:
            raise ValueError(f"these are {len(found)} tokens, and there are {length}")
        return np.array(found + [MASK] * (length - len(found)), np.int32)

    def _there(self, character: str) -> str:
        """Which tokens there are, for a message about one that there is not."""
        names = [name for name in self.names if name]
        if not names:
            return f"these are {self.vocabulary:,} tokens without names"
        words = {
            name: name.replace("\n", "\\n") if name.strip(" ") else repr(name) for name in names
        }
        if len(names) <= _FEW:
            return f"there are {' '.join(words.values())}, and _ for one that is drawn"

        near = [name for name in names if _plain(name[0]) == _plain(character)] or names
        near = sorted(near, key=lambda name: abs(ord(name[0]) - ord(character)))[:_NEAR]
        return f"there are {len(names):,}, of which {' '.join(words[n] for n in near)} are near"

    def _text(self, row: Sequence[int]) -> str:
        if not self.names:
            return " ".join(map(str, row))
        return "".join("_" if t == MASK else self.names[t] for t in row)

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .txt, in UTF-8."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in zip(names, self.as_texts(examples), strict=True):
            (folder / f"{name}.txt").write_text(f"{text}\n", encoding="utf-8")

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """The texts, in columns; one that ends says so, another was cut."""
        whole = [self._text(row) for row in np.asarray(examples)]
        shown = [one.rstrip("\n") + "\n" * one.endswith("\n") for one in whole]
        texts.save(path, shown, columns)


def _plain(character: str) -> str:
    """Without its accent, in lower case."""
    return unicodedata.normalize("NFKD", character)[:1].casefold()
