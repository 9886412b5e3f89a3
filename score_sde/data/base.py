"""What every data set is here: a frozen description and random access to decoded examples."""

import dataclasses
import difflib
import hashlib
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.values import check

# Sets that are at most this large when decoded (CIFAR-10 is 0.15 GB, CelebA at 64x64 is 2.0 GB) are
# kept in memory once decoded.
CACHE_BYTES = 2 * 2**30
MOST_CLASSES = 2**20  # a table of their embeddings still fits; more are numbers of something else

Examples = dict[str, np.ndarray]
Read = Callable[[np.ndarray], Examples]


class DataError(UserError):
    """Data that cannot be found or used; the one-line message says what to do about it."""


class UnknownSetError(DataError):
    """No data set has this name here."""


class SplitError(DataError):
    """The data set has no such split."""


def digest(parts: Iterable[str | bytes]) -> str:
    """SHA-256 of a list of parts, hex digits; where one ends and the next begins counts too."""
    found = hashlib.sha256()
    for part in parts:
        part = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        found.update(b"%d:" % len(part))
        found.update(part)
    return found.hexdigest()


@dataclasses.dataclass(frozen=True)
class Info:
    """What is known of a data set before any example is read.

    Attributes:
      name: the name that it was loaded by.
      split: the part of it, such as "train".
      size: number of examples.
      fields: what every example has.
      fingerprint: hex digits by which other examples are told from these, see `digest`; "" where
        it is not known.
    """

    name: str
    split: str
    size: int
    fields: tuple[Field, ...]
    fingerprint: str = ""

    def __getitem__(self, name: str) -> Field:
        """The field of this name.

        Raises:
          DataError: there is none.
        """
        names = [field.name for field in self.fields]
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(f"{self.name} has no field {name!r}: {hint}it has {', '.join(names)}")
        return self.fields[names.index(name)]

    def __contains__(self, name: str) -> bool:
        return any(field.name == name for field in self.fields)

    def of_kinds(self, kinds: tuple[str, ...], name: str = "") -> Field:
        """The field that is of one of these kinds.

        Args:
          kinds: see fields.KINDS.
          name: the field's; if empty, the only such field, or the one that is named by its kind.

        Raises:
          DataError: there is none, or several, or the named one is of another kind.
        """
        found = [field for field in self.fields if field.kind in kinds]
        found = [field for field in found if field.name == field.kind] or found
        if name:
            if (field := self[name]).kind not in kinds:
                raise DataError(
                    f"the field {name!r} of {self.name} is of kind {field.kind}, not "
                    f"{' or '.join(kinds)}"
                )
            return field
        if len(found) != 1:
            some = ", ".join(f"{field.name} ({field.kind})" for field in self.fields)
            count = "several fields" if found else "no field"
            hint = ": name one" if found else ""
            raise DataError(f"{self.name} has {count} of kind {' or '.join(kinds)}{hint}: {some}")
        return found[0]

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which `from_json` makes the same again."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Info":
        """The inverse of `to_json`, also after a round trip through a file.

        Raises:
          DataError: the values are of another form.
        """
        lists = ("shape", "names", "vocabulary")
        try:
            options: list[dict[str, Any]] = [
                {key: tuple(v) if key in lists else v for key, v in field.items()}
                for field in values["fields"]
            ]
            fields = tuple(Field(**one) for one in options)
            info = cls(**values | {"fields": fields})
            for part in (info, *info.fields):
                for name, annotation in typing.get_type_hints(type(part)).items():
                    if name != "fields":
                        check(name, getattr(part, name), annotation)
            if info.size < 0 or any(min((*f.shape, f.values), default=0) < 0 for f in fields):
                raise ValueError("a number of something is negative")
            return info
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"this describes no data set: {error}") from error


class Source:
    """Random access to the decoded examples of one split.

    A set that fits in `cache_bytes` is decoded once: each example goes into one array a field when
    it is first asked for, so a run starts at once, decodes during its first epoch (in the threads
    of the pipeline) and only copies after it. A larger set is decoded at every access.

    Attributes:
      info: the description of the set.
      note: what its user should know besides, one line; or empty.
      license: what the makers of the set say of its use, one line; or empty.
      place: the file or folder that it is read from, of a set that knows one of itself; or empty.
      log_density: of made-up data that know it: from values of the modelled field, [n, ...], to the
        natural logarithm of their density, float64 [n]; None of others.
    """

    def __init__(
        self,
        info: Info,
        read: Read,
        *,
        cache_bytes: int = CACHE_BYTES,
        log_density: Callable[[np.ndarray], np.ndarray] | None = None,
        note: str = "",
        license: str = "",
        place: str = "",
    ):
        """Makes a source.

        Args:
          info: the description of the set.
          read: decodes the examples at an int64 index vector [n]: an array for each field of info,
            [n, *shape] and of its dtype. It is called from several threads.
          cache_bytes: the largest decoded size, in bytes, that is kept in memory.
          log_density: see the attribute.
          note: see the attribute.
          license: see the attribute.
          place: see the attribute.
        """
        self.info, self.log_density, self.note, self.license = info, log_density, note, license
        self.place = place
        self._read = read
        size = sum(int(np.prod(f.shape)) * np.dtype(f.dtype).itemsize for f in info.fields)
        self._cached = info.size * size <= cache_bytes
        if self._cached:
            # Pages of an empty array take no memory before they are written.
            self._arrays = {f.name: np.empty((info.size, *f.shape), f.dtype) for f in info.fields}
            self._decoded = np.zeros(info.size, bool)

    def __len__(self) -> int:
        return self.info.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One example.

        Args:
          index: its position, -size to size - 1.

        Returns:
          The value of each field by its name: an array, or a number where the shape is ().

        Raises:
          IndexError: if there is no such example.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        batch = self.gather(np.array([index % len(self)]))
        return {name: a[0] if a.ndim > 1 else a[0].item() for name, a in batch.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def gather(self, indices: np.ndarray) -> Examples:
        """Several examples at once; `gather(np.arange(len(source)))` is the whole set.

        Args:
          indices: positions, integers in [0, size), [n]; repeats are allowed.

        Returns:
          An array for each field by its name, [n, *shape], copies.
        """
        if not self._cached:
            return self._read(indices)
        missing = np.unique(indices[~self._decoded[indices]])
        if missing.size:
            # Two threads may decode the same example: they write the same bytes, and the mark is
            # set last.
            for name, values in self._read(missing).items():
                self._arrays[name][missing] = values
            self._decoded[missing] = True
        return {name: array[indices] for name, array in self._arrays.items()}
