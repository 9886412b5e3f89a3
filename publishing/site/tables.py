"""Tables of the reference: weights that open, solvers as measured, metrics with their protocols."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import statistics
from collections.abc import Sequence
from typing import Any

from experiments.exact_solvers import tables
from experiments.exact_solvers.measure import Curve
from publishing.site.page import ROOT, Page, docstring, escaped, table
from score_sde.evaluation.metric import SAMPLES
from score_sde.evaluation.metrics import METRICS
from score_sde.interop import catalogue

# What of the code has a page that is made of it.
SOURCES = {
    "score_sde/interop/catalogue.py": "reference/weights.md",
    "score_sde/evaluation/metrics": "reference/metrics.md",
    "score_sde/samplers": "reference/config/sampling.md",
}
GRID = "log_snr"
FEW, MANY = 10, 40  # evaluations
# Solvers that are, on an exact denoiser and without noise, others that were measured.
SAME = {
    "euler": "`ddim`",
    "edm": "`heun` without churn",
    "dpmpp_2m_sde": "`dpmpp_2m` with eta = 0",
    "dpmpp_sde": "`dpmpp_2s` with eta = 0",
    "sa_solver": "`unipc` of order 3 without noise, to four digits",
}


def pages() -> list[Page]:
    """All of them but that of solvers, which stands beside their formulas; see `measured`."""
    return [
        Page("reference/weights.md", _weights()),
        Page("reference/metrics.md", _metrics()),
    ]


def _weights() -> str:
    head = ("what, as released, and as which it opens", "parameters", "error", "licence")
    rows: list[tuple[str, ...]] = []
    for one in catalogue.CATALOGUE:
        name, released, licence = map(escaped, (one.name, one.released, one.licence))
        what = f"**{name}**<br>{released}" + (f"<br>`{one.opens}`" if one.opens else "")
        beside = "¹" if one.beside == catalogue.REFERENCE else "²"
        test = one.test.rpartition("/")[2].removesuffix(".py")
        rows.append((what, f"{one.parameters:,}", f"{one.error:.0e} {beside}<br>`{test}`", licence))
    return "\n\n".join(
        (
            "# Released weights that open",
            "Files and folders as their authors released them, by "
            "`--mode=import --checkpoint=FILE_OR_FOLDER`, without PyTorch and without running "
            "anything that is in them. Beside them open adapters (LoRA, LoCon, DoRA), IP-Adapters, "
            "motion adapters of AnimateDiff and the text and image encoders of CLIP and T5.",
            table(head, rows),
            "Where no recipe is named, the config is proposed from the file. The error is the "
            "relative one (L2, float32) that the named test of tests/interop/ accepts at most. "
            f"¹ Beside {catalogue.REFERENCE}, of small networks with made-up weights in the layout "
            f"of the release; no released weights were at hand. ² Beside {catalogue.FORMULAS}.",
            "Opening a file is no licence to use it: what the authors allow is in the last column, "
            "as it was found on 2026-11-28, in brackets where, and their own words count. "
            "*Not stated* is no permission.",
        )
    )


def _metrics() -> str:
    parts = [
        "# Metrics",
        "What each measures, by which protocol, and where it comes from. `--mode=evaluate` "
        "measures those of `config.evaluation.metrics` and writes each, with its protocol, into "
        "`evaluation.json`; their options are [fields of the config](config/evaluation.md).",
    ]
    for title, of_samples in (("Of examples", False), ("Of samples", True)):
        parts.append(f"## {title}")
        for name, cls in METRICS.items():
            if (cls.NEEDS == SAMPLES) == of_samples:
                parts += [f"### `{name}`", *_metric(cls)]
    return "\n\n".join(parts)


def _metric(cls: Any) -> list[str]:
    """What its file says; of one of samples, which entries it gives."""
    parts = [docstring(importlib.import_module(cls.__module__).__doc__)]
    if cls.NEEDS == SAMPLES:
        gives = (inspect.getdoc(cls.judge) or "").partition("\n\n")[0]
        parts.append(docstring(gives.partition("; see")[0].rstrip(".") + "."))
    return parts


def measured(member: str) -> str:
    """The errors of a solver as it was measured, or of which other they are; "" of the others."""
    own = [curve for curve in _curves() if curve.solver.split()[0].rstrip(",") == member]
    if not own:
        same = SAME.get(member)
        return f"Measured as {same}." if same else ""
    head = ("measured", "order", f"bumps, {FEW}", f"{MANY}", f"digits, {FEW}", f"{MANY}")
    rows = []
    for name in dict.fromkeys(curve.solver for curve in own):
        bumps, digits = (
            [c for c in own if c.solver == name and c.data == data] for data in ("bumps", "digits")
        )
        order = statistics.median(c.order for c in bumps if not math.isnan(c.order))
        errors = [_mean(curves, n) for curves in (bumps, digits) for n in (FEW, MANY)]
        rows.append((f"`{name}`", f"{order:.1f}", *errors))
    return table(head, rows)


def _mean(curves: Sequence[Curve], number: int) -> str:
    """The geometric mean over the processes."""
    found = [curve.errors[number] for curve in curves if number in curve.errors]
    return f"{math.exp(statistics.fmean(map(math.log, found))):.1e}" if found else ""


@functools.cache
def _curves() -> list[Curve]:
    found = tables.read(ROOT / "experiments" / "exact_solvers" / "results")
    return [curve for curve in found if curve.grid == GRID]


MEASURED = (
    "Beside the formulas stand errors as measured on exact denoisers, and the fitted order of "
    f"convergence: with {FEW} and {MANY} evaluations on the grid {GRID}, means over seven "
    "processes; of two bumps the largest error of six paths, of 1,297 digits the median. "
    "[All of them](../../../experiments/exact_solvers), by grid and process."
)
