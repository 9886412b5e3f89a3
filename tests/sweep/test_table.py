"""Tables: numbers over seeds, beside the published ones; the best along an axis; plots."""

import csv
import dataclasses
import json
import math

import pytest
from PIL import Image
from program import ROOT

from score_sde import images
from score_sde.sweep import table
from score_sde.sweep.plan import plan
from score_sde.sweep.plot import curves
from score_sde.sweep.results import Number, over_seeds, read_metric

STUDY = """
from score_sde.sweep import SAMPLE, Best, Metric, Plot, Study, axis, product


def study(**more):
    return Study(
        title="Widths",
        points=product(
            axis("SDE", {"VP": {"sde.name": "vp"}, "sub-VP": {"sde.name": "subvp"}}),
            axis("steps", {str(n): {"sampling.steps": n} for n in (30, 40, 50)}),
        ),
        base={"config": "configs/digits_vp.py"},
        evaluate=[SAMPLE],
        metrics=[Metric("FID", "fid"), Metric("NFE", "sampling.nfe", 0, published="cost")],
        **more,
    )
"""
MEAN = """
def study():
    return _study(
        seeds=(0, 1, 2),
        published={("VP", "30"): ("3.24±.02", "30"), ("sub-VP", "50"): ("9.99", "50")},
        plots=[Plot("curve", "NFE", "FID", along="steps", log_x=True, levels={"real": 1.0})],
    )
"""
BEST = """
def study():
    return _study(best=Best("steps", "FID"), published={("VP",): ("40",)})
"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes the plan of a study with these results: label, FID by seed."""
    monkeypatch.chdir(ROOT)

    def make(text, fids):
        (tmp_path / "sweep.py").write_text(STUDY.replace("def study", "def _study") + text)
        found = plan(tmp_path)
        for row in found.rows:
            labels = tuple(row.point.labels.values())
            if row.seed < len(fids.get(labels, ())):
                path = found.evaluations[row.id].result
                path.parent.mkdir(exist_ok=True)
                evaluation = {
                    "fid": {"value": fids[labels][row.seed], "standard_error": 0.25},
                    "sampling": {"nfe": int(labels[1])},
                }
                path.write_text(json.dumps({"evaluation": evaluation}))
        return found

    return make


def grid(text, heading):
    """The cells of the Markdown table whose first column has this heading."""
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]
    start = next(i for i, line in enumerate(lines) if line[0] == heading)
    rows = []
    for line in lines[start:]:
        if len(line) == 1:
            break
        rows.append(line)
    return [rows[0], *rows[2:]]


def test_means_stand_beside_the_published_numbers(made):
    """Of 1, 2 and 6 the mean is 3 and its standard error sqrt(7 / 3) = 1.5275."""
    found = made(MEAN, {("VP", "30"): (1.0, 2.0, 6.0), ("VP", "40"): (4.0,)})
    path, _ = table.write(found)
    text = path.read_text()
    head, *rows = grid(text, "SDE")
    assert head == ["SDE", "steps", "FID", "FID, published", "NFE", "cost, published", "seeds"]
    assert rows[0] == ["VP", "30", "3.00 ± 1.53", "3.24±.02", "30", "30", "3"]
    assert rows[1] == ["VP", "40", "4.00 ± 0.25", "—", "40", "—", "1"]  # its evaluation's error
    assert rows[5] == ["sub-VP", "50", "—", "9.99", "—", "50", "0"]
    assert (
        "± is the standard error of the mean over the seeds; of one seed, the one that the "
        "evaluation states.\n"
    ) in text


def test_a_number_that_is_not_finite_is_not_passed_over(made):
    """A mean of the others would look like one of all seeds."""
    found = made(MEAN, {("VP", "30"): (1.0, 3.0, math.nan), ("VP", "40"): (math.inf, 4.0)})
    text = table.write(found)[0].read_text()
    _, *rows = grid(text, "SDE")
    assert rows[0][2] == "2.00 ± 1.00 (of 2 of 3)"
    assert rows[0][4] == "30"
    assert rows[1][2] == "4.00 ± 0.25 (of 1 of 2)"
    assert "—: not measured yet, not finite, or not published." in text


def test_csv_has_all_digits(made):
    found = made(MEAN, {("VP", "30"): (1.0, 2.0, 6.0), ("VP", "40"): (1 / 3,)})
    _, path = table.write(found)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["FID"]) == 3.0
    assert float(rows[0]["FID standard error"]) == pytest.approx(math.sqrt(7 / 3), rel=1e-12)
    assert rows[0]["FID published"] == "3.24±.02"
    assert float(rows[1]["FID"]) == 1 / 3
    assert (rows[5]["FID"], rows[5]["FID standard error"], rows[5]["seeds"]) == ("", "", "0")


def test_the_best_along_an_axis(made):
    fids = {("VP", "30"): (5.0,), ("VP", "40"): (4.0,), ("VP", "50"): (4.5,)}
    found = made(BEST, fids | {("sub-VP", "50"): (7.0,)})
    markdown, comma = table.write(found)
    text = markdown.read_text()
    head, *rows = grid(text, "SDE")
    assert head == ["SDE", "best steps", "best steps, published", "FID there"]
    assert rows == [
        ["VP", "40", "40", "4.00 ± 0.25"],
        ["sub-VP", "50 (of 1 of 3)", "—", "7.00 ± 0.25"],
    ]
    assert "| sub-VP | 50    | 7.00 ± 0.25" in text  # all points follow
    with comma.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["best steps published"] for row in rows] == ["40"] * 3 + [""] * 3
    assert rows[5]["FID"] == "7.0"
    assert "FID published" not in rows[0]


def test_a_metric_is_a_number_or_an_entry_of_evaluation_json():
    entry = {"bits": {"value": 2.5, "standard_error": "no", "nfe_mean": 31}, "bad": math.nan}
    assert read_metric(entry, "bits") == Number(2.5)
    assert read_metric(entry, "bits.nfe_mean") == Number(31.0)
    entry |= {"words": {"value": "2.5"}, "huge": {"value": 10**400}, "yes": True}
    for path in ("bad", "absent", "bits.absent", "bits.nfe_mean.deeper", "words", "huge", "yes"):
        assert read_metric(entry, path) is None


def test_of_one_seed_the_error_is_the_evaluations():
    assert over_seeds([None, Number(2.0, 0.1)]) == Number(2.0, 0.1)
    assert over_seeds([Number(1.0, 9.0), Number(3.0, 9.0)]) == Number(2.0, 1.0, 2)
    assert over_seeds([None]) is None


def test_plots_have_a_curve_for_each_combination_of_the_other_axes(made, capsys, monkeypatch):
    from score_sde.sweep.__main__ import main

    found = made(MEAN, {("VP", "40"): (1.0, 3.0), ("VP", "30"): (2.0,), ("sub-VP", "50"): (5.0,)})
    (plot,) = found.study.plots
    assert curves(plot, table.lines(found)) == {
        "VP": [(30.0, 2.0, 0.25), (40.0, 2.0, 1.0)],
        "sub-VP": [(50.0, 5.0, 0.25)],
    }
    some = dataclasses.replace(plot, only=[{"SDE": ("VP",), "steps": ("30", "50")}])
    assert curves(some, table.lines(found)) == {"VP": [(30.0, 2.0, 0.25)]}
    either = dataclasses.replace(plot, only=[{"steps": ("30",)}, {"SDE": ("sub-VP",)}])
    assert curves(either, table.lines(found)) == {
        "VP": [(30.0, 2.0, 0.25)],
        "sub-VP": [(50.0, 5.0, 0.25)],
    }
    figures = []
    monkeypatch.setattr("matplotlib.pyplot.close", figures.append)
    assert main(["sweep", "plot", str(found.folder)]) == 0
    assert figures[-1].legends[0].get_title().get_text() == "SDE"  # what tells curves apart
    assert "curve.png" in capsys.readouterr().out
    assert Image.open(found.results / "curve.png").size[0] > 500
    said = json.loads(images.about(found.results / "curve.png"))
    assert said == {"study": found.study.title, "of": found.study.about}
    before = (found.results / "curve.png").read_bytes()
    assert main(["sweep", "plot", str(found.folder)]) == 0
    assert (found.results / "curve.png").read_bytes() == before
