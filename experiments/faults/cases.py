"""Configs with values that nobody means, drawn by Hypothesis.

A case is some fields of a recipe with values of other types, out of range, huge, or of the right
kind. It is given on the command line, by a script, or in a run's config.json.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from score_sde import values
from score_sde.runs import config as configs
from score_sde.runs import recipes
from score_sde.sections import Entry

TYPED, SET, STORED = "typed", "set", "file"

# Recipes as small as they go, of data that are there without a download, by their networks.
OF_IMAGES = {
    "unet": (
        *("configs/digits_vp.py", "model.channels=8", "model.channel_mult=(1,)"),
        *("model.num_res_blocks=1", "model.attn_resolutions=()"),
    ),
    "mlp": ("configs/toy_moons.py", "model.channels=16", "model.depth=1"),
    "dit": ("configs/digits_dit.py", "model.channels=8", "model.depth=1", "model.heads=1"),
    "wide_resnet": (
        *("configs/digits_classifier.py", "model.depth=10", "model.width=1"),
        "model.noise_channels=4",
    ),
    "ncsn": (
        *("configs/paper.py:ve/ncsn/cifar10", "model.channels=8", "data.image_size=8"),
        "data.name=digits",
    ),
}
BEYOND = {
    "token_transformer": (
        *("configs/words_masked.py", "data.name=made_words"),
        *("model.channels=8", "model.depth=1", "model.heads=1"),
    ),
    "set_transformer": (
        *("configs/furniture_points.py", "data.name=made_sets"),
        *("model.channels=8", "model.depth=1", "model.heads=1"),
    ),
    "egnn": (*("configs/qm9.py", "data.name=made_molecules", "model.channels=8", "model.depth=1"),),
    "video_dit": (
        *("configs/digits_video.py:dit", "model.channels=8", "model.depth=1", "model.heads=1"),
    ),
    "video_unet": (
        *("configs/digits_video.py", "model.channels=8", "model.channel_mult=(1,)"),
        *("model.num_res_blocks=1", "model.attn_resolutions=()", "model.time_heads=1"),
    ),
    "dit of spectra": (
        *("configs/notes_text.py", "data.name=made_sounds", "space.log_mel.bands=8"),
        *("space.log_mel.frame=512", "model.channels=8", "model.depth=1", "model.heads=1"),
        *("conditions.text.features=8", "conditions.text.rows=64"),
    ),
    "sound_autoencoder": (
        *("configs/notes_autoencoder.py", "data.name=made_sounds", "model.widths=(4,4,4)"),
        *("model.factors=(4,5)", "model.latent_channels=2"),
    ),
}
RECIPES = OF_IMAGES | BEYOND
FLAGS = ("num_samples", "step", "label", "scale", "weights", "mask", "condition", "task", "mode")

_TEXTS = (
    *("None", "nan", "inf", "-inf", "1e400", "-1", "0", "1", "7", "-0.0", "1.5", "1e-300", "1e300"),
    *("2147483647", "2147483648", "4294967296", "9" * 20, "9" * 5000, "1_000", "0x10", "True", ""),
    *("()", "(3,)", "(0,)", "(-1,)", "(1.5,)", "('a',)", "(None,)", "(1,(2,))", "(nan,)", "[1]"),
    *("{}", "{'a':1}", "(" * 300, "(1," * 50, "('a','a')", "(2147483648,)", "'x'", '"', "\\", "%s"),
    *("x" * 300, "y" * 5000, "é", "\ud800", "..", "/", "~", "a b", "a\nb", "import os"),
    *("lambda: 0", "16", "64", "0.5", "0.999", "1000000", "100000000", "(1,2)", "(8,)", "(1,)"),
    "('label',)",
)
_OBJECTS = (
    *(None, float("nan"), float("inf"), -1, 0, 3, 2.5, True, 10**30, 10**400, "", "x" * 300, b"x"),
    *((), (3,), ("a",), (None,), ((1,),), [], [1, "a"], {}, {"a": 1}, {1: 2}, np.zeros(3)),
    *(np.float32(0.5), np.float64("nan"), np.int64(3), np.bool_(True), "a\0b", 1j, 1e-300, 1e300),
)
_JSON = tuple(one for one in _OBJECTS if type(one) in (type(None), float, int, bool, str, list))
_JSON += ({}, {"a": 1}, {"a": {"b": {}}}, [[1]], [None])


@dataclasses.dataclass(frozen=True)
class Case:
    """Fields of a recipe, and how they are given.

    Attributes:
        recipe: key of RECIPES.
        how: TYPED on the command line, SET by a script or STORED in a config.json.
        fields: dotted paths and values.
        flags: more arguments of the command line, of what is typed.
    """

    recipe: str
    how: str
    fields: tuple[tuple[str, Any], ...]
    flags: tuple[str, ...] = ()

    def named_in(self, line: str) -> bool:
        """Whether a line names one of its fields or flags, or another field that it can change."""
        names = [path.rsplit(".", 1)[-1] for path, _ in self.fields]
        names += [flag.partition("=")[0].removeprefix("--") for flag in self.flags]
        fields = {match.rstrip(".") for match in re.findall(r"config\.([\w.]+)", line)}
        return any(name in line for name in names) or any(map(_is_field, fields))


@functools.cache
def _entries(recipe: str) -> dict[str, Entry]:
    return configs.entries(recipes.get(RECIPES[recipe][0]).model.name)


def _is_field(path: str) -> bool:
    return any(path in _entries(recipe) for recipe in RECIPES)


_NUMBERS = st.one_of(st.integers(), st.integers(0, 64), st.floats(), st.floats(0, 1))
_VALUES = {
    TYPED: st.one_of(st.sampled_from(_TEXTS), _NUMBERS.map(repr), st.text(max_size=20)),
    SET: st.one_of(st.sampled_from(_OBJECTS), _NUMBERS, st.tuples(_NUMBERS), st.text(max_size=20)),
    STORED: st.one_of(st.sampled_from(_JSON), _NUMBERS, st.lists(_NUMBERS, max_size=3)),
}


def _right(recipe: str, path: str, how: str) -> st.SearchStrategy[Any]:
    """Values that a field may well have: those that it names, and its own."""
    entry = _entries(recipe)[path]
    names = [
        name
        for one in getattr(entry.annotation, "__metadata__", ())
        if isinstance(one, values.OneOf)
        for name in one.names
    ]
    value = st.sampled_from([*names, entry.default])
    return value.map(_typed) if how == TYPED else value


def _typed(value: Any) -> str:
    return str(value).replace(" ", "")


@st.composite
def cases(
    draw: Callable[[st.SearchStrategy[Any]], Any], of: Sequence[str] = tuple(RECIPES)
) -> Case:
    """Any case.

    Args:
        draw: is given by Hypothesis.
        of: keys of RECIPES.
    """
    recipe = draw(st.sampled_from(of))
    how = draw(st.sampled_from((TYPED, TYPED, SET, STORED)))
    paths = draw(st.lists(st.sampled_from(sorted(_entries(recipe))), min_size=1, max_size=3))
    fields = tuple(
        (path, draw(st.one_of(_right(recipe, path, how), _VALUES[how]))) for path in paths
    )
    flags = ()
    if how == TYPED and draw(st.integers(0, 6)) == 6:
        several = st.lists(st.sampled_from(FLAGS), min_size=2, max_size=2)
        flags = tuple(f"--{flag}={draw(_VALUES[TYPED])}" for flag in draw(several))
    return Case(recipe, how, fields, flags)
