r"""What a prompt may say beside its words: weights, and where a chunk of it ends.

The grammar is the one of the web interfaces of Stable Diffusion:

    (a corgi:1.3)   weight 1.3           (a corgi)   weight 1.1          [a corgi]   weight 1 / 1.1
    \( \) \[ \] \\  the sign itself      BREAK       what follows begins another chunk

Brackets within brackets multiply, one that is never closed ends with the prompt, and one that was
never opened is a sign like any other, as is a colon that no number and bracket follow. A number has
digits, perhaps a sign before them and a point among them. BREAK is a word of its own, in capitals,
within brackets or not. Each stretch of one weight is cut into tokens by itself. Schedules, as in
[a:b:0.5], and AND are not part of it.

An encoder takes a chunk of so many tokens (CLIP's 75, and those of start and end). A longer prompt
is several chunks, full ones as long as there are tokens. Each is encoded by itself, and their
vectors stand one after another; the pooled vector is that of the first.

What weights do to the vectors z of the tokens of a chunk, [tokens, features], is (`emphasised`)

    z' = w z,    z'' = z' mean(z) / mean(z'),                                              (1)

with means over tokens and features; the tokens of start, end and padding have weight 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.text.base import Tokenizer, check_text

STRONGER = 1.1
_LARGEST = 1e4  # of a weight, so that no product of many is infinite
_OPENS = {")": "(", "]": "["}
_SIGNS = re.compile(
    r"\\(?P<escaped>[\\()\[\]])"
    r"|(?P<open>[(\[])"
    r"|(?P<close>(?::\s*(?P<weight>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*)?\)|\])"
    r"|(?P<break>\bBREAK\b)"
)


class Weighted(NamedTuple):
    """A stretch of a prompt."""

    text: str
    weight: float = 1.0


Prompt = tuple[tuple[Weighted, ...], ...]  # the stretches of each part, between BREAKs


class Chunks(NamedTuple):
    """Prompts in chunks.

    Attributes:
        ids: int32 [batch, chunks, tokens].
        mask: whether it is a token and no padding, bool, the same shape.
        weights: of each token, float32, the same shape.
    """

    ids: np.ndarray
    mask: np.ndarray
    weights: np.ndarray


def plain(prompt: str) -> Prompt:
    """A prompt in which no sign means anything.

    Raises:
        ValueError: it is no text.
    """
    check_text(prompt)
    return ((Weighted(prompt),),)


def parse(prompt: str) -> Prompt:
    """What a prompt says in the grammar above; every text says something.

    Raises:
        ValueError: it is no text.
    """
    check_text(prompt)
    signs = list(_SIGNS.finditer(prompt))
    factors = _factors(signs)
    products = {"(": [1.0], "[": [1.0]}  # of those that are open, the outermost first
    found: list[Weighted | None] = []  # None: BREAK

    def add(text: str) -> None:
        found.append(Weighted(text, _bounded(products["("][-1] * products["["][-1])))

    place = 0
    for i, sign in enumerate(signs):
        add(prompt[place : sign.start()])
        place = sign.end()
        if sign["break"]:
            found.append(None)
        elif i not in factors:
            add(sign["escaped"] or sign[0])
        elif sign["open"]:
            outer = products[sign["open"]]
            outer.append(_bounded(outer[-1] * factors[i]))
        else:
            products[_OPENS[sign[0][-1]]].pop()
    add(prompt[place:])
    return tuple(_parts(found))


def _factors(signs: Sequence[re.Match[str]]) -> dict[int, float]:
    """What each bracket that has a meaning multiplies by, closing ones too, by its index."""
    found: dict[int, float] = {}
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for i, sign in enumerate(signs):
        if sign["open"]:
            opened[sign["open"]].append(i)
            found[i] = STRONGER if sign["open"] == "(" else 1 / STRONGER
        elif sign["close"] and (others := opened[_OPENS[sign[0][-1]]]):
            begin = others.pop()
            found[i] = found[begin] = float(sign["weight"] or found[begin])
    return found


def _bounded(weight: float) -> float:
    return min(max(weight, -_LARGEST), _LARGEST)


def _parts(found: Sequence[Weighted | None]) -> Iterator[tuple[Weighted, ...]]:
    """Those between BREAKs, each without empty texts, and neighbours of one weight as one."""
    part: list[Weighted] = []
    for one in [*found, None]:
        if one is None:
            yield tuple(part)
            part = []
        elif part and part[-1].weight == one.weight:
            part[-1] = Weighted(part[-1].text + one.text, one.weight)
        elif one.text:
            part.append(one)


def chunks(
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    count: int | None = None,
    length: int | None = None,
) -> Chunks:
    """Prompts as chunks of tokens.

    Args:
        tokenizer: of the encoder.
        prompts: what `parse` or `plain` makes of each.
        count: how many chunks each has: what is beyond is cut off, and what lacks are chunks
            without a token. None: as many as the longest prompt needs.
        length: tokens of a chunk; None: as many as the tokeniser's texts have at most.

    Raises:
        ValueError: the length leaves no room.
    """
    length = tokenizer.length if length is None else length
    room = length - tokenizer.frame
    if room < 1:
        raise ValueError(f"a chunk of {length} tokens has no room beside its start and end")
    rows = [_cut(_tokens(tokenizer, prompt), room) for prompt in prompts]
    count = max(map(len, rows), default=1) if count is None else count
    full = [(row + [[]] * count)[:count] for row in rows]
    found = tokenizer.framed([[i for i, _ in chunk] for row in full for chunk in row], length)
    weights = np.ones(found.ids.shape, np.float32)
    first = tokenizer.frame - 1
    for i, chunk in enumerate(chunk for row in full for chunk in row):
        weights[i, first : first + len(chunk)] = [weight for _, weight in chunk]
    shape = (len(rows), count, length)
    return Chunks(*(a.reshape(shape) for a in (found.ids, found.mask, weights)))


def _tokens(tokenizer: Tokenizer, prompt: Prompt) -> list[list[tuple[int, float]]]:
    """Ids and their weights of each part."""
    return [
        [(i, weight) for text, weight in part for i in tokenizer.encode(text)] for part in prompt
    ]


def _cut(parts: list[list[tuple[int, float]]], room: int) -> list[list[tuple[int, float]]]:
    """Parts as chunks: one at least of each, but none of an empty last one if there are others."""
    found = [part[i : i + room] for part in parts for i in range(0, max(len(part), 1), room)]
    return found[:-1] if len(found) > 1 and not found[-1] else found


def emphasised(tokens: jax.Array, weights: jax.Array) -> jax.Array:
    """Equation (1), of each chunk by itself; with weights of 1, the tokens as they are.

    Args:
        tokens: what an encoder gives, [..., tokens, features].
        weights: [..., tokens].
    """
    z = tokens.astype(jnp.promote_types(tokens.dtype, jnp.float32))
    weighted = z * weights[..., None].astype(z.dtype)
    old, new = (a.mean(axis=(-2, -1), keepdims=True) for a in (z, weighted))
    return (weighted * jnp.where(new == 0, 1, old / new)).astype(tokens.dtype)
