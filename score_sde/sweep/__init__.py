"""Studies: folders under experiments/ that run, resume and render beside the published numbers.

    python -m score_sde.sweep run experiments/NAME          # what is missing, and then the table
    python -m score_sde.sweep run experiments/NAME --smoke  # the same in small: digits, minutes
    python -m score_sde.sweep status experiments/NAME
    python -m score_sde.sweep table experiments/NAME

A study's folder holds

    sweep.py     study() and smoke(), which return a Study
    README.md    the question, and the published numbers
    runs/        working folders; not committed
    results/     a file for each row, table.md, table.csv, plots; committed when worth keeping
"""

from score_sde.sweep.grid import Point, axis, product, zipped
from score_sde.sweep.program import DIGITS, EVALUATE, SAMPLE, TRAIN, Program
from score_sde.sweep.study import Best, Metric, Plot, Study, load

__all__ = [
    "DIGITS",
    "EVALUATE",
    "SAMPLE",
    "TRAIN",
    "Best",
    "Metric",
    "Plot",
    "Point",
    "Program",
    "Study",
    "axis",
    "load",
    "product",
    "zipped",
]
