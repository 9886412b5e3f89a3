"""The things in .sh3f libraries: their names, categories, sizes and meshes."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from score_sde import files
from score_sde.data.base import DataError
from score_sde.data.hashed import uniform
from score_sde.errors import first_line
from score_sde.formats import archive, obj

PACKAGE = "sweethome3d-furniture"
INSTALLED = Path("/usr/share/sweethome3d/furniture")
LICENSE = (
    "Creative Commons Attribution 3.0 and CC0, by Scopia, Kator Legaz, Reallusion and contributors "
    "of Blend Swap; see the package's copyright"
)
SPLITS = TRAIN, TEST = "train", "test"

_LIST = "PluginFurnitureCatalog.properties"
_MOST_LIST = 2**24  # bytes
_MOST_THINGS = 100_000
_ENTRY = re.compile(r"(name|category|model|width|depth|height|modelRotation|id)#(\d{1,6})=(.*)")
_TEST_SHARE = 0.1
_LEAST_SIZE, _MOST_SIZE = 1e-6, 1e4  # metres: areas of what is thinner are rounded to zero
_LARGEST = 1e3  # of a turn, whose numbers are at most 1 but for rounding


@dataclasses.dataclass(frozen=True)
class Thing:
    """One mesh of a library.

    Attributes:
        name: what it is, such as "Coffee table".
        category: such as "Living room".
        id: of the library and the mesh.
        size: width, depth and height in metres.
        triangles: [n, 3, 3], of unit size: about the middle of its box, the farthest corner 1 away;
            the third axis is up.
        radius: how far that corner is, in metres.
    """

    name: str
    category: str
    id: str
    size: tuple[float, float, float]
    triangles: np.ndarray
    radius: float

    @property
    def split(self) -> str:
        """By a hash of its id: a tenth is for testing."""
        return TEST if uniform(f"furniture {self.id}") < _TEST_SHARE else TRAIN

    @property
    def seed(self) -> int:
        """Of what is random of it."""
        return int.from_bytes(hashlib.sha256(self.id.encode()).digest()[:8], "big")


def things(source: str | Path | None, say: Callable[[str], None]) -> Iterator[Thing]:
    """All that can be read, in the order of the names of the libraries.

    Args:
        source: an .sh3f file, or a folder that has some at any depth; None: the installed package.
        say: is told how far it is, and what is left out.

    Raises:
        DataError: there is no library, or one is damaged.
    """
    left = 0
    for path in _libraries(source):
        try:
            with files.regular(path) as file, zipfile.ZipFile(file) as library:
                listed = _listed(library)
                say(f"{path.name}: {len(listed)} things")
                for entry in listed:
                    try:
                        yield _thing(library, entry)
                    except (KeyError, ValueError):
                        left += 1
        except (ValueError, *archive.DAMAGED) as error:
            said = first_line(error)
            raise DataError(f"{path} cannot be read ({said}): install it again") from error
    if left:
        say(f"left out, without a mesh that can be read: {left}")


def _libraries(source: str | Path | None) -> list[Path]:
    where = INSTALLED if source is None else files.expanded(source)
    found = [where] if where.is_file() else sorted(where.rglob("*.sh3f"))
    if not found:
        raise DataError(
            f"no .sh3f library in {where}: apt-get install {PACKAGE}; or apt-get download "
            f"{PACKAGE} && dpkg -x {PACKAGE}_*.deb FOLDER, and give --from=FOLDER"
        )
    return found


def _listed(library: zipfile.ZipFile) -> list[dict[str, str]]:
    """What the list of a library says of each thing."""
    entries: dict[int, dict[str, str]] = {}
    for line in archive.member(library, _LIST, _MOST_LIST).decode("latin-1").splitlines():
        if match := _ENTRY.fullmatch(line.strip()):
            key, number, value = match.groups()
            entries.setdefault(int(number), {})[key] = _unescaped(value.strip())
            if len(entries) > _MOST_THINGS:
                raise ValueError(f"more than {_MOST_THINGS:,} things")
    return [entries[number] for number in sorted(entries)]


def _unescaped(value: str) -> str:
    """Characters past U+FFFF are two escapes, a surrogate pair; half of one is no character."""
    found = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), value)
    whole = found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "")


def _thing(library: zipfile.ZipFile, entry: dict[str, str]) -> Thing:
    """KeyError or ValueError if it has no mesh that can be read."""
    size = tuple(float(entry[name]) / 100 for name in ("width", "depth", "height"))
    if not all(_LEAST_SIZE < one < _MOST_SIZE for one in size):
        raise ValueError("it is as thin as nothing, or as large as a town")
    mesh = obj.triangles(archive.member(library, entry["model"].lstrip("/"), obj.MOST_BYTES))
    turn = np.array(entry.get("modelRotation", "1 0 0 0 1 0 0 0 1").split(), np.float64)
    if not (np.abs(turn) < _LARGEST).all():
        raise ValueError("it is turned by numbers that are not finite")
    turned = mesh @ turn.reshape(3, 3).T
    if not obj.areas(turned).max() > 0:
        raise ValueError("turned, it has no area")
    placed, radius = placed_in(turned, size)
    where = entry.get("id", entry["model"])
    return Thing(entry["name"], entry["category"], where, size, placed, radius)


def placed_in(mesh: np.ndarray, size: tuple[float, float, float]) -> tuple[np.ndarray, float]:
    """A mesh, whose second axis is up, in a box of this size; see Thing.

    Args:
        mesh: triangles, [n, 3, 3].
        size: of the box: width, depth and height in metres.

    Returns:
        Triangles of unit size, and the radius in metres.
    """
    # A quarter of a turn about the first axis: what was up is the third axis then.
    mesh = np.stack([mesh[..., 0], -mesh[..., 2], mesh[..., 1]], axis=-1)
    corners = mesh.reshape(-1, 3)
    low, high = corners.min(0), corners.max(0)
    extent = np.where(high > low, high - low, 1)
    metres = (mesh - (low + high) / 2) / extent * np.array(size)
    radius = float(np.linalg.norm(metres.reshape(-1, 3), axis=1).max())
    return metres / radius, radius
