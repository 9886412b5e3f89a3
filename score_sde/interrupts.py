"""Ctrl-C and SIGTERM in the programs of this package.

While packages are imported either ends the process at once, with one line and no traceback. Once a
program listens, Stopped is raised: what was begun is brought in order, and one line says so. Python
does that between two of its own steps, and a compilation or a compiled function is one step, which
may take minutes; so a thread waits beside, and ends a process that does not answer, or that is
asked twice.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE = 3.0  # seconds that Python has to come to its next step
_MAIN = Path(__file__).resolve().parent.parent / "main.py"  # of a checkout


def is_ours(argv: Sequence[str], started: Sequence[str]) -> bool:
    """Whether Python was started for a program of this package, whose modules it is importing.

    Args:
        argv: sys.argv, as it is while the package itself is imported: its first is "-m" until the
            module is found that `python -m` names.
        started: sys.orig_argv.
    """
    if argv[:1] == ["-m"]:
        return any(word.removeprefix("-m").split(".")[0] == __package__ for word in started)
    program = Path(*argv[:1])
    return program.stem == "score-sde" or program.resolve() == _MAIN


def end_at_once() -> None:
    """Let Ctrl-C and SIGTERM end the process if it is a program of this package.

    While packages are imported it would print their tracebacks, and some of them swallow it. Where
    the package is used by another program the signals are that program's.
    """
    if is_ours(sys.argv, sys.orig_argv):
        _listen(at_once=True)


class Stopped(KeyboardInterrupt):
    """The process was asked to stop.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int):
        super().__init__()
        self.number = signal.Signals(number)


def said(error: KeyboardInterrupt) -> str:
    """What a program says that ends by this."""
    number = getattr(error, "number", signal.SIGINT)
    return f"error: {'interrupted' if number == signal.SIGINT else f'stopped by {number.name}'}"


def code(error: KeyboardInterrupt) -> int:
    """Its exit code, as of shells: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + getattr(error, "number", signal.SIGINT)


_removals: list[Callable[[], object]] = []


@contextlib.contextmanager
def removing(what: Callable[[], object]) -> Iterator[None]:
    """While entered: what a process removes that has to end at once, as a file of its own."""
    _removals.append(what)
    try:
        yield
    finally:
        _removals.remove(what)


class Listening:
    """While entered, `listen` may be called; then signals do what they did before.

    Until it is, signals end the process, if they did that before; with one line.
    """

    def __enter__(self) -> Listening:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self._at_once = _listener is not None and _listener.at_once
        if set(self._before.values()) == {signal.SIG_DFL}:
            _listen(at_once=True)
        return self

    def __exit__(self, *_: object) -> None:
        ours = _listener and _listener.note
        if ours is None or not _in_main_thread():
            return
        for number, handler in self._before.items():
            if signal.getsignal(number) == ours:
                signal.signal(number, handler)
        if ours not in self._before.values():
            _listener.close()
        else:
            _listener.at_once = self._at_once


_listener: _Listener | None = None


def listen() -> None:
    """From now on Ctrl-C and SIGTERM raise Stopped: there is something to bring in order.

    In another thread than the main one, to which Python gives no signals, nothing is changed.
    """
    _listen(at_once=False)


def answered() -> None:
    """Another handler has noted a signal: who asked is answered, before it gives its place back."""
    if _listener is not None:
        _listener.answered.set()


def _listen(at_once: bool) -> None:
    global _listener
    if not _in_main_thread():
        return
    if _listener is None:
        _listener = _Listener()
    _listener.at_once = at_once
    for number in _SIGNALS:
        signal.signal(number, _listener.note)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class _Listener:
    """Raises Stopped in the main thread, or else ends the process in its own.

    Attributes:
        at_once: never raise: packages that are being imported may swallow it.
        answered: whether Python has come to a handler.
    """

    at_once: bool

    def __init__(self) -> None:
        self.answered = threading.Event()
        self._arrivals, self._sends = socket.socketpair()
        self._sends.setblocking(False)
        self._former = signal.set_wakeup_fd(self._sends.fileno(), warn_on_full_buffer=False)
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._lost
        threading.Thread(target=self._wait, daemon=True, name="interrupts").start()

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler of both signals."""
        if self.at_once:
            threading.Event().wait(_GRACE)  # for the thread, which ends the process
            return
        self.answered.set()
        raise Stopped(number)

    def _lost(self, what: sys.UnraisableHookArgs) -> None:
        """Stopped where Python drops what is raised, as in a finaliser or a callback of gc."""
        if isinstance(what.exc_value, Stopped):
            self._end(what.exc_value.number)
        self._unraisable(what)

    def close(self) -> None:
        """End the thread."""
        global _listener
        _listener = None
        sys.unraisablehook = self._unraisable
        signal.set_wakeup_fd(self._former)
        self._sends.close()

    def _wait(self) -> None:
        """Look at each signal that arrives, until it is closed."""
        asked = False
        with self._arrivals:
            while arrived := self._arrivals.recv(1):
                number = arrived[0]
                if number not in _SIGNALS:
                    continue
                # Where training has a handler of its own, it answers when a step is done.
                ours = signal.getsignal(number) == self.note
                grace = 0 if self.at_once else _GRACE
                if asked or (ours and not self.answered.wait(grace)):
                    self._end(number)
                asked = True

    def _end(self, number: int) -> None:
        """At once, whatever else the process does."""
        for remove in [*reversed(_removals)]:
            with contextlib.suppress(Exception):
                remove()
        stopped = Stopped(number)
        with contextlib.suppress(Exception):
            print(said(stopped), file=sys.stderr, flush=True)
        os._exit(code(stopped))


def _forget() -> None:
    """A process that was forked has no such thread: its signals are not its parent's."""
    if _listener is None:
        return
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        if _listener.at_once and signal.getsignal(number) == _listener.note:
            signal.signal(number, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget)
