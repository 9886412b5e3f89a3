"""Molecules: a place and an element of each atom, as Hoogeboom et al. 2022 (arXiv 2203.17003)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.formats import sdf, xyz
from score_sde.formats.molecule import Molecule
from score_sde.sections import DERIVED
from score_sde.spaces import balls, parts, pictures
from score_sde.spaces.base import Space
from score_sde.spaces.points import PLACES, Points
from score_sde.spaces.rotations import ROTATIONS
from score_sde.structures import bonds, graphs
from score_sde.subspace import centred
from score_sde.values import Name, NotNegative, Positive, one_of

_STATIC = {"static": True}
_WRITE = {"sdf": sdf.write, "xyz": xyz.write}
_NUMBERS = tuple(bonds.NUMBERS[symbol] for symbol in bonds.ELEMENTS)
# Colours after Corey, Pauling and Koltun, a little darker than white; radii in angstroms.
_COLOURS = np.array([[235, 235, 235], [90, 90, 90], [60, 90, 230], [225, 40, 40], [90, 200, 90]])
_RADII = np.array([0.28, 0.42, 0.40, 0.38, 0.36])
_STICK = 0.11
_APART = 0.17  # of the sticks of a double or triple bond


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Molecules(Space):
    """A row an atom: its place about the centre of all, its element one-hot, and its charge.

    An example has the place and the atomic number of each, and rows of zeros past its atoms, which
    stay zeros. An element of a state is the largest of its numbers.

    Attributes:
        most: atoms.
        size: the field of numbers that says how many atoms an example has, which the network has
            to be told.
        scale: angstroms of a unit of places.
        type_scale: what the one of one-hot elements is: smaller, places are decided first.
        charge_scale: of one more number, the atomic number over 9, which a network may find easier
            than one-hot elements; it is not decoded. 0: without.
        rotations: random ones in training, a name in rotations.ROTATIONS; for networks that are not
            equivariant.
        file: what `save` writes.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("molecule",)
    MOST: ClassVar[int] = 64
    FEW: ClassVar[int] = 16
    UNITS: ClassVar[Mapping[str, str]] = {"rmsd": "angstroms"}
    SETS_OFF: ClassVar[str] = f"outlined {balls.OUTLINE}"
    REGIONS: ClassVar[Mapping[str, tuple[slice, ...]]] = {
        "start": (slice(0, 4),),
        "end": (slice(4, 8),),
        "hydrogens": (),
    }

    most: int = dataclasses.field(metadata=DERIVED | _STATIC)
    size: Name = dataclasses.field(default="atoms", metadata=_STATIC)
    scale: Positive = dataclasses.field(default=1.0, metadata=_STATIC)
    type_scale: Positive = dataclasses.field(default=0.25, metadata=_STATIC)
    charge_scale: NotNegative = dataclasses.field(default=0.0, metadata=_STATIC)
    rotations: Annotated[str, one_of(ROTATIONS)] = dataclasses.field(
        default="none", metadata=_STATIC
    )
    file: Literal["sdf", "xyz"] = dataclasses.field(default="sdf", metadata=_STATIC)

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of molecules of at most as many atoms as the field has rows."""
        return cls(field.shape[0], **options)

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]  # read only, as all is
        """(most atoms, 3 + elements), and one more number with charges."""
        return self.most, PLACES + len(_NUMBERS) + (self.charge_scale > 0)

    @property
    def states(self) -> dict[str, Any]:
        """Its scales."""
        scales = {name: getattr(self, name) for name in ("scale", "type_scale", "charge_scale")}
        return super().states | scales

    subspace, facts, augment = Points.subspace, Points.facts, Points.augment

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Places about their centre, and the scaled one-hot elements; nothing is random."""
        numbers = examples[..., PLACES:]
        known = jnp.asarray(_NUMBERS, examples.dtype)[None, None]
        parts = [examples[..., :PLACES] / self.scale, self.type_scale * (numbers == known)]
        if self.charge_scale:
            parts.append(self.charge_scale * numbers / max(_NUMBERS))
        x = jnp.concatenate([part.astype(examples.dtype) for part in parts], axis=-1)
        return centred(x, numbers[..., 0] > 0, PLACES)

    def decode(self, x: jax.Array) -> jax.Array:
        """Places in angstroms, and the number of the likeliest element of each atom."""
        types = jnp.argmax(x[..., PLACES : PLACES + len(_NUMBERS)], axis=-1)
        numbers = jnp.asarray(_NUMBERS, x.dtype)[types]
        numbers = jnp.where(jnp.any(x != 0, axis=-1), numbers, 0)
        return jnp.concatenate([self.scale * x[..., :PLACES], numbers[..., None]], axis=-1)

    @property
    def ending(self) -> str:
        """Of files; see Space."""
        return self.file

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .sdf, with bonds by distance, or as .xyz."""
        for name, example in zip(names, examples, strict=True):
            _WRITE[self.file](folder / f"{name}.{self.file}", [molecule(example)])

    def there(self, examples: np.ndarray) -> np.ndarray:
        """Which rows are atoms; see Space."""
        return np.asarray(examples[..., PLACES] > 0)

    def region(self, name: str, examples: np.ndarray) -> np.ndarray:
        """In eighths of the atoms of each, or its hydrogens; see Space."""
        along = self.REGIONS[name]
        if not along:
            hydrogens: np.ndarray = examples[..., PLACES:] == bonds.NUMBERS["H"]
            return hydrogens
        (atoms,) = along
        return parts.region_of_rows(atoms, self.there(examples))[..., None]

    def read(self, path: Path) -> list[parts.Rows]:
        """The molecules of an .xyz or .sdf file, their atoms counted from 1."""
        reader = xyz.read if path.suffix == ".xyz" else sdf.read
        return [_rows(found, path) for found in reader(path)]

    def fit(
        self, samples: np.ndarray, asked: np.ndarray, known: np.ndarray
    ) -> dict[str, np.ndarray]:
        """rmsd in angstroms of the known atoms, and valid: 1 of a possible molecule; see Space."""
        numbers = samples[..., PLACES].astype(np.int64)
        valid = graphs.valid(bonds.orders(samples[..., :PLACES], numbers), numbers)
        rmsd = parts.deviations(samples, asked, known)
        return {"rmsd": rmsd, "valid": valid.astype(np.float64)}

    def corner(self, count: int) -> tuple[int, int]:
        """That of so many examples across and down."""
        return pictures.picture_size(balls.SIDE, balls.SIDE, count, count)

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
        known: np.ndarray | None = None,
    ) -> None:
        """Each as balls and sticks."""
        there = self.there(examples)
        known = np.zeros_like(there) if known is None else known
        drawn = [
            balls.draw(balls_of(molecule(example), which[atoms]))
            for example, which, atoms in zip(examples, known, there, strict=True)
        ]
        pictures.save_grid(path, np.stack(drawn), columns, captions)


def molecule(example: np.ndarray) -> Molecule:
    """Of an example, [most, 4]: its atoms, bonds by distance, and its formula as title."""
    there = example[example[:, PLACES] > 0].astype(np.float64)
    numbers = there[:, PLACES].astype(np.int64)
    symbols = bonds.symbols(numbers)
    joined = bonds.pairs(bonds.orders(there[:, :PLACES], numbers))
    counts = {symbol: symbols.count(symbol) for symbol in ("C", "H", "F", "N", "O")}
    formula = "".join(f"{s}{n if n > 1 else ''}" for s, n in counts.items() if n)
    return Molecule(symbols, there[:, :PLACES], joined, formula)


def _rows(found: Molecule, path: Path) -> parts.Rows:
    """Of a molecule of a file."""
    try:
        numbers = [bonds.NUMBERS[symbol] for symbol in found.symbols]
    except KeyError as error:
        known = ", ".join(bonds.ELEMENTS)
        raise UserError(f"{path} has an atom of {error.args[0]}: give one of {known}") from error
    rows = np.concatenate([found.positions, np.reshape(numbers, (-1, 1))], axis=1)
    return parts.Rows("", np.arange(1, len(rows) + 1), rows.astype(np.float32))


def balls_of(molecule: Molecule, known: np.ndarray) -> balls.Balls:
    """Balls for atoms, and as many sticks as the order of a bond is.

    Args:
        molecule: n atoms.
        known: which of them are outlined, and bonds between them; bool [n].
    """
    kinds = np.array([bonds.ELEMENTS.index(symbol) for symbol in molecule.symbols], int)
    parts = [balls.Balls(molecule.positions, _RADII[kinds], _COLOURS[kinds], known)]
    flat = balls.turned(molecule.positions)[2] if len(kinds) else np.zeros(3)
    for first, second, order in molecule.bonds:
        ends = molecule.positions[[first, second]]
        aside = np.cross(ends[1] - ends[0], flat)
        aside *= _APART / max(float(np.linalg.norm(aside)), 1e-9)
        for place in range(order):
            moved = ends + (place - (order - 1) / 2) * aside * (2 if order == 2 else 1.5)
            radius = _STICK if order == 1 else 0.6 * _STICK
            colours = _COLOURS[kinds[[first, second]]]
            parts.append(balls.stick(moved, radius, colours, known[first] and known[second]))
    return balls.joined(parts)
