"""Released networks of masked tokens as runs: a folder with a config.json and arrays.

The network is written as a part of the run, one array at a time, as those of pipelines are. What
each token stands for says tokenizer.json, in the folder or in --components=FOLDER; without it,
samples are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from score_sde import fields, files, parts
from score_sde.data import Info, texts
from score_sde.fields import Field
from score_sde.interop import abstract, proposal
from score_sde.interop.components import COMPONENTS, base, folder
from score_sde.interop.components.values import LARGEST
from score_sde.interop.importing import importing
from score_sde.models import NETWORKS, arguments
from score_sde.runs import begun, build, kept

TOKENIZER = "tokenizer.json"
_NETWORK = "token_transformer"

# How networks are drawn from by their authors, by what config.json calls the class: the fields of a
# config, beside those that all of them have.
KINDS: Mapping[str, Mapping[str, Any]] = {
    "LLaDAModelLM": {
        "sampling.sampler": "blocks",
        "sampling.blocks.block": 32,
        "sampling.steps": 1024,
        "sampling.temperature": 0.0,
    },
    "MDLM": {
        "sampling.sampler": "unmasking",
        "sampling.steps": 1000,
        "model.noise_label": "total_noise",
    },
}


class Found(NamedTuple):
    """A folder.

    Attributes:
        path: of it.
        kind: a key of KINDS.
        config: the values of config.json, and how many tokens the tokeniser has.
        names: what each token stands for; () where nothing says it.
    """

    path: Path
    kind: str
    config: Mapping[str, Any]
    names: tuple[str, ...]

    @property
    def options(self) -> dict[str, Any]:
        """Of our network, and what it is given by the data: "shape" and "vocabulary"."""
        return COMPONENTS[self.kind].options(self.config)

    @property
    def field(self) -> Field:
        """The tokens that it models."""
        (length,), vocabulary = self.options["shape"], self.options["vocabulary"]
        return fields.tokens(length, vocabulary, self.names)


def is_one(path: Path) -> bool:
    """Whether a path is the folder of a network of tokens.

    Raises:
        ValueError: its config.json cannot be read.
    """
    return (path / folder.CONFIG).is_file() and _kind(folder.config(path)) in KINDS


def opened(path: Path, components: Path | None = None) -> Found:
    """What a folder holds.

    Args:
        path: of the network.
        components: a folder with its tokeniser, if that is not beside it.

    Raises:
        ValueError: we have no such network, or a file cannot be read.
    """
    config = folder.config(path)
    tokenizer = (path if components is None else components) / TOKENIZER
    if components is not None and not tokenizer.is_file():
        raise ValueError(f"--components={components} has no {TOKENIZER}")
    names = texts.names(tokenizer) if tokenizer.is_file() else ()
    if names:
        config = {**config, base.VOCABULARY: len(names)}
    found = Found(path, _kind(config), config, names)
    if found.field.shape[0] > LARGEST:
        raise ValueError(f"config.json: texts of {found.field.shape[0]:,} tokens are none")
    return found


def propose(path: Path, components: Path | None = None) -> ConfigDict:
    """The config that fits a folder; arguments, and what is raised, are as of `opened`."""
    found = opened(path, components)
    own = arguments.options(NETWORKS[_NETWORK])
    return proposal.config(
        _NETWORK,
        {
            "data.name": "encoded",
            "space.name": "tokens",
            "sde.name": "masked",
            "objective.name": "masked",
            "evaluation.metrics": ("token_bound",),
            **{f"model.{name}": v for name, v in found.options.items() if name in own},
            **KINDS[found.kind],
        },
    )


def import_network(
    config: ConfigDict, path: Path, workdir: Path, components: Path | None = None
) -> int:
    """Make a run of a folder; nothing in it is executed.

    Args:
        config: of the run, as `propose` gives it.
        path: as of `opened`, and components.
        workdir: the run's folder, which must be empty or missing.
        components: see path.

    Returns:
        How many parameters the network has.

    Raises:
        ValueError: see `opened`; or the arrays do not fit the config. Nothing is left then.
        UserError: the folder cannot be written, or is not empty.
    """
    found = opened(path, components)
    experiment = build.experiment(config, Info(config.data.name, "train", 0, (found.field,)))
    model = abstract.module(experiment)
    placing = base.placing(COMPONENTS[found.kind], found.config, folder.arrays(path), model)
    shapes = placing.shapes(kept.kernels(config))
    with importing(workdir):
        with files.writing(workdir):
            (workdir / kept.FOLDER).mkdir()
        file = kept.path(workdir, kept.NETWORK)
        parts.write(file, kept.NETWORK, {}, shapes, placing.each())
        begun.begin(workdir, config, experiment)
    return experiment.parameters


def _kind(config: Mapping[str, Any]) -> str:
    said = config.get("architectures")
    return said[0] if isinstance(said, list) and said and isinstance(said[0], str) else ""
