"""`python -m score_sde.samplers.tune RUN --sampler=dpmpp_2m --steps=8`: see score_sde.cli.tune.

The command opens a run, of which samplers know nothing; what it minimises is in tuning.py.
"""

import importlib
import sys

if __name__ == "__main__":
    # By its name, because nothing in this package imports what stands above it.
    sys.exit(importlib.import_module("score_sde.cli.tune").main())
