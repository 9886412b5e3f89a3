"""What a model is asked: a task, its inputs, and what its picture shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from score_sde.cli import conditions
from score_sde.cli.flags import Options
from score_sde.data.base import Info
from score_sde.guidance.task import Task
from score_sde.samplers.sample import Sampler
from score_sde.spaces import Space

DRAWN = "drawn"
HEADS = ("what is known", DRAWN, "as it was")
REAL = "real"
ANEW = ("predicted", DRAWN, "real")


@dataclasses.dataclass(frozen=True)
class Question:
    """A task and what it is asked about.

    Attributes:
        task: the task.
        cond: conditions, on the host, [number, ...] each; those that are asked for.
        field: the name of the field that is modelled.
        known: examples that the task is about, [number, *shape of the field], or None.
            Without `observed`, what is known of them.
        name: of the files with the answer.
        columns: examples a row of the picture; None for as square as possible.
        observed: what is known of these examples, of their shape, or None.
        part: where examples are known of which a part is, bool [1 or number, ...]; else None.
        method: how what is known is used, in a word; empty if nothing is.
        sampler: what draws, if it is not the run's.
        text: what encoders tell the model of, or "".
        encoded: what they tell it, [number, ...] each.
        real: examples that said what the samples are told, as they are shown, or None.
        predicted: examples that are drawn anew, of the shape of `known`, or None; `known` is then
            what they are predictions of, if that is known.
    """

    task: Task
    cond: dict[str, np.ndarray]
    field: str
    known: np.ndarray | None = None
    name: str = "samples"
    columns: int | None = None
    observed: np.ndarray | None = None
    part: np.ndarray | None = None
    method: str = ""
    sampler: Sampler | None = None
    text: str = ""
    encoded: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    real: np.ndarray | None = None
    predicted: np.ndarray | None = None

    def drawn_by(self, sampler: str) -> str:
        """What draws, in words: the run's sampler, of this name, by the method; or the method."""
        return self.method if self.sampler else ", ".join(filter(None, (sampler, self.method)))

    def arrays(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of the file with the answer, from the samples, [number, ...]."""
        arrays = {"samples": samples, **self.cond}
        if self.known is not None:
            arrays |= {self.field: self.known}
        if self.observed is not None:
            arrays |= {"observed": self.observed}
        if self.predicted is not None:
            arrays |= {"predicted": self.predicted}
        return arrays

    @property
    def given(self) -> np.ndarray | None:
        """The examples that the model is asked about, of which the task knows what is known."""
        return within(self.known, self.part) if self.predicted is None else self.predicted

    def fit(self, space: Space, samples: np.ndarray) -> dict[str, np.ndarray]:
        """How well samples go with the part that was known; see Space.fit."""
        return {} if self.part is None else space.fit(samples, self.known, self.part)

    def picture(self, samples: np.ndarray, most: int) -> np.ndarray:
        """What its picture shows: what was given, the sample and the truth; or samples.

        Those stand beside real examples, if there are some.

        Args:
            samples: [number, ...].
            most: at most so many examples, but for a row of them, which is whole.
        """
        if self.heads:
            before = self.observed if self.predicted is None else self.predicted
            rows = [before, samples, self.known][: len(self.heads)]
            samples = np.stack(rows, axis=1).reshape(-1, *samples.shape[1:])
        elif self.real is not None:
            samples = np.stack([samples, self.real], axis=1).reshape(-1, *samples.shape[1:])
        columns = self.columns or 1
        return samples[: max(1, most // columns) * columns]

    def examples(self, shown: np.ndarray) -> int:
        """Of how many examples a picture is, from what it shows."""
        if self.real is not None:
            return len(shown) // 2
        return len(shown) // (len(self.heads) or 1)

    def known_of(self, shown: np.ndarray) -> np.ndarray | None:
        """Which part of each drawn example that a picture shows was known, bool [n, ...], or None.

        Of the others, as what is known alone, no part.

        Args:
            shown: as of `picture`.
        """
        if self.part is None:
            return None
        heads = self.heads or (DRAWN,)
        count = len(shown) // len(heads)
        part = np.broadcast_to(self.part, (len(self.known), *self.part.shape[1:]))[:count, ..., 0]
        is_drawn = np.array([head == DRAWN for head in heads])
        found = part[:, None] & is_drawn.reshape(1, -1, *(1 for _ in part.shape[1:]))
        return found.reshape(len(shown), *part.shape[1:])

    def titles(self, shown: np.ndarray, captions: Sequence[str], sets_off: str = "") -> list[str]:
        """What stands above what a picture shows.

        Args:
            shown: as of `picture`.
            captions: of each example, or none.
            sets_off: how what was known of drawn examples is set off; see Space.SETS_OFF.
        """
        count = self.examples(shown)
        if sets_off and self.part is not None:
            known = f"known part {sets_off}"
            if self.heads:
                return [f"{DRAWN}, {known}" if h == DRAWN else h for h in self.heads] * count
            return [
                ", ".join(filter(None, (text, known))) for text in captions[:count] or [""] * count
            ]
        if self.real is not None:
            asked = captions or count * [""]
            return [title for text in asked[:count] for title in (text, REAL)]
        return [*self.heads] * count if self.heads else [*captions[:count]]

    @property
    def heads(self) -> tuple[str, ...]:
        """What the examples of a row of its picture are; () where they are samples all."""
        if self.predicted is not None and self.columns:
            return ANEW if self.known is not None else ANEW[:2]
        return () if self.observed is None else HEADS

    def captions(self, data: Info) -> list[str]:
        """What was asked for of each example, in words; or none, if nothing was.

        Args:
            data: the fields that conditions are of.
        """
        asked = [conditions.words(data[name], of) for name, of in self.cond.items()]
        if self.encoded:
            asked = [[self.text] * len(next(iter(self.encoded.values()))), *asked]
        return list(map(", ".join, zip(*filter(None, asked), strict=True)))

    def identity(self, options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
        """What determines the answer, beside the model: the flags, and arrays by name."""
        words = {**dataclasses.asdict(options), "conditions": dict(options.conditions)}
        leaves = {f"task {n}": leaf for n, leaf in enumerate(jax.tree.leaves(self.task))}
        examples = {"known": self.known, "predicted": self.predicted, "real": self.real}
        beside = {name: array for name, array in examples.items() if array is not None}
        return words, {**leaves, **self.cond, **beside}


def within(examples: np.ndarray | None, part: np.ndarray | None) -> np.ndarray | None:
    """Examples with zeros where they are not known, if another part of each is; see Scaffold."""
    return examples if part is None or len(part) == 1 else np.where(part, examples, 0)
