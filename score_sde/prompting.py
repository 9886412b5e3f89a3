"""From prompts to what a network is told of them: tokenisers and encoders, put together.

Each system is the way of a family of released models; its encoders are parts of a run (see parts),
named text_encoder, text_encoder_2, ..., and their tokenisers tokenizer, tokenizer_2, ...

A model that was trained on the texts of its data reads them itself; see OfField.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import fields, sections
from score_sde.models.text.words import split
from score_sde.parts import Part
from score_sde.sections import DERIVED
from score_sde.text import Tokenizer
from score_sde.text.base import valid
from score_sde.text.prompts import Chunks, Prompt, chunks, emphasised, parse, plain
from score_sde.values import Count, Share, between

Cond = dict[str, jax.Array]


class Encoder(NamedTuple):
    """One encoder of a system, with its tokeniser."""

    tokenizer: Tokenizer
    part: Part


Tokens = tuple[Chunks | None, ...]  # of each encoder; None of one that is missing


@dataclasses.dataclass(frozen=True)
class System:
    """Subclasses are the sections of a config that they share a name with.

    Attributes:
        ENCODERS: how many encoders there are.
        weights: whether brackets in a prompt weigh its words, and BREAK begins a chunk; see
            text.prompts. Else they are signs like others.
        field: of the data, whose texts a network is told in training as prompts are told, by
            frozen encoders; "" for none.
        dropout: share of the examples that are told "" in its place, in training.
        chunks: of a prompt at most, of an encoder that takes several: what is beyond is cut off; 0
            for as many as it needs. Released pipelines have 1.
    """

    ENCODERS: ClassVar[int] = 1

    weights: bool = True
    field: str = ""
    dropout: Share = 0.1
    chunks: Annotated[int, between(0, 1000)] = 0

    def __post_init__(self) -> None:
        sections.check(self)

    @property
    def prompts(self) -> int:
        """How many texts an example has; 0 of a model that is told none."""
        return self.ENCODERS

    @property
    def optional(self) -> tuple[int, ...]:
        """The encoders that may be missing, counted from 0."""
        return ()

    @property
    def leading_away(self) -> System:
        """How what pictures are led away from is told."""
        return self

    @property
    def sizes(self) -> Sequence[Sequence[int | None]]:
        """Of each encoder, how many chunks a prompt has, and how many tokens a chunk.

        None: as many as the longest prompt needs, and as many as the tokeniser's texts have.
        """
        return ((None, None),) * self.ENCODERS

    def __call__(
        self, encoders: Sequence[Encoder | None], prompts: Sequence[Sequence[str]]
    ) -> Cond:
        """What a network is told.

        Args:
            encoders: ENCODERS of them; None for one that is missing.
            prompts: for each encoder, a text for each example.

        Returns:
            By name, [batch, ...] each.

        Raises:
            ValueError: a prompt is no text, or is too long for an encoder.
        """
        tokenizers, parts = (
            [None if one is None else one[i] for one in encoders]
            for i in range(len(Encoder._fields))
        )
        return self.told(parts, self.tokens(tokenizers, [self.read(texts) for texts in prompts]))

    def tokens(
        self,
        tokenizers: Sequence[Tokenizer | None],
        prompts: Sequence[Sequence[Prompt]],
        count: int | None = None,
    ) -> Tokens:
        """The tokens of prompts.

        Args:
            tokenizers: of each encoder.
            prompts: for each encoder, what each example's says, as `read` gives it.
            count: chunks of a prompt where the system does not say it; None: as many as needed.
        """
        how = [(c or count, length) for c, length in self.sizes]
        every = list(zip(tokenizers, prompts, how, strict=True))
        found = [
            None if tokenizer is None else chunks(tokenizer, texts, count=n, length=m)
            for tokenizer, texts, (n, m) in every
        ]
        needed = [one.ids.shape[1] for one, (n, _) in zip(found, how, strict=True) if one and not n]
        most = min(max(needed, default=1), self.chunks or math.inf)
        for i, (tokenizer, texts, (n, m)) in enumerate(every):
            if found[i] and not n and found[i].ids.shape[1] != most:
                found[i] = chunks(tokenizer, texts, count=most, length=m)
        return tuple(found)

    def told(self, parts: Sequence[Part | None], tokens: Tokens) -> Cond:
        """What a network is told of tokens; it may be called in compiled functions.

        Args:
            parts: the encoders.
            tokens: of each, as `tokens` gives them.
        """
        raise ValueError("this model is told no text")

    def read(self, prompts: Sequence[str]) -> list[Prompt]:
        """What prompts say."""
        return [(parse if self.weights else plain)(prompt) for prompt in prompts]


@dataclasses.dataclass(frozen=True)
class NoText(System):
    """A model that is told no text."""

    ENCODERS: ClassVar[int] = 0


@dataclasses.dataclass(frozen=True)
class Skipping(System):
    """Systems that can take the tokens of CLIP encoders before their last layers ("clip skip").

    Attributes:
        skip: layers at the end that are left out, beside those that always are.
        skip_negative: whether they are left out for what pictures are led away from too, as many
            programs do; released pipelines do not.
    """

    skip: Annotated[int, between(0, 100)] = 0
    skip_negative: bool = False

    @property
    def leading_away(self) -> System:
        """See System."""
        whole = self.skip_negative or not self.skip
        return self if whole else dataclasses.replace(self, skip=0)


@dataclasses.dataclass(frozen=True)
class Clip(Skipping):
    """Stable Diffusion 1 and 2: the tokens of one CLIP encoder, after its final norm."""

    def told(self, parts: Sequence[Part | None], tokens: Tokens) -> Cond:
        """See System: "text"."""
        ((part,), (found,)) = parts, tokens
        return {"text": _joined(_normed(part, _flat(found.ids), self.skip), found)}


@dataclasses.dataclass(frozen=True)
class SDXL(Skipping):
    """Stable Diffusion XL: two CLIP encoders, their tokens before the last layer side by side.

    Its refiner (Podell et al. 2023, arXiv 2307.01952, Section 2.5) is told by the second alone,
    and of a picture an aesthetic score in place of the size that it is cut to.

    Attributes:
        empty_is_zero: whether a prompt that is empty for all encoders is told as zeros where it is
            the negative one by itself; see Run.generate.
        first: whether there is the first encoder.
        scored: whether the network is told a score; see runs.telling.usual_sizes.
        score: what it is told, from 1 to 10 in training.
        negative_score: the same of what pictures are led away from.
    """

    ENCODERS: ClassVar[int] = 2

    empty_is_zero: bool = True
    first: bool = True
    scored: bool = False
    score: float = 6.0
    negative_score: float = 2.5

    @property
    def optional(self) -> tuple[int, ...]:
        """See System."""
        return () if self.first else (0,)

    def told(self, parts: Sequence[Part | None], tokens: Tokens) -> Cond:
        """See System: "text" and "pooled", which is the second encoder's."""
        states, pooled = _each(parts, tokens, 1 + self.skip)
        return {"text": jnp.concatenate(states, axis=-1), "pooled": pooled[-1]}


@dataclasses.dataclass(frozen=True)
class SD3(Skipping):
    """Stable Diffusion 3: two CLIP encoders side by side, and T5's tokens after theirs.

    Without T5 there are zeros in the place of its tokens.

    Attributes:
        length: tokens of T5.
        features: of a token of T5, where it is missing.
    """

    ENCODERS: ClassVar[int] = 3

    length: Count = 256
    features: Count = 4096

    @property
    def optional(self) -> tuple[int, ...]:
        """See System."""
        return (2,)

    @property
    def sizes(self) -> Sequence[Sequence[int | None]]:
        """See System."""
        return ((None, None), (None, None), (1, self.length))

    def told(self, parts: Sequence[Part | None], tokens: Tokens) -> Cond:
        """See System: "text" and "pooled", of both CLIP encoders."""
        states, pooled = _each(parts[:2], tokens[:2], 1 + self.skip)
        clip = jnp.concatenate(states, axis=-1)
        if parts[2] is None:
            t5 = jnp.zeros((len(clip), self.length, self.features), clip.dtype)
        else:
            t5 = _t5(parts[2], tokens[2], masked=False)["text"]
        wider = t5.shape[-1] - clip.shape[-1]
        clip = jnp.pad(clip, ((0, 0), (0, 0), (0, wider)))
        return {
            "text": jnp.concatenate([clip, t5], axis=1),
            "pooled": jnp.concatenate(pooled, axis=-1),
        }


@dataclasses.dataclass(frozen=True)
class Flux(System):
    """Flux: the pooled vector of a CLIP encoder, and the tokens of T5.

    Attributes:
        length: tokens of T5.
    """

    ENCODERS: ClassVar[int] = 2

    length: Count = 512

    @property
    def sizes(self) -> Sequence[Sequence[int | None]]:
        """See System."""
        return ((1, None), (1, self.length))

    def told(self, parts: Sequence[Part | None], tokens: Tokens) -> Cond:
        """See System: "text" and "pooled"."""
        pooled = _pooled(parts[0], tokens[0].ids[:, 0])
        return {**_t5(parts[1], tokens[1], masked=False), "pooled": pooled}


@dataclasses.dataclass(frozen=True)
class T5(System):
    """PixArt: the tokens of T5, and which of them there are.

    Attributes:
        length: tokens of T5.
    """

    length: Count = 120

    @property
    def sizes(self) -> Sequence[Sequence[int | None]]:
        """See System."""
        return ((1, self.length),)

    def told(self, parts: Sequence[Part | None], tokens: Tokens) -> Cond:
        """See System: "text" and "text_mask"."""
        return _t5(parts[0], tokens[0], masked=True)


@dataclasses.dataclass(frozen=True)
class StableAudio(System):
    """Stable Audio: the tokens of T5, and zeros after their end, which a network may look at.

    Attributes:
        empty_is_zero: a prompt that is left out is told as zeros, and so is one in training.
        length: tokens of T5.
    """

    empty_is_zero: ClassVar[bool] = True

    length: Count = 128

    @property
    def sizes(self) -> Sequence[Sequence[int | None]]:
        """See System."""
        return ((1, self.length),)

    def told(self, parts: Sequence[Part | None], tokens: Tokens) -> Cond:
        """See System: "text"."""
        found = _t5(parts[0], tokens[0], masked=True)
        return {"text": jnp.where(found["text_mask"][..., None], found["text"], 0)}


@dataclasses.dataclass(frozen=True)
class OfField(System):
    """A model that is told a field of its data: texts as they are there, which it reads itself.

    It follows from the model's conditions and is no member of SYSTEMS. Brackets are signs like
    others.

    Attributes:
        name: of the field.
        most: bytes of a text.
        words: that the model reads.
    """

    ENCODERS: ClassVar[int] = 0

    name: str = dataclasses.field(default="text", metadata=DERIVED)
    most: int = dataclasses.field(default=1, metadata=DERIVED)
    words: int = dataclasses.field(default=1, metadata=DERIVED)

    @property
    def prompts(self) -> int:
        """One."""
        return 1

    def __call__(
        self, encoders: Sequence[Encoder | None], prompts: Sequence[Sequence[str]]
    ) -> Cond:
        """See System: the field, uint8 [batch, most]."""
        value = fields.encode_texts(map(valid, prompts[0]), self.most)
        counts = np.asarray(split(jnp.asarray(value)).count)
        if (count := int(counts.max())) > self.words:
            raise ValueError(
                f"{prompts[0][int(counts.argmax())]!r:.60} has {count} words and signs: this model "
                f"reads {self.words}"
            )
        return {self.name: jnp.asarray(value)}


SYSTEMS: Mapping[str, type[System]] = {
    "none": NoText,
    "clip": Clip,
    "sdxl": SDXL,
    "sd3": SD3,
    "flux": Flux,
    "t5": T5,
    "stable_audio": StableAudio,
}


SHARED = ("weights", "field", "dropout", "chunks")


def read(section: Mapping[str, Any]) -> System:
    """The system that a section `text` of a config names.

    Raises:
        ValueError: there is none of that name, or an option cannot work.
    """
    name = section["name"]
    return SYSTEMS[name](**sections.options("config.text.name", SYSTEMS, name, section, SHARED))


def _each(
    parts: Sequence[Part | None], tokens: Tokens, before: int
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Of the encoders that are there: tokens so many layers before the end; pooled vectors."""
    states, pooled = [], []
    for part, found in zip(parts, tokens, strict=True):
        if part is None:
            continue
        vectors, of_all = _before(part, _flat(found.ids), before)
        states.append(_joined(vectors, found))
        pooled.append(of_all.reshape(*found.ids.shape[:2], -1)[:, 0])
    return states, pooled


def _t5(part: Part, found: Chunks, masked: bool) -> Cond:
    """Of one chunk a prompt."""
    mask = found.mask[:, 0]
    text = _of_t5(part, found.ids[:, 0], mask if masked else None)
    told = {"text": emphasised(text, jnp.asarray(found.weights[:, 0]))}
    return told | ({"text_mask": jnp.asarray(mask)} if masked else {})


def _flat(of_chunks: Any) -> Any:
    """[batch, chunks, tokens] to [batch * chunks, tokens]."""
    return of_chunks.reshape(-1, of_chunks.shape[-1])


def _joined(vectors: jax.Array, found: Chunks) -> jax.Array:
    """[batch * chunks, tokens, features] to [batch, chunks * tokens, features], with weights."""
    batch, count, length = found.ids.shape
    weighted = emphasised(vectors, jnp.asarray(_flat(found.weights)))
    return weighted.reshape(batch, count * length, -1)


@functools.partial(jax.jit, static_argnames="skip")
def _normed(part: Part, ids: np.ndarray, skip: int) -> jax.Array:
    return part(ids, skip=skip).last


@functools.partial(jax.jit, static_argnames="before")
def _before(part: Part, ids: np.ndarray, before: int) -> tuple[jax.Array, jax.Array]:
    found = part(ids)
    if before >= len(found.states):
        raise ValueError(f"clip_skip={before - 1}: this encoder has {len(found.states) - 1} layers")
    return found.states[-1 - before], found.pooled


@jax.jit
def _pooled(part: Part, ids: np.ndarray) -> jax.Array:
    return part(ids).pooled


@jax.jit
def _of_t5(part: Part, ids: np.ndarray, mask: np.ndarray | None) -> jax.Array:
    return part(ids, mask).last
