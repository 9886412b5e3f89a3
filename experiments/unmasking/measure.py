"""What words that a run has drawn are worth, beside the list that it learnt from.

python experiments/unmasking/measure.py RUN

prints a line of JSON with shares in percent and standard errors: of words in the list, of those
among them that were held out, of words that are no repetition, and the mean bits of a word by the
list's own 5-grams.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments import measuring
from score_sde.data import load, words
from score_sde.evaluation import ngrams

ORDER = 5


def measured(run: Path) -> dict[str, Any]:
    """Of the samples of a run.

    Args:
        run: the row's folder, with config.json and samples.npz.
    """
    data = json.loads((run / "config.json").read_text())["data"]
    sources = [load(data["name"], split, data_dir=data["dir"] or None) for split in _SPLITS]
    (field,) = sources[0].info.fields
    parts = [source.gather(np.arange(len(source)))[field.name] for source in sources]
    found = ngrams.judged(run / "samples.npz", parts, ORDER, field.values, words.END)
    return {
        "words": _mean(100.0 * (found.seen | found.held_out)),
        "held_out": _mean(100.0 * found.held_out),
        "distinct": 100 * found.distinct / len(found.bits),
        "bits": _mean(found.bits),
    }


_SPLITS = ("train", "test")


def _mean(values: np.ndarray) -> dict[str, float]:
    """With its standard error, over the words."""
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return {"value": float(values.mean()), "standard_error": float(error)}


main = measuring.program("experiments/unmasking/measure.py", __doc__, measured)

if __name__ == "__main__":
    sys.exit(main(sys.argv))
