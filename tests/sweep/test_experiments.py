"""The studies that come with the code: their published numbers, and that they can be run."""

import functools

import pytest
from program import ROOT

from score_sde.cli import flags
from score_sde.runs import config as configs
from score_sde.sweep.plan import plan
from score_sde.sweep.study import load

pytestmark = pytest.mark.slow

# Song et al. 2021 (arXiv 2011.13456): Table 1 as P1000, P2000, PC1000 of VE, then of VP.
TABLE1 = {
    "Ancestral sampling": "4.98±.06 4.88±.06 3.62±.03; 3.24±.02 3.24±.02 3.21±.02",
    "Reverse diffusion": "4.79±.07 4.74±.08 3.60±.02; 3.21±.02 3.19±.02 3.18±.01",
    "Probability flow": "15.41±.15 10.54±.08 3.51±.04; 3.59±.04 3.23±.03 3.06±.03",
}
C2000 = "20.43±.07; 19.06±.06"
# Bits/dim and FID; FID and Inception Score.
TABLE2 = """
DDPM cont. VP 3.21/3.69, DDPM cont. sub-VP 3.05/3.56; DDPM++ cont. VP 3.16/3.93,
DDPM++ cont. sub-VP 3.02/3.16; DDPM++ cont. deep VP 3.13/3.08, DDPM++ cont. deep sub-VP 2.99/2.92
"""
TABLE3 = """
DDPM++ 2.78/9.64; DDPM++ cont. (VP) 2.55/9.58; DDPM++ cont. (sub-VP) 2.61/9.56;
DDPM++ cont. (deep, VP) 2.41/9.68; DDPM++ cont. (deep, sub-VP) 2.41/9.57; NCSN++ 2.45/9.73;
NCSN++ cont. (VE) 2.38/9.83; NCSN++ cont. (deep, VE) 2.20/9.89
"""
TABLE4 = {
    "Ancestral sampling": "4.92±.02; 3.11±.03",
    "Reverse diffusion": "4.72±.07; 3.10±.03",
    "Probability flow": "12.87±.09; 3.25±.04",
}
TABLE5 = ".17 .16 .17; .01 .01 .04"  # PC1000, in the order of Table 1's rows
TABLE5_C2000 = ".22; .27"
SDES = ("VE", "VP")
STUDIES = (
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "digits_solvers",
    "posterior",
    "objectives",
    "widths",
    "unmasking",
)


@functools.cache
def planned(name, smoke):
    """The plan of a study, made once for all that is asked of it."""
    return plan(ROOT / "experiments" / name, smoke)


def published(name, smoke=False):
    return load(ROOT / "experiments" / name, smoke).published


def by_sde(text):
    return zip(SDES, text.split("; "), strict=True)


def test_table_1():
    expected = {(sde, "Corrector only", "C2000"): (number,) for sde, number in by_sde(C2000)}
    for predictor, text in TABLE1.items():
        for sde, numbers in by_sde(text):
            for sampler, number in zip(("P1000", "P2000", "PC1000"), numbers.split(), strict=True):
                expected[sde, predictor, sampler] = (number,)
    assert published("table1") == published("table1", smoke=True) == expected
    assert len(expected) == 20


def test_table_2():
    entries = [e.split() for e in TABLE2.replace(";", ",").replace("\n", " ").split(",")]
    expected = {(" ".join(e[:-2]), e[-2]): tuple(e[-1].split("/")) for e in entries}
    assert published("table2") == published("table2", smoke=True) == expected
    assert len(expected) == 6


def test_table_3():
    entries = [e.rsplit(maxsplit=1) for e in TABLE3.strip().replace("\n", " ").split("; ")]
    expected = {(name.strip(),): tuple(numbers.split("/")) for name, numbers in entries}
    assert published("table3") == published("table3", smoke=True) == expected
    assert len(expected) == 8


def test_table_4():
    expected = {
        (sde, predictor, "P2000"): (number,)
        for predictor, text in TABLE4.items()
        for sde, number in by_sde(text)
    }
    assert published("table4") == published("table4", smoke=True) == expected


def test_table_5_and_that_table_1_uses_it():
    expected = {(sde, "Corrector only", "C2000"): (snr,) for sde, snr in by_sde(TABLE5_C2000)}
    for sde, snrs in by_sde(TABLE5):
        for predictor, snr in zip(TABLE1, snrs.split(), strict=True):
            expected[sde, predictor, "PC1000"] = (snr,)
    assert published("table5") == published("table5", smoke=True) == expected
    for point in load(ROOT / "experiments" / "table1").points:
        sampler = point.labels["sampler"]
        if sampler in ("PC1000", "C2000"):
            (snr,) = expected[tuple(point.labels.values())]
            assert point.changes["sampling.predictor_corrector.snr"] == float(snr)
    tried = {
        (*study_point.labels.values(),)[:3]: []
        for study_point in load(ROOT / "experiments" / "table5").points
    }
    for point in load(ROOT / "experiments" / "table5").points:
        tried[(*point.labels.values(),)[:3]].append(float(point.labels["snr"]))
    assert all(float(snr) in tried[labels] for labels, (snr,) in expected.items())


@pytest.mark.parametrize("smoke", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_every_row_can_be_run(name, smoke, monkeypatch):
    """Every config is valid, and main.py reads from the command lines what the study means."""
    monkeypatch.chdir(ROOT)
    found = planned(name, smoke)
    for row in (found.rows[0], found.rows[-1]):
        for job in (found.trainings[row.trained], found.evaluations[row.id]):
            for program in job.programs:
                if "main.py" in program.argv:
                    line = flags.parse(list(program.argv[1:]))
                    if line.workdir.name.endswith("-first"):  # what it begins as, another recipe
                        assert (line.mode, line.config.seed) == ("train", row.config.seed)
                        assert configs.difference(row.config, line.config, ("model",)) is None
                        continue
                    sections = ("sde", "model", "data", "training", "optim", "seed")
                    if line.mode != "train":
                        sections += ("sampling", "evaluation")
                    assert configs.difference(row.config, line.config, sections) is None


@pytest.mark.parametrize("name", STUDIES[:5])
def test_the_tables_are_measured_as_in_the_paper(name, monkeypatch):
    """50,000 samples in batches of 1024; bits/dim from t = 1e-5, over five dequantisations."""
    monkeypatch.chdir(ROOT)
    for row in planned(name, False).rows:
        evaluation = row.config.evaluation
        assert "fid" in evaluation.metrics
        assert evaluation.samples.num_samples == 50_000
        assert evaluation.samples.features == "inception"
        assert evaluation.batch_size == 1024
        assert (evaluation.split, evaluation.num_examples) == ("test", 0)
        assert row.config.data.name == "cifar10"
        if name == "table2":
            assert "bits_per_dim" in evaluation.metrics
            assert evaluation.bits_per_dim.repeats == 5
            assert evaluation.bits_per_dim.t_min == 1e-5
            assert evaluation.bits_per_dim.dequantization == "uniform"
            assert row.config.sampling.sampler == "rk45"
            assert row.config.sampling.denoise_final == "tweedie"
        if name == "table3":
            assert "inception_score" in evaluation.metrics


def test_tables_1_4_and_5_share_two_trainings(monkeypatch):
    monkeypatch.chdir(ROOT)
    trained = [set(planned(f"table{n}", False).trainings) for n in (1, 4, 5)]
    assert trained[0] == trained[1] == trained[2]
    assert len(trained[0]) == 2


def test_the_study_that_the_readme_shows_can_be_run(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "experiments" / "README.md").read_text()
    (tmp_path / "sweep.py").write_text(text.split("```python\n")[1].split("```")[0])
    found = plan(tmp_path)
    assert (len(found.trainings), len(found.rows)) == (2, 12)


@pytest.mark.parametrize("name", STUDIES)
def test_the_index_counts_trainings_and_rows(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = planned(name, False)
    lines = (ROOT / "experiments" / "README.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"| [{name}]")]
    assert line.endswith(f"| {len(found.rows)} |")
    trained = sum(bool(job.programs) for job in found.trainings.values())
    assert f"| {trained} |" in line or "| those of table1 |" in line
