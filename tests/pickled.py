"""Pickles of what need not be there: they name it without importing it."""

import io
import pickle
from collections import OrderedDict


class Named:
    """Pickles as the name of a global."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Pickles as a call of a global."""

    def __init__(self, module, name, *args):
        self.function, self.args = Named(module, name), args


class Filled:
    """Pickles as a call whose result is filled by BUILD."""

    def __init__(self, call, state):
        self.call, self.state = call, state


class Stored:
    """Pickles as the persistent id of a storage."""

    def __init__(self, kind, key, size, *more):
        self.pid = ("storage", Named("torch", kind), key, "cuda:0", size, *more)


def dumps(value, protocol=2):
    """A pickle in which the classes above stand for what they say."""
    out = io.BytesIO()

    class Pickler(pickle._Pickler):
        def persistent_id(self, obj):
            return obj.pid if isinstance(obj, Stored) else None

        def save(self, obj, save_persistent_id=True):
            if isinstance(obj, Named):
                self.write(f"c{obj.module}\n{obj.name}\n".encode())
            elif isinstance(obj, Call):
                self.save(obj.function)
                self.save(obj.args)
                self.write(pickle.REDUCE)
            elif isinstance(obj, Filled):
                self.save(obj.call)
                self.save(obj.state)
                self.write(pickle.BUILD)
            else:
                super().save(obj, save_persistent_id)

    Pickler(out, protocol=protocol).dump(value)
    return out.getvalue()


def tensor(storage, offset, shape, stride, version=2):
    args = (storage, offset, shape, stride, False, OrderedDict())
    return Call("torch._utils", f"_rebuild_tensor_v{version}", *args)


def nested(depth):
    """A tuple that is as small as its depth in a pickle, and of 2**depth tuples as text."""
    value = ()
    for _ in range(depth):
        value = (value, value)
    return value


def legacy(value, storages=(), *, keys=None, system=None):
    """The container of torch.save before 1.6."""
    storages = dict(storages)
    system = {"protocol_version": 1001, "little_endian": True} if system is None else system
    parts = (0x1950A86A20F9469CFC6C, 1001, system, value, list(storages) if keys is None else keys)
    numbers = [array.size.to_bytes(8, "little") + array.tobytes() for array in storages.values()]
    return b"".join([*map(dumps, parts), *numbers])
