"""`python -m score_sde.evaluation.classified CLASSIFIER FOLDER`: see score_sde.cli.classified.

The command opens a run, of which evaluation knows nothing.
"""

import importlib
import sys

if __name__ == "__main__":
    # By its name, because nothing in this package imports what stands above it.
    sys.exit(importlib.import_module("score_sde.cli.classified").main())
