"""Scores of several voices: tokens that are pitches, shown as notes and saved as MIDI files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys
from score_sde.files import replacing
from score_sde.formats import midi
from score_sde.spaces.tokens import Tokens
from score_sde.values import between

_TICK = 8  # steps between two lines of a picture


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Score(Tokens):
    """Tokens step by step, in each step a voice after another: 0 is a rest, n a pitch.

    Attributes:
        voices: how many there are.
        lowest: the pitch of token 1, as MIDI counts: C4 is 60.
        transpose: in training, semitones by which an example is moved up or down at the most,
            where its pitches stay those of the vocabulary.
    """

    MOST = 16
    FEW = 8

    voices: Annotated[int, between(1, midi.MOST_VOICES)] = 4
    lowest: Annotated[int, between(0, 127)] = 36
    transpose: Annotated[int, between(0, 24)] = 0

    def __post_init__(self) -> None:
        if self.shape[0] % self.voices or self.lowest + self.vocabulary - 2 > 127:
            raise ValueError(
                f"config.space.score: {self.shape[0]} tokens are no steps of {self.voices} voices, "
                f"or pitches from {self.lowest} on are above 127"
            )

    def augment(self, key: jax.Array, examples: jax.Array) -> jax.Array:
        """Moved by as many semitones as the key says, if all of an example can be."""
        if not self.transpose:
            return examples
        u = keys.uniform(key, (len(examples), 1), jnp.float32)
        by = jnp.floor(u * (2 * self.transpose + 1)).astype(examples.dtype) - self.transpose
        moved = jnp.where(examples > 0, examples + by, examples)
        stays = (examples == 0) | ((moved > 0) & (moved < self.vocabulary))
        return jnp.where(stays.all(axis=1, keepdims=True), moved, examples)

    def pitches(self, examples: np.ndarray) -> np.ndarray:
        """Of each voice and step, [n, voices, steps]: as MIDI counts, -1 where nothing sounds.

        Args:
            examples: tokens, [n, *shape].
        """
        steps = np.asarray(examples, np.int64).reshape(len(examples), -1, self.voices)
        return np.where(steps > 0, steps - 1 + self.lowest, -1).transpose(0, 2, 1)

    @property
    def ending(self) -> str:
        """Of files; see Space."""
        return "mid"

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .mid."""
        for name, voices in zip(names, self.pitches(examples), strict=True):
            with replacing(folder / f"{name}.mid") as file:
                file.write(midi.file(voices))

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """Each as a piano roll, a colour a voice, all with the same pitches upwards.

        A step is an eighth, as in files.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch

        columns = columns or max(1, math.isqrt(len(examples)))
        rows = max(1, -(-len(examples) // columns))
        pitches = self.pitches(examples)
        there = pitches[pitches >= 0]
        low, high = (there.min() - 2, there.max() + 2) if len(there) else (59, 73)
        octaves = range(-(-low // 12) * 12, high, 12)
        figure = Figure(figsize=(4 * columns, 2.2 * rows + 0.3), layout="constrained")
        FigureCanvasAgg(figure)
        for number, voices in enumerate(pitches):
            axes = figure.add_subplot(rows, columns, number + 1)
            for voice, line in enumerate(voices):
                for pitch, start, length in midi.notes(line):
                    axes.barh(pitch, length - 0.15, 1.0, start, align="center", color=f"C{voice}")
            axes.set(xlim=(0, voices.shape[1]), ylim=(low, high))
            axes.set_xticks(range(0, voices.shape[1] + 1, _TICK))
            axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
            if number + columns >= len(pitches):  # nothing stands below
                axes.set_xlabel("time in eighths", size=7)
            if captions:
                axes.set_title(captions[number], size=8, parse_math=False)
            axes.tick_params(labelsize=7)
            axes.grid(alpha=0.3)
        swatches = [Patch(color=f"C{voice}") for voice in range(self.voices)]
        names = [f"voice {voice + 1}" for voice in range(self.voices)]
        figure.legend(
            swatches,
            names,
            loc="outside lower center",
            ncols=self.voices,
            fontsize=7,
            frameon=False,
        )
        with replacing(path) as file:
            figure.savefig(file, format="png", dpi=80, metadata={"Software": None})
