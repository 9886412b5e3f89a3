"""Files of what was drawn: the examples, all that determined them, and a picture.

NAME.npz    "samples"; what the model was told; and "about", JSON text that says what they are
NAME.png    a picture of them, with the same text in its tEXt chunk "score_sde"
NAME.gif    one in which they move, where their space has such (Space.MOVES)
NAME_wav/   a file of each, numbered, with what was asked in its name, where their space has files
            that other programs open (Space.ending)
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import files, images, records
from score_sde.errors import UserError, first_line
from score_sde.fields import ABOUT
from score_sde.formats import npz
from score_sde.models.functional import Arrays, fingerprint
from score_sde.runs import identity
from score_sde.runs.opened import Opened
from score_sde.samplers.sample import Sampler
from score_sde.spaces import Space, pictures

_ADVICE = "Give another --out"
_NUMBERED = "sample_"  # what the name of the file of a sample begins with
_NAME = re.compile(rf"{_NUMBERED}\d{{3,}}[_.]", re.ASCII)
_LONGEST = 40  # letters of what was asked, in a name
_RESULT = ("nfe", "shown")  # what is known only once they are drawn
# Values of a record that a user has another word for.
_CALLED = {
    "of": "number of samples",
    "run": "the run",
    "step": "the run's step",
    "asked.task": "--task",
    "asked.predictions": "--from",
    "sampling_seed": "config.sampling.seed",
    "sampler.name": "the sampler",
}
_OTHERS = {  # values that are digests
    "asked.sha256": "the model is told other things, or is asked about other examples",
    "weights_sha256": "the run has other weights",
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Where what is drawn goes.

    Attributes:
        arrays: the .npz file.
        picture: the PNG file.
        files: the folder with a file of each; None where there are none.
        moving: the GIF file beside the picture; None where there is none.
    """

    arrays: Path
    picture: Path
    files: Path | None = None
    moving: Path | None = None

    @classmethod
    def of(cls, out: Path | None, workdir: Path, name: str, space: Space) -> Target:
        """The files that a user names.

        Args:
            out: a file, whose suffix makes no difference, or a folder that exists; None for the
                run's folder.
            workdir: the run's folder.
            name: of the files in a folder.
            space: of the examples.
        """
        stem = out or workdir
        if out is None or out.is_dir():
            stem = stem / name
        elif out.suffix in (".npz", ".png"):
            stem = out.with_suffix("")
        ends = (".npz", ".png", space.ending and f"_{space.ending}", ".gif" * space.MOVES)
        return cls(*(stem.with_name(stem.name + end) if end else None for end in ends))

    @property
    def _alone(self) -> tuple[Path, ...]:
        """The files that are no folder."""
        return tuple(filter(None, (self.arrays, self.picture, self.moving)))

    def holds(self, about: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the files say of themselves, if they hold what is about to be drawn.

        Args:
            about: what that is, as of `samples`.

        Returns:
            None if there is nothing to keep: no files, or some are missing.

        Raises:
            UserError: they hold something else, or what they held is damaged.
        """
        there = [path for path in self._alone if os.path.lexists(path)]
        if not there and self.files and self._of_samples():
            raise UserError(
                f"{self.files} holds files of other samples: --out=FILE puts these elsewhere, "
                "--overwrite in their place"
            )
        if not there:
            return None
        held, what = self._about(), "what does not say what it is"
        if held is not None:
            known = json.loads(json.dumps({**about, **{n: held.get(n) for n in _RESULT}}))
            if held == known and not (
                len(there) == len(self._alone) and self._is_done() and self._has_files(held)
            ):
                return None
            if held == known:
                self._check_picture()
                return held
            what = f"other samples ({_difference(held, known)})"
        raise UserError(
            f"{there[0]} holds {what}: --out=FILE puts these elsewhere, --overwrite in its place"
        )

    def _is_done(self) -> bool:
        """Whether the picture says what it is, which is written last, or is damaged."""
        try:
            return bool(images.about(self.picture))
        except images.ImageError:
            return True

    def _has_files(self, about: Mapping[str, Any]) -> bool:
        """Whether there is a file of each sample, if there are to be any."""
        return self.files is None or len(self._of_samples()) == about["of"]

    def _of_samples(self) -> list[Path]:
        """The files in the folder that are named as those of samples."""
        ending = self.files.name.rpartition("_")[2]
        found = self.files.glob(f"{_NUMBERED}*.{ending}")
        return [path for path in found if _NAME.match(path.name)]

    def _check_picture(self) -> None:
        try:
            images.read(self.picture)
        except images.ImageError as error:
            raise UserError(f"{error}: --overwrite draws it again") from error

    def check(self) -> None:
        """Raise UserError if the files cannot be written: before they are drawn."""
        for path in self._alone:
            files.check_writable(path, _ADVICE)
        if self.files and os.path.lexists(self.files) and not self.files.is_dir():
            raise UserError(f"cannot write {self.files}: it is no folder. {_ADVICE}")
        if self.files and self.files.is_dir():
            files.check_writable(self.files / _NUMBERED, _ADVICE)

    def _about(self) -> dict[str, Any] | None:
        if not self.arrays.is_file():
            return None
        try:
            with npz.opened(self.arrays, "a file of samples") as arrays:
                return records.parse(str(dict(arrays)[ABOUT]))  # all of them are read, and checked
        except (UserError, KeyError):
            return None

    def write(
        self,
        space: Space,
        arrays: Mapping[str, np.ndarray],
        shown: np.ndarray,
        columns: int | None,
        about: Mapping[str, Any],
        captions: Sequence[str] = (),
        titles: Sequence[str] = (),
        known: np.ndarray | None = None,
    ) -> None:
        """Write all files, or raise UserError.

        Args:
            space: of the examples.
            arrays: by name, with "samples".
            shown: what the picture shows.
            columns: examples a row of it; None for as square as possible.
            about: what they are; and, of the picture, how many of how many it shows.
            captions: what was asked for of each sample, in words; or none.
            titles: what stands above what the picture shows; or none.
            known: which part of each was known, for spaces that set it off (Space.SETS_OFF).
        """
        text = np.array(json.dumps(about))
        with files.writing(self.arrays.parent, _ADVICE):
            # What there was of others is no part of these, should this be killed.
            for path in (*self._alone[1:], *(self._of_samples() if self.files else ())):
                path.unlink(missing_ok=True)
            files.write_npz(self.arrays, {**arrays, ABOUT: text})
            picture(space, self.picture, shown, about, columns, titles, known)
            if self.files:
                self._save(space, _names(about["of"], captions), arrays["samples"])

    def _save(self, space: Space, names: Sequence[str], samples: np.ndarray) -> None:
        """A file of each; UserError if their format cannot hold one, as of atoms too far away."""
        try:
            space.save(self.files, names, samples)
        except ValueError as error:
            raise UserError(
                f"not all are in {self.files} ({first_line(error)}), as they are in {self.arrays}: "
                "the model diverged, or the sampler did; give it more steps"
            ) from error


def _names(number: int, captions: Sequence[str]) -> list[str]:
    """Of the files of so many samples: numbered, and what was asked for."""
    digits = max(3, len(str(number - 1)))
    asked = [re.sub(r"[^\w#+.-]+", "_", text)[:_LONGEST].strip("_.") for text in captions]
    return [
        f"{_NUMBERED}{n:0{digits}d}" + (f"_{words}" if words else "")
        for n, words in enumerate(asked or number * [""])
    ]


def _difference(held: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """The first value in which two records differ, of sections within them too; they do.

    What a user chose comes before what follows from it, and a digest, which says nothing, last.
    """
    # Nothing is said as "" by one version, and not at all by another.
    was, now = ({n: v for n, v in _flat(one).items() if v != ""} for one in (held, known))
    order = [*_CALLED, *sorted({*was, *now} - _CALLED.keys() - _OTHERS.keys()), *_OTHERS]
    path = next((path for path in order if was.get(path) != now.get(path)), "")
    if not path:  # only empty sections, or values that are None or ""
        return "another version drew them"
    if path in _OTHERS:
        return _OTHERS[path]
    words = ("nothing" if one.get(path) is None else f"{one[path]!s:.80}" for one in (was, now))
    return "{}: {} there, {} asked for".format(_called(path), *words)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every value of a record, by its path with dots."""
    found = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        found |= _flat(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return found


def _called(path: str) -> str:
    """What a user calls a value of a record: the flag of what is asked, the option of a sampler."""
    section, _, name = path.partition(".")
    if path in _CALLED:
        return _CALLED[path]
    if section == "asked":
        kind, _, rest = name.partition(".")
        return f"--condition={rest}" if kind == "conditions" else f"--{name}"
    return f"the sampler's {name}" if section == "sampler" else path


def picture(
    space: Space,
    path: Path,
    examples: np.ndarray,
    about: Mapping[str, Any],
    columns: int | None = None,
    captions: Sequence[str] = (),
    known: np.ndarray | None = None,
) -> None:
    """Write a picture that says of itself what it is.

    Args:
        space: of the examples.
        path: of the PNG file; its folder is made.
        examples: on the host, [n, *shape of the field].
        about: what they are, JSON values; see report.facts.of_picture.
        columns: as of Space.show.
        captions: likewise.
        known: which part of each was known, for spaces that set it off (Space.SETS_OFF).
    """
    more = {"known": known} if space.SETS_OFF and known is not None else {}
    space.show(path, examples, columns, captions, **more)
    pictures.annotate(path, json.dumps(about))


def samples(
    run: Opened,
    sampler: Sampler,
    guidance: Mapping[str, Any],
    sampling_seed: int,
    batch_size: int,
    number: int,
    asked: Mapping[str, Any],
    arrays: Arrays,
) -> dict[str, Any]:
    """What determines what is drawn, as JSON values.

    Args:
        run: the run.
        sampler: what draws.
        guidance: what determines how it is guided; see guide.Guided.
        sampling_seed: of this set of samples.
        batch_size: at a time.
        number: how many.
        asked: of the model, in words.
        arrays: of what is asked, by name.
    """
    return {
        "run": run.workdir.resolve().name,
        **identity.identity(run),
        **identity.sampler(sampler, run.experiment.seed, sampling_seed, guidance),
        **({"batch_size": batch_size} if sampler.coupling else {}),
        **run.space.decoding,
        "of": number,
        "asked": {**asked, "sha256": fingerprint(arrays)},
    }
