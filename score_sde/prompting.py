"""From prompts to what a network is told of them: tokenisers and encoders, put together.

Each system is the way of a family of released models; its encoders are parts of a run (see parts),
named text_encoder, text_encoder_2, ..., and their tokenisers tokenizer, tokenizer_2, ...

A model that was trained on the texts of its data reads them itself; see OfField.
"""

from __future__ import annotations

import dataclasses
import functools
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
from score_sde.text.prompts import Chunks, chunks, emphasised, parse, plain
from score_sde.values import Count, between

Cond = dict[str, jax.Array]


class Encoder(NamedTuple):
    """One encoder of a system, with its tokeniser."""

    tokenizer: Tokenizer
    part: Part


@dataclasses.dataclass(frozen=True)
class System:
    """Subclasses are the sections of a config that they share a name with.

    Attributes:
        ENCODERS: how many encoders there are.
        OPTIONAL: those that may be missing, counted from 0.
        weights: whether brackets in a prompt weigh its words, and BREAK begins a chunk; see
            text.prompts. Else they are signs like others.
    """

    ENCODERS: ClassVar[int] = 1
    OPTIONAL: ClassVar[tuple[int, ...]] = ()

    weights: bool = True

    def __post_init__(self):
        sections.check(self)

    @property
    def prompts(self) -> int:
        """How many texts an example has; 0 of a model that is told none."""
        return self.ENCODERS

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
        raise ValueError("this model is told no text")

    def read(self, prompts: Sequence[str]) -> list:
        """What prompts say."""
        return [(parse if self.weights else plain)(prompt) for prompt in prompts]


@dataclasses.dataclass(frozen=True)
class NoText(System):
    """A model that is told no text."""

    ENCODERS: ClassVar[int] = 0


@dataclasses.dataclass(frozen=True)
class Clip(System):
    """Stable Diffusion 1 and 2: the tokens of one CLIP encoder, after its final norm.

    Attributes:
        skip: layers at the end that are left out ("clip skip").
    """

    skip: Annotated[int, between(0, 100)] = 0

    def __call__(
        self, encoders: Sequence[Encoder | None], prompts: Sequence[Sequence[str]]
    ) -> Cond:
        """See System: "text"."""
        ((encoder,), (texts,)) = encoders, prompts
        found = chunks(encoder.tokenizer, self.read(texts))
        return {"text": _last(encoder, found, self.skip)}


@dataclasses.dataclass(frozen=True)
class SDXL(System):
    """Stable Diffusion XL: two CLIP encoders, their tokens before the last layer side by side.

    Attributes:
        skip: more layers that are left out.
        empty_is_zero: whether a prompt that is empty for all encoders is told as zeros where it is
            the negative one by itself; see Run.generate.
    """

    ENCODERS: ClassVar[int] = 2

    skip: Annotated[int, between(0, 100)] = 0
    empty_is_zero: bool = True

    def __call__(
        self, encoders: Sequence[Encoder | None], prompts: Sequence[Sequence[str]]
    ) -> Cond:
        """See System: "text" and "pooled", which is the second encoder's."""
        states, pooled = _both(self, encoders, prompts, 1 + self.skip)
        return {"text": jnp.concatenate(states, axis=-1), "pooled": pooled[1]}


@dataclasses.dataclass(frozen=True)
class SD3(System):
    """Stable Diffusion 3: two CLIP encoders side by side, and T5's tokens after theirs.

    Without T5 there are zeros in the place of its tokens.

    Attributes:
        skip: layers of the CLIP encoders that are left out, beside the last.
        length: tokens of T5.
        features: of a token of T5, where it is missing.
    """

    ENCODERS: ClassVar[int] = 3
    OPTIONAL: ClassVar[tuple[int, ...]] = (2,)

    skip: Annotated[int, between(0, 100)] = 0
    length: Count = 256
    features: Count = 4096

    def __call__(
        self, encoders: Sequence[Encoder | None], prompts: Sequence[Sequence[str]]
    ) -> Cond:
        """See System: "text" and "pooled", of both CLIP encoders."""
        states, pooled = _both(self, encoders[:2], prompts[:2], 1 + self.skip)
        clip = jnp.concatenate(states, axis=-1)
        if encoders[2] is None:
            t5 = jnp.zeros((len(clip), self.length, self.features), clip.dtype)
        else:
            t5 = _t5(self, encoders[2], prompts[2], self.length, masked=False)["text"]
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

    def __call__(
        self, encoders: Sequence[Encoder | None], prompts: Sequence[Sequence[str]]
    ) -> Cond:
        """See System: "text" and "pooled"."""
        found = chunks(encoders[0].tokenizer, self.read(prompts[0]), count=1)
        pooled = _pooled(encoders[0].part, found.ids[:, 0])
        return {**_t5(self, encoders[1], prompts[1], self.length, masked=False), "pooled": pooled}


@dataclasses.dataclass(frozen=True)
class T5(System):
    """PixArt: the tokens of T5, and which of them there are.

    Attributes:
        length: tokens of T5.
    """

    length: Count = 120

    def __call__(
        self, encoders: Sequence[Encoder | None], prompts: Sequence[Sequence[str]]
    ) -> Cond:
        """See System: "text" and "text_mask"."""
        return _t5(self, encoders[0], prompts[0], self.length, masked=True)


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
}


SHARED = ("weights",)


def read(section: Mapping[str, Any]) -> System:
    """The system that a section `text` of a config names.

    Raises:
        ValueError: there is none of that name, or an option cannot work.
    """
    name = section["name"]
    return SYSTEMS[name](**sections.options("config.text.name", SYSTEMS, name, section, SHARED))


def _last(encoder: Encoder, found: Chunks, skip: int) -> jax.Array:
    """Tokens after the final norm, of all chunks one after another."""
    ids = found.ids.reshape(-1, found.ids.shape[-1])
    return _joined(_normed(encoder.part, ids, skip), found)


def _both(
    system: System, encoders: Sequence[Encoder], prompts: Sequence[Sequence[str]], before: int
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Of two encoders the tokens so many layers before the end, and the pooled vectors."""
    read = [
        chunks(encoder.tokenizer, system.read(texts))
        for encoder, texts in zip(encoders, prompts, strict=True)
    ]
    count = max(found.ids.shape[1] for found in read)
    states, pooled = [], []
    for encoder, texts in zip(encoders, prompts, strict=True):
        found = chunks(encoder.tokenizer, system.read(texts), count=count)
        tokens, vectors = _before(encoder.part, found.ids.reshape(-1, found.ids.shape[-1]), before)
        states.append(_joined(tokens, found))
        pooled.append(vectors.reshape(*found.ids.shape[:2], -1)[:, 0])
    return states, pooled


def _t5(
    system: System, encoder: Encoder, prompts: Sequence[str], length: int, masked: bool
) -> Cond:
    found = chunks(encoder.tokenizer, system.read(prompts), count=1, length=length)
    mask = found.mask[:, 0]
    told = {"text": _of_t5(encoder.part, found.ids[:, 0], mask if masked else None)}
    told["text"] = emphasised(told["text"], jnp.asarray(found.weights[:, 0]))
    return told | ({"text_mask": jnp.asarray(mask)} if masked else {})


def _joined(tokens: jax.Array, found: Chunks) -> jax.Array:
    """[batch * chunks, tokens, features] to [batch, chunks * tokens, features], with weights."""
    batch, count, length = found.ids.shape
    weighted = emphasised(tokens, jnp.asarray(found.weights.reshape(-1, length)))
    return weighted.reshape(batch, count * length, -1)


@functools.partial(jax.jit, static_argnames="skip")
def _normed(part: Part, ids: np.ndarray, skip: int) -> jax.Array:
    return part(ids, skip=skip).last


@functools.partial(jax.jit, static_argnames="before")
def _before(part: Part, ids: np.ndarray, before: int) -> tuple[jax.Array, jax.Array]:
    found = part(ids)
    return found.states[-1 - before], found.pooled


@jax.jit
def _pooled(part: Part, ids: np.ndarray) -> jax.Array:
    return part(ids).pooled


@jax.jit
def _of_t5(part: Part, ids: np.ndarray, mask: np.ndarray | None) -> jax.Array:
    return part(ids, mask).last
