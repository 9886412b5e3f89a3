"""What is evaluated: a model, the images that it is held against, and where the work is done."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from score_sde.data import Source
from score_sde.models.functional import Arrays
from score_sde.runs.folder import Run
from score_sde.spaces.dequantization import Lattice
from score_sde.version import __version__


@dataclasses.dataclass(frozen=True)
class Subject:
    """What every metric is given.

    Attributes:
        run: the model, at one checkpoint.
        source: the images.
        number: evaluate the first so many of them.
        mesh: the devices.
        batch_size: examples a batch, over all devices.
        seed: of everything random in evaluation.
        say: tells the user something, on the first process only.
        training: gives the images that the model was trained on, to hold its samples against.
        sampling_seed: of the samples; another one gives an independent set of them.
    """

    run: Run
    source: Source
    number: int
    mesh: Mesh
    batch_size: int
    seed: int
    say: Callable[[str], None]
    training: Callable[[], Source]
    sampling_seed: int = 0

    @property
    def folder(self) -> Path:
        """Where a metric keeps what it needs to go on after it was killed."""
        return self.run.workdir / "evaluation"

    @property
    def lattice(self) -> Lattice:
        """Where the levels of the images lie in the model's range."""
        experiment = self.run.experiment
        return Lattice(experiment.data.levels, experiment.centered, experiment.dequantized)

    def data_protocol(self) -> dict[str, Any]:
        """What determines how the model is held against the images, as JSON values."""
        lattice, sde = self.lattice, self.run.sde
        return {
            "sde": {"name": type(sde).__name__, **dataclasses.asdict(sde)},
            "levels": lattice.levels,
            "range": [-1, 1] if lattice.centered else [0, 1],
            "trained_on_dequantized": lattice.tiled,
            "conditional": self.run.experiment.conditional,
        }

    def protocol(self) -> dict[str, Any]:
        """What determines the numbers of any metric of the images, as JSON values."""
        info = self.source.info
        return {
            "data": {
                "name": info.name,
                "split": info.split,
                "images": self.number,
                "of": info.size,
                "shape": list(info.shape),
                "images_sha256": images_fingerprint(self.source, self.number),
            },
            "seed": self.seed,
            **of_model(self.run),
        }


def of_model(run: Run) -> dict[str, Any]:
    """What determines what a model computes, as JSON values."""
    return {
        "step": run.step,
        "weights": run.weights,
        "weights_sha256": fingerprint(run.params, run.constants),
        "precision": run.config.model.dtype,
        "versions": {"score_sde": __version__, "jax": importlib.metadata.version("jax")},
    }


def images_fingerprint(source: Source, number: int) -> str:
    """SHA-256 of 256 of the first images, evenly spaced: tells folders apart that are as large."""
    rows = np.linspace(0, number - 1, min(256, number)).astype(np.int64)
    return hashlib.sha256(source.gather(rows)["image"].tobytes()).hexdigest()


def fingerprint(*groups: Arrays) -> str:
    """SHA-256 of arrays, their names and shapes."""
    digest = hashlib.sha256()
    for arrays in groups:
        for name, array in sorted(jax.device_get(arrays).items()):
            array = np.ascontiguousarray(array)
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()
