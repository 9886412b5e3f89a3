"""Folders of runs and of a study as the programs leave them, written down in a moment."""

import csv
import json

import numpy as np
import pytest

from score_sde.metrics_csv import COLUMNS
from score_sde.runs import config as configs
from score_sde.spaces.pictures import save_grid
from score_sde.sweep import results
from score_sde.sweep.plan import plan

# A page that did not escape it would change its title, or lose what comes after.
HOSTILE = """<script>document.title = "run"</script></table><b x="'&amp;"""

ERRORS = [0.1, 0.01, None]

STUDY = """
from score_sde.sweep import DIGITS, SAMPLE, Metric, Plot, Study, axis, product

def study():
    return Study(
        title="A study <b>in small",
        note="Of digits & no others.",
        points=product(
            axis("process", {"VP": {"config": "configs/digits_vp.py"},
                             "sub-VP": {"config": "configs/digits_subvp.py"}}),
            axis("a setting with a long name", {f"{n} steps of the predictor, no corrector":
                             {"sampling.steps": n} for n in (10, 100)}),
        ),
        seeds=(0, 1),
        evaluate=[SAMPLE, DIGITS],
        metrics=[Metric("NFE", "nfe", 0), Metric("Fréchet ratio", "ratio")],
        published={("VP", "10 steps of the predictor, no corrector"): ("10", "4.98±.06")},
        plots=[Plot("quality", "NFE", "Fréchet ratio", along="a setting with a long name",
                    log_x=True, log_y=True)],
    )
"""


def write_config(workdir, steps=1000):
    workdir.mkdir(parents=True, exist_ok=True)
    values = configs.to_json(configs.default())
    values["training"] |= {"steps": steps, "batch_size": 128}
    values["data"]["name"] = HOSTILE
    values["run"] = {
        "data": {
            "name": HOSTILE,
            "split": "train",
            "size": 1297,
            "fields": [
                {"name": HOSTILE, "kind": "image", "shape": [8, 8, 1], "names": [HOSTILE]},
                {"name": "label", "kind": "label", "names": [HOSTILE]},
            ],
        },
        "space": {},
        "parameters": 582265,
        "versions": {"score_sde": "0.1.0"},
    }
    (workdir / "config.json").write_text(json.dumps(values))


def write_metrics(workdir, until=1000, counts=lambda step: ("", "")):
    """A loss that falls to 0.0816, and a rate that is 1500 examples/s."""
    with (workdir / "metrics.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for step in range(50, until + 1, 50):
            held_out = 0.08 + 10 / step if step % 250 == 0 else ""
            rows.writerow(
                [step, 0.0806 + 1 / step, 100 / step, 2e-4, 1500, held_out, *counts(step)]
            )


def write_samples(workdir, name):
    rng = np.random.default_rng(0)
    save_grid(workdir / name, rng.integers(0, 256, (64, 8, 8, 1), dtype=np.uint8))


@pytest.fixture
def run(tmp_path):
    """A run that is finished, sampled and evaluated; all of its text is hostile."""
    workdir = tmp_path / "a run's <i>folder"
    write_config(workdir)
    write_metrics(workdir)
    for step in (250, 500, 750, 1000):
        write_samples(workdir, f"samples/{step}.png")
    for name in ("samples", "class"):
        write_samples(workdir, f"{name}.png")
    protocol = {"data": {"name": HOSTILE}, "weights_sha256": 64 * "0", "times": [0.5] * 500}
    entries = {
        "bits_per_dim": {
            "value": 2.23776,
            "standard_error": 0.011343,
            "unit": "bits/dim",
            "protocol": protocol,
        },
        "loss_by_time": {
            "value": 0.0816,
            "standard_error": None,
            "curve": {"t": [0.1, 0.5, 1.0], "loss": [0.4, 0.04, 0.004], "standard_error": ERRORS},
            "protocol": protocol,
        },
        "a" * 80: {"value": None, "standard_error": None, "protocol": {HOSTILE: HOSTILE}},
    }
    (workdir / "evaluation.json").write_text(json.dumps(entries))
    return workdir


@pytest.fixture
def study(tmp_path):
    """The plan of a study of which everything is done, but for the last point."""
    folder = tmp_path / "experiments" / "study"
    folder.mkdir(parents=True)
    (folder / "sweep.py").write_text(STUDY)
    found = plan(folder)
    for training in found.trainings.values():
        write_config(training.folder)
        write_metrics(training.folder)
        write_samples(training.folder, "samples/1000.png")
    for number, row in enumerate(found.rows[:-2]):
        job = found.evaluations[row.id]
        write_config(job.folder)
        write_samples(job.folder, "samples.png")
        nfe = row.config.sampling.steps
        results.write_json(job.result, {"evaluation": {"nfe": nfe, "ratio": 50 / nfe + number}})
    return found
