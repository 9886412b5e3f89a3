"""Train a score-based model, or sample from one: python main.py --help."""

import sys

from score_sde.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
