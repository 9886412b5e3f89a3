"""A reader of PyTorch's .pth files that knows tensors and nothing else. It needs no PyTorch.

Such a file is a zip archive of one pickle, `data.pkl`, and one raw little-endian array for each
storage. A pickle is a program: it may name any Python callable and have it called. Here a name that
is not in a short list is refused before anything is made of it, and each name in the list stands
for code of this module, never for what it names, so nothing in the file is executed.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple

import ml_dtypes
import numpy as np

STORAGES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
# The pickle of torch.save's magic number, with which files from before PyTorch 1.6 begin.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# A pickle holds about 200 bytes for a tensor; the released ones are below 2 MB. In memory
# none of its bytes becomes more than about 100.
_LARGEST_PICKLE = 16 * 2**20
# Operations that torch.save never writes and that make much of little, or look up what is not in
# the file: byte arrays, buffers, sets and the extension registry.
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
)
# What numpy.dtype is asked for: sizes in bytes by the kind of number.
_SCALARS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


def load(path: str | Path) -> Any:
    """Everything in a file, with NumPy arrays in place of tensors.

    Arrays are mapped from the file: what is not used is not read. However many there are, they
    share one mapping, and so one file descriptor.

    Args:
        path: a file that `torch.save` wrote, PyTorch 1.6 or later.

    Returns:
        The saved object: dictionaries, lists, numbers, strings and read-only arrays.

    Raises:
        ValueError: the file is damaged, or not of this format.
        pickle.UnpicklingError: the file holds something other than tensors and plain containers;
            the message names it. Nothing of it has been executed.
    """
    path = Path(path)
    with path.open("rb") as file:
        if file.read(len(_LEGACY)) == _LEGACY:
            raise ValueError(
                f"{path} is in the format of PyTorch before 1.6; convert it with a trusted "
                "PyTorch: torch.save(torch.load(path, weights_only=True), path)"
            )
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).load()
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a PyTorch file: {error}") from error
    except (_Unreadable, _Refused, OSError):
        raise
    except Exception as error:  # a damaged pickle is a random program: it can fail in any way
        # Its message may hold a part of the file of any length.
        raise ValueError(f"{path} is damaged: {type(error).__name__} in its pickle") from error


def _line(text: str) -> str:
    """A string of a file for a message: short, without line breaks and control characters."""
    return ascii(text[:100])[1:-1]


class _Unreadable(ValueError):
    """What is wrong with a file, in words of this module: short, with its path."""


class _Refused(pickle.UnpicklingError):
    """What a file asks for in vain, in words of this module."""


class _Storage(NamedTuple):
    """What a persistent id of the pickle stands for."""

    key: str
    dtype: np.dtype
    size: int


class _Archive:
    """An open file: where its storages lie, and the arrays that were read from them."""

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self.path, self.archive = path, archive
        for member in archive.infolist():
            # torch.save compresses nothing; a small compressed file can fill any memory.
            if member.compress_type != zipfile.ZIP_STORED:
                raise _Unreadable(
                    f"{path} is not a PyTorch file: its {_line(member.filename)} is compressed"
                )
        pickles = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise _Unreadable(f"{path} is not a PyTorch file: it holds no data.pkl")
        self.folder = pickles[0].removesuffix("data.pkl")
        # Each mapping costs a file descriptor; full-size checkpoints hold thousands of storages.
        self.bytes = np.memmap(path, np.uint8, "r")

    def load(self) -> Any:
        order = f"{self.folder}byteorder"
        if order in self.archive.namelist() and self._start(order) != b"little":
            raise _Unreadable(f"{self.path} holds big-endian arrays, which are not supported")
        program = self.archive.getinfo(f"{self.folder}data.pkl")
        if program.file_size > _LARGEST_PICKLE:
            raise _Unreadable(f"{self.path} is refused: its data.pkl has {program.file_size} bytes")
        with self.archive.open(program) as file:
            return _Unpickler(io.BytesIO(file.read()), self).load()

    def _start(self, name: str) -> bytes:
        """The first bytes of a member of the archive, which may have any size."""
        with self.archive.open(name) as file:
            return file.read(16)

    def array(self, storage: _Storage) -> np.ndarray:
        """All of a storage, one-dimensional."""
        raw = self._raw(f"{self.folder}data/{storage.key}")
        if storage.size * storage.dtype.itemsize > raw.size:
            raise _Unreadable(f"{self.path} is damaged: storage {_line(storage.key)} is too short")
        return raw[: storage.size * storage.dtype.itemsize].view(storage.dtype)

    def _raw(self, name: str) -> np.ndarray:
        """The bytes of a member of the archive."""
        try:
            info = self.archive.getinfo(name)
        except KeyError as error:
            raise _Unreadable(f"{self.path} is damaged: {_line(name)} is missing") from error
        # Only the header in front of the data knows where the data begin.
        header = self.bytes[info.header_offset : info.header_offset + 30].tobytes()
        start = info.header_offset + 30 + sum(np.frombuffer(header[26:30], "<u2").tolist())
        if header[:4] != b"PK\x03\x04" or start + info.file_size > self.bytes.size:
            raise _Unreadable(f"{self.path} is damaged at {_line(name)}")
        return self.bytes[start : start + info.file_size]

    def tensor(
        self,
        storage: _Storage,
        offset: int,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
        *_: Any,
    ) -> np.ndarray:
        """In place of torch._utils._rebuild_tensor_v2."""
        flat = self.array(storage)
        numbers = (offset, *shape, *stride)
        if not len(shape) == len(stride) <= 64 or not all(
            type(n) is int and 0 <= n < 2**63 for n in numbers
        ):
            raise _Unreadable(f"{self.path} is damaged: a tensor's shape and strides do not fit")
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        if math.prod(shape) == 0:
            return np.empty(shape, flat.dtype)
        # With strides of zero a few bytes would be an array of any size.
        if last >= flat.size or math.prod(shape) > flat.size:
            raise _Unreadable(f"{self.path} is damaged: a tensor does not fit in its storage")
        strides = [step * flat.dtype.itemsize for step in stride]
        return np.lib.stride_tricks.as_strided(flat[offset:], shape, strides, writeable=False)


class _ScalarType:
    """In place of numpy.dtype, for the types of numbers only."""

    def __init__(self, name: str, *_: Any):
        if not isinstance(name, str):
            raise _Refused("a NumPy scalar without the name of its type is refused")
        if name not in _SCALARS:
            raise _Refused(f"a NumPy scalar of type {_line(name)} is refused")
        self.dtype = np.dtype(name).newbyteorder("<")

    def __setstate__(self, state: Any) -> None:
        """Keep the byte order, which is all that the state of a number's dtype says."""
        if state[1] in "<>":
            self.dtype = self.dtype.newbyteorder(state[1])

    def scalar(self, data: bytes) -> np.generic:
        """In place of numpy.core.multiarray.scalar."""
        return np.frombuffer(data, self.dtype, 1)[0]


def _encode(text: str, encoding: str) -> bytes:
    """In place of _codecs.encode, with which old protocols write bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused("an encoding other than latin1 is refused")
    if len(text) > 16:  # copies of one long text would fill any memory
        raise _Refused("bytes longer than a NumPy scalar's are refused")
    return text.encode("latin1")


def _ordered_dict(*items: Any) -> OrderedDict:
    """In place of collections.OrderedDict, which is filled by later operations."""
    if items:  # copies of one large dictionary would fill any memory
        raise _Refused("an OrderedDict that is a copy of another is refused")
    return OrderedDict()


# The unpickler that is written in Python: in the one written in C a small file can fill the memory
# (an entry of the memo with a large number) and overflow the stack (the hash of nested tuples).
class _Unpickler(pickle._Unpickler):
    """Knows tensors, ordered dictionaries and NumPy scalars."""

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: BinaryIO, archive: _Archive):
        super().__init__(file)
        # Lambdas, made anew for each file: a pickle may set attributes of what it is given.
        self.known: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): lambda *args: archive.tensor(*args),
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("collections", "OrderedDict"): lambda *items: _ordered_dict(*items),
            ("numpy", "dtype"): lambda *args: _ScalarType(*args),
            ("numpy.core.multiarray", "scalar"): lambda kind, data: kind.scalar(data),
            ("numpy._core.multiarray", "scalar"): lambda kind, data: kind.scalar(data),
            ("_codecs", "encode"): lambda *args: _encode(*args),
        }

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return _Storage("", STORAGES[name], 0)
        try:
            return self.known[module, name]
        except KeyError:
            raise _Refused(
                f"the file asks for {_line(f'{module}.{name}')}; "
                "only tensors are read, and it was not called"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", _Storage(dtype=dtype), str(key), _, int(size)) if size >= 0:
                return _Storage(key, dtype, size)
        # Not its repr: of tuples in tuples, each twice, it is longer than any memory.
        raise _Refused(f"a persistent id of type {type(pid).__name__} is refused")

    def load_setitem(self) -> None:
        self._check_keys([self.stack[-2]])
        super().load_setitem()

    def load_setitems(self) -> None:
        self._check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        self._check_keys(self.stack[::2])
        super().load_dict()

    def _check_keys(self, keys: list[Any]) -> None:
        """Refuse what is no name or number: the hash of nested tuples can overflow the stack."""
        for key in keys:
            if type(key) not in (str, int):
                raise _Refused(f"a key of type {type(key).__name__} is refused")

    def _refuse(self) -> None:
        raise _Refused("an operation that torch.save does not write is refused")

    dispatch |= {
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        **dict.fromkeys(_REFUSED, _refuse),
    }
