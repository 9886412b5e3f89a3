"""What the report of a run says, whatever is missing; and what it does about bad input."""

import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from program import ROOT

from score_sde import metrics_csv, records, report
from score_sde.report import __main__ as command
from score_sde.report import document, read
from score_sde.report.document import duration, measured

from .conftest import HOSTILE, write_config, write_metrics, write_samples


class Document(HTMLParser):
    """Text, tags and attributes of a page; every element must be closed."""

    EMPTY = frozenset(("meta", "img", "wbr", "br", "path", "circle"))

    def __init__(self, path):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)

    @property
    def text(self):
        return "".join(self.texts)


def words(path):
    """The words, those of neighbouring elements too, with single spaces."""
    return " ".join(" ".join(Document(path).texts).split())


def test_a_finished_run_tells_everything(run):
    text = words(report.write(run))
    assert "1,000 of 1,000: finished" in text
    assert "held-out loss 0.09 training loss 0.0816" in text
    assert "1,500 median; 1 min 25 s of training steps" in text  # 1000 x 128 / 1500 = 85.3 s
    assert "582,265" in text
    assert "2.238 ± 0.011 bits/dim" in text
    assert "0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, … (500 in all)" in text
    for heading in ("Evaluation", "Training", "Samples", "Configuration"):
        assert heading in text
    (curve,) = re.findall(
        r'"loss_by_time by t">(.*?)</svg>', (run / "report.html").read_text(), re.S
    )
    assert curve.count("<circle") == 3
    assert len(re.findall(r"M[\d.]+ [\d.]+V", curve)) == 2  # one error is not known
    for caption in ("Loss", "Throughput", "Norm of the gradient", "Learning rate", "Step 750"):
        assert caption in text
    config = json.loads((run / "config.json").read_text())
    for name in config["training"]:
        assert name in Document(run / "report.html").text


def test_a_metric_shows_its_own_curve_and_its_picture(run):
    """Of the folder evaluation/ alone, whatever path an entry says."""
    curve = {"t": [0.1, 1.0], "accuracy": [0.9, 0.1], "standard_error": [0.01, 0.01]}
    entries = {
        "accuracy": {"value": 0.9, "standard_error": 0.01, "curve": curve},
        "density_map": {"value": 1.0, "standard_error": None, "picture": "../../density_map.png"},
    }
    (run / "evaluation.json").write_text(json.dumps(entries))
    write_samples(run, "evaluation/density_map.png")
    html = report.write(run).read_text()
    (drawn,) = re.findall(r'"accuracy by t">(.*?)</svg>', html, re.S)
    assert drawn.count("<circle") == 2
    assert 'alt="density map"' in html


def test_all_text_is_escaped(run):
    document = Document(report.write(run))
    assert "script" not in document.tags
    assert document.tags.count("b") == document.tags.count("i") == 0
    assert document.text.count(HOSTILE) == 10
    assert "a run's <i>folder" in document.text


def test_nothing_is_loaded(run):
    """Attributes that load something hold data or nothing; the style sheet has no address."""
    path = report.write(run)
    loading = [
        value
        for name, value in Document(path).attributes
        if name in ("src", "href", "srcset", "data", "action", "xlink:href", "poster")
    ]
    assert len(loading) == 6
    assert all(value.startswith("data:image/png;base64,") for value in loading)
    text = path.read_text()
    assert "url(" not in text
    assert "@import" not in text
    assert "://" not in re.sub(r'src="data:[^"]*"', "", text)


def test_every_picture_has_a_text(run):
    document = Document(report.write(run))
    texts = [value for name, value in document.attributes if name == "alt"]
    assert len(texts) == document.tags.count("img")
    assert "samples at step 750" in texts


def test_the_same_run_gives_the_same_report(run):
    first = report.write(run).read_bytes()
    assert report.write(run).read_bytes() == first
    assert [path.name for path in run.iterdir() if "report" in path.name] == ["report.html"]


def test_a_run_that_has_only_begun(tmp_path):
    write_config(tmp_path)
    text = words(report.write(tmp_path))
    assert "0 of 1,000: 0%, unfinished" in text
    assert "Not evaluated yet." in text
    assert "No step has been logged yet." in text
    (tmp_path / "metrics.csv").write_text(",".join(metrics_csv.COLUMNS) + "\r\n")
    assert "No step has been logged yet." in words(report.write(tmp_path))


def test_an_unfinished_run(tmp_path):
    write_config(tmp_path)
    write_metrics(tmp_path, until=200)
    text = words(report.write(tmp_path))
    assert "200 of 1,000: 20%, unfinished" in text
    assert "training loss 0.0856" in text  # no held-out loss yet
    assert "held-out" not in text


def test_steps_that_were_left_out_and_how_often_it_went_back(tmp_path):
    write_config(tmp_path)
    write_metrics(tmp_path, 300, lambda step: (1200 * (step > 100), 2 * (step > 200)))
    text = words(report.write(tmp_path))
    assert "steps left out 1,200 the last before step 150" in text
    assert "went back 2 times the last before step 250" in text
    write_metrics(tmp_path, 300, lambda step: (0, 0))
    assert "the last before" not in words(report.write(tmp_path))


def test_an_imported_run_has_the_step_of_its_checkpoint(tmp_path):
    write_config(tmp_path)
    for step in ("8", "24"):
        (tmp_path / "checkpoints" / step).mkdir(parents=True)
    assert read.record(tmp_path).step == 24


def test_pictures_are_spread_over_training(tmp_path):
    for step in range(10, 110, 10):
        write_samples(tmp_path, f"samples/{step}.png")
    (tmp_path / "samples" / "mine.png").touch()
    assert [step for step, _ in read.pictures(tmp_path, 4)] == [10, 40, 70, 100]
    assert [step for step, _ in read.pictures(tmp_path, 20)] == list(range(10, 110, 10))


def test_a_picture_that_is_damaged_costs_only_itself(run):
    damaged = run / "samples" / "500.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    document = Document(report.write(run))
    assert "500.png cannot be shown" in document.text
    assert document.tags.count("img") == 5


def test_large_pictures_are_made_smaller(tmp_path):
    from PIL import Image

    write_config(tmp_path)
    noise = Image.effect_noise((3000, 1500), 100)
    noise.save(tmp_path / "samples.png")
    assert report.write(tmp_path).stat().st_size < (tmp_path / "samples.png").stat().st_size / 10
    assert ("width", "640") in Document(tmp_path / "report.html").attributes
    assert ("height", "320") in Document(tmp_path / "report.html").attributes


def test_numbers_with_their_errors():
    assert measured(2.23776, 0.011343) == "2.238 ± 0.011"
    assert measured(1234.5, 31.0) == "1234 ± 31"
    assert measured(2.23776, None) == measured(2.23776, 0.0) == "2.2378"
    assert measured(float("nan"), float("nan")) == "nan"


def test_durations():
    assert [duration(s) for s in (0.2, 59.7, 725, 7260, 100_800)] == [
        "0 s",
        "1 min",
        "12 min 5 s",
        "2 h 1 min",
        "1 d 4 h",
    ]


def refused(capsys, *arguments):
    """The one line of a refused command."""
    assert command.main(["report", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def damage_evaluation(run):
    (run / "evaluation.json").write_text("[1]")


def damage_config(run):
    (run / "config.json").write_text("{")


def lose_the_training_section(run):
    (run / "config.json").write_text('{"run": {}, "data": {}, "sde": {}}')


def write_a_list_of_fields(run):
    values = json.loads((run / "config.json").read_text())
    values["run"]["data"] = [1, 2]
    (run / "config.json").write_text(json.dumps(values))


def change_what_is_sealed(run):
    values = records.sealed(json.loads((run / "config.json").read_text()), inside="run")
    values["training"]["steps"] = 999
    (run / "config.json").write_text(json.dumps(values))


def change_a_number(run):
    entry = records.sealed({"value": 9.432}) | {"value": 9.545}
    (run / "evaluation.json").write_text(json.dumps({"fid": entry}))


def put_a_picture_in_place_of_the_metrics(run):
    (run / "metrics.csv").write_bytes((run / "samples.png").read_bytes())


def lose_the_step(run):
    (run / "metrics.csv").write_text("loss,grad_norm\n1,2\n")


def put_a_pipe_in_place_of_the_metrics(run):
    (run / "metrics.csv").unlink()
    os.mkfifo(run / "metrics.csv")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_config, "config.json is not JSON"),
        (lose_the_training_section, "config.json is not a run's config: it has no section trai"),
        (damage_evaluation, "evaluation.json is not a JSON object"),
        (write_a_list_of_fields, "config.json or evaluation.json in"),
        (change_what_is_sealed, "config.json was changed since it was written"),
        (change_a_number, "evaluation.json: fid was changed since it was written"),
        (shutil.rmtree, "no run in"),
    ],
)
def test_a_damaged_run_is_one_line(run, capsys, damage, message):
    damage(run)
    assert message in refused(capsys, run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    "row",
    [
        "1050,low,,,,,,\r\n",
        "1050,nan,1,1,1,,,\r\n",
        "1050,1,1,1,1,1,1,1,1\r\n",
        "1050,0.5",
        '1,"' + 200_000 * "1" + "\r\n",
    ],
)
def test_a_damaged_row_of_the_metrics_costs_only_itself(run, row):
    with (run / "metrics.csv").open("a", newline="") as file:
        file.write(row)
    text = words(report.write(run))
    assert "Not all of metrics.csv is shown: it has 1 damaged row(s)." in text
    assert "1,000 of 1,000: finished held-out loss 0.09 training loss 0.0816" in text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (put_a_picture_in_place_of_the_metrics, "has other columns"),
        (lose_the_step, "has other columns"),
        (put_a_pipe_in_place_of_the_metrics, "is not a regular file"),
    ],
)
def test_metrics_that_cannot_be_read_cost_only_themselves(run, damage, message):
    damage(run)
    text = words(report.write(run))
    assert f"Not all of metrics.csv is shown: it {message}." in text
    assert "2.238 ± 0.011 bits/dim" in text


def test_a_rate_that_is_infinite_does_not_count(run):
    with (run / "metrics.csv").open("a", newline="") as file:
        file.write("1050,0.5,1,1,inf,\r\n")
    assert "1,500 median; 1 min 25 s of training steps" in words(report.write(run))


@pytest.mark.parametrize("name", ["samples.png", "real.png", "samples/750.png"])
def test_a_pipe_in_place_of_a_picture_is_not_waited_for(run, name):
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    assert f"{Path(name).name} cannot be shown: " in words(report.write(run))


def test_the_command(run, capsys):
    assert command.main(["report", str(run), str(run)]) == 0
    assert capsys.readouterr().out == f"wrote {run / 'report.html'}\n" * 2
    assert "usage" in refused(capsys)
    assert "usage" in refused(capsys, "--help-me")
    assert command.main(["report", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: python -m score_sde.report")
    (run / "report.html").unlink()
    (run / "report.html").mkdir()
    assert "cannot write" in refused(capsys, run)
    assert not list(run.glob("*.partial"))


@pytest.mark.parametrize("damage", [damage_config, damage_evaluation, shutil.rmtree])
def test_a_report_that_cannot_be_written_is_one_warning(run, capsys, damage):
    """So it fails no training."""
    damage(run)
    report.refresh(run)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: no report: ")


def test_any_other_failure_is_one_warning(run, capsys, monkeypatch):
    def fail(record):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(document, "render", fail)
    report.refresh(run)
    assert capsys.readouterr().err == "warning: no report: RuntimeError: two lines\n"


def test_its_page_names_the_command():
    page = (ROOT / "docs" / "howto" / "report.md").read_text()
    assert "python -m score_sde.report runs/digits_vp" in page
