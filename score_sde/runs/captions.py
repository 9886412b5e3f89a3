"""Texts of the data that a network is told as prompts are, by the frozen encoders of a run.

A network that was imported looks at what such encoders make of a prompt (score_sde.prompting). To
train it further, or low-rank factors beside it, a field of the data is told in the same way: texts
become tokens where examples are read, and vectors in the compiled step. Brackets in them are signs
like others, and each text is one chunk of tokens; what is beyond is cut off.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.data import Source
from score_sde.data.base import Examples
from score_sde.errors import UserError, first_line
from score_sde.fields import decode_texts
from score_sde.parts import Part
from score_sde.prompting import Cond, System, Tokens
from score_sde.runs import kept, schedulers, telling
from score_sde.runs.experiment import Experiment
from score_sde.text import Tokenizer
from score_sde.text.prompts import Chunks, plain

_TOKENS = "tokens"  # begins the names of what is read beside the fields


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Captions:
    """What tells a network of the texts of a batch; a pytree.

    Attributes:
        system: how it is told of prompts.
        sizes: what it is told of the sizes of a picture; () if it is told none.
        guidance: the scale of guidance that it is told, [1]; {} if it is told none.
        parts: the encoders; None for one that is missing.
        empty: the tokens of "", [1, ...].
    """

    system: System = dataclasses.field(metadata={"static": True})
    sizes: tuple[float, ...] = dataclasses.field(metadata={"static": True})
    guidance: Cond
    parts: tuple[Part | None, ...]
    empty: Tokens

    def __call__(self, batch: Mapping[str, jax.Array], key: jax.Array | None) -> Cond:
        """What the network is told.

        Args:
            batch: as `Captioned` gathers it.
            key: of dropout; None for none.
        """
        tokens = tuple(
            None if one is None else Chunks(*(batch[name] for name in _names(i)))
            for i, one in enumerate(self.empty)
        )
        count = next(len(one.ids) for one in tokens if one is not None)
        dropped = jnp.zeros(count, bool)
        if key is not None:
            dropped = jax.random.bernoulli(key, self.system.dropout, (count,))
        told = self.system.told(self.parts, _where(dropped, self.empty, tokens))
        if getattr(self.system, "empty_is_zero", False):
            told = _where(dropped, jax.tree.map(jnp.zeros_like, told), told)
        sizes = {"sizes": jnp.tile(jnp.asarray(self.sizes, jnp.float32), (count, 1))}
        scale = {name: jnp.tile(value, count) for name, value in self.guidance.items()}
        return told | scale | (sizes if self.sizes else {})


class Captioned(Source):
    """Examples with the tokens of their texts.

    Args:
        source: the examples.
        system: how texts are told.
        tokenizers: of its encoders.
    """

    def __init__(self, source: Source, system: System, tokenizers: Sequence[Tokenizer | None]):
        about = {"note": source.note, "license": source.license}
        super().__init__(source.info, source.gather, cache_bytes=0, **about)
        self._system, self._tokenizers = system, tokenizers

    def gather(self, indices: np.ndarray) -> Examples:
        """See Source."""
        found = super().gather(indices)
        texts = decode_texts(found[self._system.field])
        return found | _named(_tokens(self._system, self._tokenizers, texts))


def opened(experiment: Experiment, run: Path | None) -> tuple[Captions, list[Tokenizer | None]]:
    """What tells the network of an experiment of its texts, and the tokenisers of that.

    Args:
        experiment: whose config.text.field names them.
        run: the folder of a run whose network is told by the same encoders, which it has.

    Raises:
        UserError: they cannot be read, or the network is told more than they and sizes.
    """
    text = experiment.text
    if run is None:
        raise UserError(
            f"config.text.field={text.field} is told by the encoders of a run that was imported: "
            "give its folder as --init_from=RUN"
        )
    found = kept.encoders(run, text, experiment.config)
    parts, tokenizers = (
        [None if one is None else getattr(one, name) for one in found]
        for name in ("part", "tokenizer")
    )
    empty = _tokens(text, tokenizers, [""])
    sizes = telling.usual_sizes(experiment)
    scale = telling.guidance_of(experiment, experiment.config.guidance.scale, 1)
    captions = Captions(text, sizes, scale, tuple(parts), empty)
    check(experiment, jax.eval_shape(lambda batch: captions(batch, None), _named(empty)))
    return captions, tokenizers


def check(experiment: Experiment, told: Mapping[str, jax.ShapeDtypeStruct]) -> None:
    """Raise UserError unless a network is told what it needs; nothing is computed.

    Args:
        experiment: whose network it is.
        told: what encoders make of a text, [1, ...] each; none if there are no encoders.
    """
    x = jax.ShapeDtypeStruct((1, *experiment.space.shape), jnp.float32)
    label = jax.ShapeDtypeStruct((1,), jnp.float32)
    beside = [experiment.data[name] for name in experiment.config.conditions.fields]
    cond = {f.name: jax.ShapeDtypeStruct((1, *f.shape), f.dtype) for f in beside} | {**told}
    network = experiment.network
    try:
        jax.eval_shape(network.apply, *network.shapes, x, label, cond)
    except ValueError as error:
        field = experiment.text.field
        said = f"config.text.field={field}: {first_line(error)}"
        if not field:
            said = (
                f"config.text.field is empty: {first_line(error)}. Name a field of texts, and give "
                "--init_from=RUN, whose encoders tell of them"
            )
        raise UserError(said) from error


def keep(workdir: Path, run: Path, text: System) -> None:
    """Copy what tells a run of prompts, and what draws pictures of them, into another's folder.

    Args:
        workdir: the new run's folder.
        run: the folder that has it.
        text: how the run is told.

    Raises:
        OSError: it cannot be written.
    """
    folder = workdir / kept.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    files = [kept.path(run, name).name for name in kept.numbered("text_encoder", text.ENCODERS)]
    for name in (*files, schedulers.FILE):
        if (run / kept.FOLDER / name).exists():
            shutil.copyfile(run / kept.FOLDER / name, folder / name)
    for name in kept.numbered("tokenizer", text.ENCODERS):
        if (run / kept.FOLDER / name).exists():
            shutil.copytree(run / kept.FOLDER / name, folder / name, dirs_exist_ok=True)


def _tokens(system: System, tokenizers: Sequence[Tokenizer | None], texts: Sequence[str]) -> Tokens:
    """Of the same texts for each encoder."""
    prompts = [plain(text) for text in texts]
    return system.tokens(tokenizers, [prompts] * system.ENCODERS, count=1)


def _names(number: int) -> list[str]:
    return [f"{_TOKENS}_{number}_{name}" for name in Chunks._fields]


def _named(tokens: Tokens) -> Examples:
    """Tokens as arrays of a batch."""
    there = [(i, one) for i, one in enumerate(tokens) if one is not None]
    return {name: array for i, one in there for name, array in zip(_names(i), one, strict=True)}


def _where(which: jax.Array, yes: Any, no: Any) -> Any:
    """The examples of one where `which`, [batch], is true, else of the other."""

    def chosen(yes: jax.Array, no: jax.Array) -> jax.Array:
        return jnp.where(which.reshape(-1, *[1] * (no.ndim - 1)), yes, no)

    return jax.tree.map(chosen, yes, no)
