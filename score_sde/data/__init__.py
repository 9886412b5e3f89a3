"""Data sets and batches.

    source = data.load("cifar10", "train")
    for batch in data.train_batches(source, batch_size=128, seed=0):   # an array a field, by name:
        ...                              # {"image": uint8 [128, 32, 32, 3], "label": int32 [128]}

`python -m score_sde.data prepare cifar10` downloads a set, `... info cifar10` describes it.
"""

from score_sde.data import arrays
from score_sde.data.base import DataError, Info, Source, SplitError
from score_sde.data.load import BY_PATH, IN_MEMORY, load, prepare, register
from score_sde.data.pipeline import COUNTS, eval_batches, train_batches

__all__ = [
    "BY_PATH",
    "COUNTS",
    "IN_MEMORY",
    "DataError",
    "Info",
    "Source",
    "SplitError",
    "arrays",
    "eval_batches",
    "load",
    "prepare",
    "register",
    "train_batches",
]
