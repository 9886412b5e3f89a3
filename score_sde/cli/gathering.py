"""The processes of a run, until all have come: what is said meanwhile, and the end if one does not.

JAX waits without a word, and then ends the process with a stack of C++; where its port is taken it
ends with a segmentation fault.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator

from score_sde.cli.cluster import Cluster
from score_sde.errors import UserError

SOON = 10.0  # seconds after which it is said that there is something to wait for
LAST = 300.0  # seconds after which it is given up


def check_port(cluster: Cluster) -> None:
    """Raise UserError if this is the first process and it cannot listen where the others look.

    Raises:
        UserError: its port is taken, or may not be had.
    """
    if cluster.process_id or os.environ.get("JAX_COORDINATOR_BIND_ADDRESS"):
        return
    port = int(cluster.coordinator_address.rpartition(":")[2])
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=dual).close()
    except OSError as error:
        raise UserError(
            f"--coordinator={cluster.coordinator_address}: port {port} cannot be listened at: "
            f"{error.strerror}. Give all processes another"
        ) from error


@contextlib.contextmanager
def waiting(cluster: Cluster | None) -> Iterator[None]:
    """While entered, the other processes are waited for.

    After some seconds a line on stderr says so; if they have not come in the end, another one does,
    and the process ends with exit code 1: the main thread cannot be woken.

    Args:
        cluster: who they are; None where JAX has found out by itself.
    """
    if cluster is None:
        me, where = "--distributed", ""
    else:
        me = f"process {cluster.process_id} of {cluster.num_processes}"
        where = f" to {cluster.coordinator_address}"
    come = threading.Event()

    def watch() -> None:
        if come.wait(SOON):
            return
        print(f"{me}: waiting for all to come{where} ...", file=sys.stderr, flush=True)
        if not come.wait(LAST - SOON):
            line = f"error: {me}: not all came{where} within {LAST:g} s: start all, with one and "
            os.write(2, f"{line}the same address and number of processes\n".encode())
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        come.set()
