"""The report of a sweep: what compares its runs."""

import re

from score_sde.sweep import __main__ as command
from score_sde.sweep import overview

from .test_document import Document, words


def test_runs_are_compared(study):
    text = words(overview.write(study))
    assert "A study <b>in small" in text
    assert "Of digits & no others." in text
    assert "6 of 8 rows are done." in text
    # The mean and the standard error over two seeds, 5 and 6, beside the published number.
    assert "10 steps of the predictor, no corrector 10 10 5.50 ± 0.50 4.98±.06 2" in text
    assert "± is the standard error of the mean over the seeds." in text
    assert "by NFE. Of digits & no others. Seeds 0, 1." in text
    for heading in ("Measured and published", "Curves", "Training", "Samples"):
        assert heading in text
    document = Document(study.results / "report.html")
    charts = [v for name, v in document.attributes if name == "aria-label" and " by " in v]
    assert charts == [
        "Fréchet ratio by NFE",
        "Training loss by step",
        "Held-out loss by step",
        "Throughput, examples/s by step",
    ]
    assert "b" not in document.tags


def test_trainings_share_one_legend_of_what_tells_them_apart(study):
    document = Document(overview.write(study))
    assert document.texts.count(" VP") == 2  # the plot's legend and that of all trainings
    assert document.texts.count(" sub-VP") == 2
    html = (study.results / "report.html").read_text()
    losses = re.findall(r'aria-label="Held-out loss by step">(.*?)</svg>', html, re.DOTALL)
    assert set(re.findall(r'stroke="(var[^"]*)"', losses[0])) == {"var(--c0)", "var(--c1)"}
    assert losses[0].count("<circle") == 8  # four of each


def test_samples_are_those_of_the_first_seed(study):
    texts = [v for name, v in Document(overview.write(study)).attributes if name == "alt"]
    steps = "steps of the predictor, no corrector"
    assert texts == [
        f"samples of VP | 10 {steps}",
        f"samples of VP | 100 {steps}",
        f"samples of sub-VP | 10 {steps}",
        "samples of VP at step 1000",
        "samples of sub-VP at step 1000",
    ]


def test_a_study_without_any_result(study):
    for job in study.evaluations.values():
        job.result.unlink(missing_ok=True)
    for training in study.trainings.values():
        (training.folder / "metrics.csv").unlink()
    text = words(overview.write(study))
    assert "0 of 8 rows are done." in text
    assert "Curves" not in text
    assert "4.98±.06" in text


def test_the_command(study, capsys):
    assert command.main(["sweep", "report", str(study.folder)]) == 0
    assert "wrote " in capsys.readouterr().out
    training = next(iter(study.trainings.values()))
    (training.folder / "metrics.csv").write_text("no metrics\n1\n")
    assert command.main(["sweep", "report", str(study.folder)]) == 0
    text = words(study.folder / "results" / "report.html")
    assert text.count("Not all of metrics.csv of ") == 1
    assert "metrics.csv of VP is shown: it has other columns." in text
