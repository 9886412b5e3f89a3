"""Garbage collection in the programs of this package: what they import is no garbage.

While modules are imported Python looks for garbage in all that is there so far, again and again,
and once more when the process ends, which takes longer than what it is then rid of.
"""

import atexit
import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def imports(ours: bool) -> Iterator[None]:
    """In which a program imports; what is there after it, and at the end, is not looked at.

    Args:
        ours: whether it is a program of this package; else nothing happens.
    """
    if not ours:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.freeze)
