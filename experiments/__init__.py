"""Studies, and programs that measure: python -m experiments.NAME."""

import signal
import sys

# As interrupts.end_at_once, which comes too late: it lies in a package that imports JAX. Python
# looks for the module that -m names, and in this package first.
if sys.argv[:1] == ["-m"] and any(
    word.removeprefix("-m").split(".")[0] == __name__ for word in sys.orig_argv
):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
