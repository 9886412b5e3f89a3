"""The command line as it is installed: score-sde, or python -m score_sde. See main.py."""

import sys

from score_sde import cli


def main() -> int:
    """Run what was typed; returns the exit code."""
    return cli.main(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
