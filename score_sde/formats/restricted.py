"""A pickle read as data: the unpickler that every reader of pickles in this folder shares.

A pickle is a program: it may name any Python callable and have it called. Here a name is looked up
in a table that the reader gives. What is not there is refused before anything is made of it, and
what is there stands for code of this package, never for what it names: so nothing in a file is
executed. Time and memory are bounded by the size of the file.
"""

from __future__ import annotations

import io
import mmap
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

# A pickle holds about 200 bytes for a tensor; of the released ones that is below 2 MB. In memory
# none of its bytes becomes more than about 100.
LARGEST_PROGRAM = 16 * 2**20
# What is read in one piece of this many bytes takes as many in memory, and is not counted above.
_LONG = 4096
# Operations that no writer of checkpoints needs and that make much of little, look up what is not
# in the file, or make objects in other ways than by a call.
_REFUSED = (
    pickle.BYTEARRAY8
    + pickle.NEXT_BUFFER
    + pickle.READONLY_BUFFER
    + pickle.EMPTY_SET
    + pickle.ADDITEMS
    + pickle.FROZENSET
    + pickle.EXT1
    + pickle.EXT2
    + pickle.EXT4
    + pickle.INST
    + pickle.OBJ
    + pickle.NEWOBJ_EX
)


class Unreadable(ValueError):
    """What is wrong with a file, in words of this package that can follow its path."""


class Refused(pickle.UnpicklingError):
    """What a file asks for in vain, in words of this package."""


@contextmanager
def reading(path: Path, where: str = "pickle") -> Iterator[None]:
    """Say the path of a file that cannot be read, and nothing that it holds.

    Args:
        path: the file.
        where: what of it can fail in any way.

    Raises:
        ValueError: the file is damaged.
        Refused: as it is.
    """
    try:
        yield
    except Unreadable as error:
        raise ValueError(f"{path} {error}") from error
    except (Refused, OSError):
        raise
    except Exception as error:  # a damaged pickle is a random program: it can fail in any way
        # Its message may hold a part of the file of any length.
        raise ValueError(f"{path} is damaged: {type(error).__name__} in its {where}") from error


def line(text: str) -> str:
    """A string of a file for a message: short, without line breaks and control characters."""
    return ascii(text[:100])[1:-1]


class Program:
    """The pickles in some bytes, one after the other.

    Args:
        data: bytes or a mapped file.
        position: where the first of them begins.

    Attributes:
        left: how many bytes may still be read in short pieces.
    """

    def __init__(self, data: bytes | mmap.mmap, position: int = 0):
        self.data = data
        self._file = io.BytesIO(data) if isinstance(data, bytes) else data
        self._file.seek(position)
        self.left = LARGEST_PROGRAM

    @property
    def position(self) -> int:
        """Where the next byte is."""
        return self._file.tell()

    def read(self, n: int) -> bytes:
        """The next n bytes, or what there is of them."""
        if n < _LONG:
            self._spend(n)
        return self._file.read(n)

    def readline(self) -> bytes:
        """The next line."""
        found = self._file.readline()
        self._spend(len(found))
        return found

    def _spend(self, n: int) -> None:
        self.left -= n
        if self.left < 0:
            raise Unreadable(f"is refused: its pickle is longer than {LARGEST_PROGRAM:,} bytes")


class Function(NamedTuple):
    """A name of a pickle that it may call.

    Attributes:
        call: what the call gives.
    """

    call: Callable[..., Any]


@runtime_checkable
class Built(Protocol):
    """An object that a pickle fills after it made it."""

    def build(self, state: Any) -> None:
        """Take what BUILD gives."""


class Namespace(dict):
    """In place of argparse.Namespace: a dictionary."""

    def build(self, state: Any) -> None:
        """Take the attributes, {name: value}.

        Raises:
            Refused: they are none.
        """
        if type(state) is not dict or not all(type(name) is str for name in state):
            raise Refused("a Namespace of something other than names is refused")
        self.update(state)


def _ordered_dict(*items: Any) -> OrderedDict:
    """In place of collections.OrderedDict, which is filled by later operations."""
    if items:  # copies of one large dictionary would fill any memory
        raise Refused("an OrderedDict that is a copy of another is refused")
    return OrderedDict()


# What a name of a pickle stands for, by (module, name): a Function or an object without methods.
Names = Mapping[tuple[str, str], Any]

CONTAINERS: Names = {
    ("collections", "OrderedDict"): Function(_ordered_dict),
    ("argparse", "Namespace"): Function(lambda: Namespace()),
}


# The unpickler that is written in Python: in the one written in C a small file can fill the memory
# (an entry of the memo with a large number) and overflow the stack (the hash of nested tuples).
class Unpickler(pickle._Unpickler):
    """Reads one pickle.

    Args:
        program: the pickle, at its beginning; after `load` it is at its end.
        names: what it may name.
        storage: what a persistent id stands for; None if the file can have none.
    """

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def __init__(self, program: Program, names: Names, storage: Callable[[Any], Any] | None = None):
        super().__init__(program)
        self.names, self.storage = names, storage

    def find_class(self, module: str, name: str) -> Any:
        """What the file names; see Names."""
        try:
            return self.names[module, name]
        except KeyError:
            raise Refused(
                f"the file asks for {line(f'{module}.{name}')}; "
                "only tensors are read, and it was not called"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        """See `storage`."""
        if self.storage is None:
            raise Refused("a persistent id is refused")
        return self.storage(pid)

    def load_frame(self) -> None:
        """Frames change nothing in what is read, and may claim any size."""
        self.read(8)

    def load_reduce(self) -> None:
        """A call, of functions of this package alone."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(function) is not Function or type(arguments) is not tuple:
            raise Refused("a call of something that has no name is refused")
        self.append(function.call(*arguments))

    def load_build(self) -> None:
        """Fill an object. The attributes of a dictionary (a state dict's _metadata) are dropped."""
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, Built):
            made.build(state)
        elif type(made) is not OrderedDict:
            raise Refused(f"attributes of type {type(made).__name__} are refused")

    def load_setitem(self) -> None:
        """An item of a dictionary."""
        self._check_keys([self.stack[-2]])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Items of a dictionary."""
        self._check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        """A dictionary, in the oldest protocols."""
        self._check_keys(self.stack[::2])
        super().load_dict()

    def _check_keys(self, keys: list[Any]) -> None:
        """Refuse what is no name or number: the hash of nested tuples can overflow the stack."""
        for key in keys:
            if type(key) not in (str, int):
                raise Refused(f"a key of type {type(key).__name__} is refused")

    def _refuse(self) -> None:
        raise Refused("an operation that torch.save does not write is refused")

    dispatch |= {
        pickle.FRAME[0]: load_frame,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_reduce,
        pickle.BUILD[0]: load_build,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        **dict.fromkeys(_REFUSED, _refuse),
    }
