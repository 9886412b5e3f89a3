"""Tables of the reference: each solver with its error, each metric with its protocol."""

import csv
import math

import pytest
from program import ROOT

from publishing.site import tables
from score_sde.evaluation.metrics import METRICS
from score_sde.interop.catalogue import CATALOGUE
from score_sde.samplers.solvers import SOLVERS


@pytest.fixture(scope="module")
def pages():
    return {page.uri: page.text for page in tables.pages()}


def test_every_solver_has_an_error():
    """Measured, or that of the one that it is; noise that is always there is no error of theirs."""
    without = {name for name in SOLVERS if not tables.measured(name)}
    assert without == {"restart"}
    assert tables.measured("euler") == "Measured as `ddim`."


def test_errors_are_means_over_processes():
    """Of one cell by hand; the order is about that of the formula."""
    path = ROOT / "experiments" / "exact_solvers" / "results" / "table.csv"
    with path.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["solver"] == "dpmpp_2m"]
    keys = {"data": "digits", "grid": "log_snr", "quantity": "error"}
    errors = [float(r["10"]) for r in rows if all(r[k] == v for k, v in keys.items())]
    assert len(errors) == 7
    mean = math.prod(errors) ** (1 / 7)
    (line,) = (x for x in tables.measured("dpmpp_2m").splitlines() if x.startswith("| `dpmpp_2m` "))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == "2.0"
    assert float(cells[4]) == pytest.approx(mean, rel=0.05)


def test_every_metric_has_its_place(pages):
    """With what its file says."""
    text = pages["reference/metrics.md"]
    assert [name for name in METRICS if f"\n### `{name}`\n" not in text] == []
    assert "Song et al.\n2021 (arXiv 2011.13456, Section 4.3)" in text
    assert "see SampleMetric" not in text


def test_every_release_has_its_row(pages):
    text = pages["reference/weights.md"]
    for one in CATALOGUE:
        assert f"| **{one.name}**<br>" in text
        assert f"<br>`{one.test.rpartition('/')[2].removesuffix('.py')}` |" in text
