"""The other processes of a run: when one of them dies, the rest end soon, with one line.

JAX's own watch takes a minute, and ends a process with a stack of C++. Here each process holds a
connection to the first one. The operating system closes it when a process dies, SIGKILL included,
and the first one tells the others. Where no connection can be made, JAX's watch is what there is.
"""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

# What is sent: a kind and the number of a process.
_MESSAGE = struct.Struct("!ci")
_DONE, _FAILED, _DIED = b"d", b"f", b"x"
_TOKEN = 16
# Seconds in which the others can fail for the same reason, and say it themselves.
_GRACE = 2.0
_PATIENCE = 30.0
_watching: list[_Watcher] = []


def watch(advice: Callable[[], str]) -> None:
    """Watch the other processes until this one ends; all call it together.

    Args:
        advice: what to do when one has died, for the line that says so.
    """
    if jax.process_count() > 1:
        watcher = _Watcher(advice)
        watcher.connect()
        _watching.append(watcher)
        atexit.register(watcher.end, _FAILED)  # before JAX's, which waits for the others


def succeeded() -> None:
    """Say that this process has done its part: it may end before the others."""
    for watcher in _watching:
        watcher.end(_DONE)


class _Watcher:
    def __init__(self, advice: Callable[[], str]):
        self._advice = advice
        self._me, self._count = jax.process_index(), jax.process_count()
        self._peers: dict[int, socket.socket] = {}
        self._ended = False
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Connect every process with the first."""
        listener = socket.create_server(("", 0)) if self._me == 0 else None
        here = f"{socket.gethostname()} {listener.getsockname()[1]}" if listener else ""
        said = np.zeros(_TOKEN + 256, np.uint8)
        said[:_TOKEN] = np.frombuffer(secrets.token_bytes(_TOKEN), np.uint8)
        said[_TOKEN : _TOKEN + len(here)] = np.frombuffer(here.encode(), np.uint8)
        said = np.asarray(multihost_utils.broadcast_one_to_all(said), np.uint8).tobytes()
        token, (host, port) = said[:_TOKEN], said[_TOKEN:].rstrip(b"\0").decode().split()
        if listener:
            self._run(self._accept, listener, token)
            return
        try:
            first = socket.create_connection((host, int(port)), timeout=_PATIENCE)
        except OSError:  # the network does not let it through
            return
        first.sendall(token + _MESSAGE.pack(_DONE, self._me))
        self._add(0, first)

    def end(self, kind: bytes) -> None:
        """Tell the others how this process ends."""
        with self._lock:
            ended, self._ended, peers = self._ended, True, list(self._peers.values())
        for peer in peers if not ended else ():
            _send(peer, kind, self._me)  # they stay open: what is closed has died

    def _accept(self, listener: socket.socket, token: bytes) -> None:
        listener.settimeout(_PATIENCE)
        with listener:
            while len(self._peers) < self._count - 1:
                try:
                    peer, _ = listener.accept()
                    peer.settimeout(_PATIENCE)
                    said = _receive(peer, _TOKEN + _MESSAGE.size)
                except OSError:
                    return
                if said and secrets.compare_digest(said[:_TOKEN], token):
                    self._add(_MESSAGE.unpack(said[_TOKEN:])[1], peer)

    def _add(self, process: int, peer: socket.socket) -> None:
        peer.settimeout(None)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine can die as well
        with self._lock:
            self._peers[process] = peer
        self._run(self._listen, process, peer)

    def _listen(self, process: int, peer: socket.socket) -> None:
        try:
            said = _receive(peer, _MESSAGE.size)
        except OSError:
            said = None
        kind, about = _MESSAGE.unpack(said) if said else (_DIED, process)
        with self._lock:
            others = [other for other in self._peers.values() if other is not peer]
        if kind == _DONE or self._ended:
            return
        for other in others:  # of the first process: no other has any
            _send(other, kind, about)
        self._end_with(kind, about)

    def _end_with(self, kind: bytes, about: int) -> None:
        if kind == _FAILED:
            time.sleep(_GRACE)
        # What JAX's threads have to say of the same goes nowhere from here on.
        stderr = os.dup(2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        if self._me == min(process for process in range(self._count) if process != about):
            how = "has died" if kind == _DIED else "ended with an error, which it names"
            line = f"error: process {about} of {self._count} {how}. {self._advice()}\n"
            os.write(stderr, line.encode())
        os._exit(1)  # the main thread waits for the one that is gone

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()


def _send(peer: socket.socket, kind: bytes, process: int) -> None:
    try:
        peer.sendall(_MESSAGE.pack(kind, process))
    except OSError:  # it is gone as well
        return


def _receive(peer: socket.socket, size: int) -> bytes | None:
    """So many bytes; None if the other end is closed before."""
    found = b""
    while len(found) < size:
        more = peer.recv(size - len(found))
        if not more:
            return None
        found += more
    return found
