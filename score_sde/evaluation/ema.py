"""`python -m score_sde.evaluation.ema RUN --lengths=0.05,0.10`: see score_sde.cli.ema.

The command opens a run, of which evaluation knows nothing.
"""

import importlib
import sys

if __name__ == "__main__":
    # By its name, because nothing in this package imports what stands above it.
    sys.exit(importlib.import_module("score_sde.cli.ema").main())
