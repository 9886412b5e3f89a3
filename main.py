"""Train a score-based model, or sample from one: python main.py --help.

The same command as score-sde, which is installed with the package.
"""

import signal
import sys

# Ctrl-C while packages are imported would print their tracebacks; what has something to save
# listens to it later.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from score_sde.__main__ import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
