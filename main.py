"""Train a score-based model, or sample from one: python main.py --help.

The same command as score-sde, which is installed with the package.
"""

import sys

from score_sde.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
