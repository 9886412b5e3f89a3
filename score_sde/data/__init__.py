"""Data sets and batches.

    source = data.load("cifar10", "train")
    for batch in data.train_batches(source, batch_size=128, seed=0):   # {"image": uint8, "label":
        int32} ...

`python -m score_sde.data prepare cifar10` downloads a set, `... info cifar10` describes it.
"""

from score_sde.data.base import DataError, Info, Source, SplitError
from score_sde.data.load import load, prepare
from score_sde.data.pipeline import eval_batches, train_batches
from score_sde.spaces.pixels import dequantize, from_model, random_flip, to_model

__all__ = [
    "DataError",
    "Info",
    "Source",
    "SplitError",
    "dequantize",
    "eval_batches",
    "from_model",
    "load",
    "prepare",
    "random_flip",
    "to_model",
    "train_batches",
]
