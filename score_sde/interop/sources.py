"""Where the components of a released pipeline come from: folders, and files beside them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Protocol

from score_sde import records
from score_sde.interop.components import folder, motion, stable_audio
from score_sde.interop.components.stable_audio import PROJECTION
from score_sde.interop.released import Arrays

INDEX = "model_index.json"
UNET, TRANSFORMER = "unet", "transformer"
SCHEDULER = "scheduler_config.json"

Values = dict[str, Any]


class Source(Protocol):
    """What gives the components of a pipeline by the names of their folders; None of what is not.

    Each raises ValueError if what is there cannot be read.
    """

    def index(self) -> Values | None:
        """What a model_index.json says: the class of the pipeline, and of each component."""

    def config(self, name: str) -> Values | None:
        """What the config.json of a component says."""

    def arrays(self, name: str) -> Arrays | None:
        """The arrays of a component."""

    def tokenizer(self, name: str) -> Path | None:
        """The folder of a tokeniser."""

    def scheduler(self, name: str = "scheduler") -> Values | None:
        """What the scheduler_config.json of a component says."""


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder of components; see Source.

    Attributes:
        path: the folder.
    """

    path: Path

    def index(self) -> Values | None:
        """See Source."""
        return _read(self.path / INDEX)

    def config(self, name: str) -> Values | None:
        """See Source."""
        has = (self.path / name / folder.CONFIG).exists()
        return folder.config(self.path / name) if has else None

    def arrays(self, name: str) -> Arrays | None:
        """See Source."""
        return folder.arrays(self.path / name) if (self.path / name).is_dir() else None

    def tokenizer(self, name: str) -> Path | None:
        """See Source."""
        return self.path / name if (self.path / name).is_dir() else None

    def scheduler(self, name: str = "scheduler") -> Values | None:
        """See Source."""
        return _read(self.path / name / SCHEDULER)


@dataclasses.dataclass(frozen=True)
class Together:
    """The arrays of a file, and a folder that says what they are, or has what the file lacks.

    Attributes:
        file: the file.
        folder: the folder.
    """

    file: Source
    folder: Source

    def index(self) -> Values | None:
        """See Source: the folder's, if it has one."""
        return self.folder.index() or self.file.index()

    def config(self, name: str) -> Values | None:
        """See Source: the folder's, if it has one."""
        return self.folder.config(name) or self.file.config(name)

    def arrays(self, name: str) -> Arrays | None:
        """See Source: the file's, if it has them."""
        found = self.file.arrays(name)
        return self.folder.arrays(name) if found is None else found

    def tokenizer(self, name: str) -> Path | None:
        """See Source."""
        return self.folder.tokenizer(name)

    def scheduler(self, name: str = "scheduler") -> Values | None:
        """See Source: the folder's, if it has one."""
        return self.folder.scheduler(name) or self.file.scheduler(name)


@dataclasses.dataclass(frozen=True)
class Moving:
    """A pipeline of images whose U-Net is one of videos, by a motion adapter; see Source.

    Attributes:
        images: the pipeline.
        adapter: the folder of the adapter.
    """

    images: Source
    adapter: Path

    def index(self) -> Values | None:
        """See Source."""
        return self.images.index()

    def config(self, name: str) -> Values | None:
        """See Source: of the U-Net that of both."""
        found = self.images.config(name)
        if name != UNET or found is None:
            return found
        return motion.joined(found, folder.config(self.adapter))

    def arrays(self, name: str) -> Arrays | None:
        """See Source: of the U-Net those of both."""
        found = self.images.arrays(name)
        if name != UNET or found is None:
            return found
        own = folder.arrays(self.adapter)
        if both := found.keys() & own.keys():
            raise ValueError(f"--motion={self.adapter} has {min(both)}, which the U-Net has too")
        return {**found, **own}

    def tokenizer(self, name: str) -> Path | None:
        """See Source."""
        return self.images.tokenizer(name)

    def scheduler(self, name: str = "scheduler") -> Values | None:
        """See Source: that with which adapters are used."""
        found = self.images.scheduler(name)
        return None if found is None else motion.scheduler(found)


@dataclasses.dataclass(frozen=True)
class Projected:
    """A pipeline with a folder of what its transformer is told by, as one of both; see Source.

    Attributes:
        source: the pipeline.
    """

    source: Source

    def index(self) -> Values | None:
        """See Source."""
        return self.source.index()

    def config(self, name: str) -> Values | None:
        """See Source: of the transformer that of both."""
        found, own = self.source.config(name), self.source.config(PROJECTION)
        if name != TRANSFORMER or found is None or own is None:
            return found
        return stable_audio.joined(found, own)

    def arrays(self, name: str) -> Arrays | None:
        """See Source: of the transformer those of both, the second named after their folder."""
        found, own = self.source.arrays(name), None
        if name == TRANSFORMER:
            own = self.source.arrays(PROJECTION)
        if found is None or own is None:
            return found
        return {**found, **{f"{PROJECTION}.{key}": array for key, array in own.items()}}

    def tokenizer(self, name: str) -> Path | None:
        """See Source."""
        return self.source.tokenizer(name)

    def scheduler(self, name: str = "scheduler") -> Values | None:
        """See Source."""
        return self.source.scheduler(name)


def _read(path: Path) -> Values | None:
    try:
        return records.read(path)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error
