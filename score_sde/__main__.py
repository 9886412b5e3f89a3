"""The command line as it is installed: score-sde, or python -m score_sde. See main.py."""

import signal
import sys

# As in main.py: Ctrl-C while packages are imported would print their tracebacks.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from score_sde import cli  # noqa: E402


def main() -> int:
    """Run what was typed; returns the exit code."""
    return cli.main(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
