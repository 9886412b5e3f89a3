"""Texts as ids of tokens: tokenisers from their released files, and what prompts may say.

tokenizer = text.read(folder)
tokens = tokenizer(["a corgi"])           # ids and mask, [1, tokens]
"""

from __future__ import annotations

from pathlib import Path

from score_sde.text import clip, settings, t5
from score_sde.text.base import Tokenizer, Tokens

__all__ = ["Tokenizer", "Tokens", "read"]


def read(folder: Path) -> Tokenizer:
    """The tokeniser of a released model, by which files its folder has.

    Raises:
        ValueError: it has none that is known, or one is damaged.
    """
    if (folder / clip.MERGES).exists():
        return clip.read(folder)
    if (folder / t5.PIECES).exists():
        return t5.read(folder)
    path = folder / settings.JSON
    if not path.exists():
        raise ValueError(
            f"{folder} has no tokeniser: there is no {clip.MERGES}, {t5.PIECES} or {settings.JSON}"
        )
    return (clip if settings.model(path).get("type") == "BPE" else t5).read(folder)
