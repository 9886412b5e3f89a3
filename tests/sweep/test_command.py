"""The command line on a study whose programs are small scripts, in this process."""

import dataclasses
import errno
import json
import re
import shutil
import threading
from pathlib import Path

import pytest
from program import ROOT
from tiny import ALL, STUDY

from score_sde.locks import Lock
from score_sde.processes import PROCESSES, VP
from score_sde.sweep import results
from score_sde.sweep.plan import plan

pytestmark = pytest.mark.slow


def test_run_does_everything_once_and_each_training_before_its_rows(tiny):
    code, out, _ = tiny("run")
    assert code == 0
    assert tiny.calls == list(ALL)
    assert "Tiny: 0 of 4 rows are done" in out
    assert "done   6/6  wide | long, seed 0" in out
    values = json.loads(tiny.results[0].read_text())
    assert values["evaluation"] == {"score": 0.5}
    assert values["labels"].keys() == {"width", "solver"}
    assert values["settings"]["model.channels"] in (8, 16)
    assert (tiny.folder / "results" / "table.md").exists()


def test_a_second_run_has_nothing_to_do_even_without_the_runs(tiny):
    tiny("run")
    for path in sorted((tiny.folder / "runs").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    code, out, _ = tiny("run")
    assert (code, tiny.calls) == (0, list(ALL))
    assert "4 of 4 rows are done" in out


def test_only_what_is_missing_is_run(tiny):
    tiny("run")
    plan(tiny.folder).evaluations[plan(tiny.folder).rows[1].id].result.unlink()
    tiny("run")
    assert tiny.calls == list(ALL)  # its program had succeeded: only the result was written again
    tiny.edit('"sampling.steps": 9', '"sampling.steps": 11')
    assert tiny("run")[0] == 0
    assert tiny.calls == [*ALL, "measure-8-11", "measure-16-11"]


def test_smoke_has_results_of_its_own(tiny):
    code, _, _ = tiny("run", "--smoke")
    assert code == 0
    assert not tiny.results
    assert len(list((tiny.folder / "results" / "smoke").glob("*.json"))) == 4
    assert "in small" in (tiny.folder / "results" / "smoke" / "table.md").read_text()


def test_a_dry_run_lists_the_commands_and_does_nothing(tiny):
    code, out, _ = tiny("run", "--dry_run", "--data_dir=/data/sets")
    lines = [line for line in out.splitlines() if line.startswith("python ")]
    assert code == 0
    assert len(lines) == 6
    assert "train" in lines[0].split()
    for word in ("--config=configs/digits_vp.py", "--config.model.channels=8"):
        assert word in lines[0].split()
    assert "--config.sampling.steps=9" in lines[2].split()
    assert all("--config.data.dir=/data/sets" in line.split() for line in lines)
    assert "--config.sampling.steps" not in lines[0]  # the rows that share it differ in this
    assert not (tiny.folder / "runs").exists()
    assert not tiny.calls


def test_where_the_data_lie_is_said_from_where_one_is(tiny, tmp_path, monkeypatch):
    """Programs run in the folder of main.py."""
    tiny.edit("configs/digits_vp.py", str(ROOT / "configs" / "digits_vp.py"))
    monkeypatch.chdir(tmp_path)
    assert f"--config.data.dir={tmp_path}/sets" in tiny("run", "--dry_run", "--data_dir=sets")[1]
    tiny.edit(
        '{"config": "configs/digits_vp.py"}',
        f"""{{
        "config": "{ROOT}/configs/digits_vp.py", "data.name": "folder", "data.dir": "/images",
    }}""",
    )
    assert "--config.data.dir=/images" in tiny("run", "--dry_run")[1]
    assert refused(tiny("run", "--data_dir=sets"), "is given in sweep.py, as data.dir")


def test_where_there_is_no_checkout_the_installed_command_runs(tiny, tmp_path, monkeypatch):
    """Its programs are that command with the name of a recipe, as its module."""
    text = STUDY.replace("configs/digits_vp.py", "digits_vp")
    tiny.write(text.replace('train=[program("train", "checkpoints/{steps}")],', ""))
    monkeypatch.chdir(tmp_path)
    printed = tiny("run", "--dry_run")[1]
    assert "\npython -m score_sde --config=digits_vp --config.model.channels=8 " in printed
    assert "main.py" not in printed


def test_what_fails_once_is_tried_again(tiny):
    tiny.set("fail", "measure-8-5", "1")
    code, out, err = tiny("run")
    assert (code, err) == (0, "")
    assert tiny.calls.count("measure-8-5") == 2
    assert "retry  narrow | short, seed 0: exit code 3: boom (see " in out
    assert len(tiny.results) == 4


def test_what_fails_twice_fails_alone(tiny):
    tiny.set("fail", "measure-8-5", "2")
    code, out, err = tiny("run")
    assert code == 1
    assert tiny.calls.count("measure-8-5") == 2
    assert "failed 2/6  narrow | short, seed 0: exit code 3: boom" in out
    assert "error: rows failed" in err
    assert len(tiny.results) == 3
    assert re.search(r"narrow \| short, seed 0 +failed: exit code 3: boom", tiny("status")[1])
    assert tiny("run")[0] == 0  # it only fails twice
    assert len(tiny.results) == 4


def test_a_training_that_fails_takes_its_rows_along_and_no_others(tiny):
    tiny.set("fail", "train-8", "2")
    code, out, _ = tiny("run")
    assert code == 1
    assert tiny.calls == ["train-8"] * 2 + list(ALL[3:])
    assert "narrow | long, seed 0: its training of narrow | short, seed 0 failed" in out


def test_a_row_finds_the_training_that_was_done_anew_elsewhere(tiny):
    """It was begun while a study beside this one had the trained network, and that has gone."""
    beside = tiny.folder.parent / "beside" / "runs"
    tiny.set("fail", "measure-8-5", "2")
    trained = next(iter(plan(tiny.folder).trainings))
    (beside / trained).mkdir(parents=True)
    assert tiny("run")[0] == 1
    assert (beside / trained / "checkpoints").is_dir()
    shutil.rmtree(beside)
    assert tiny("run")[0] == 0
    assert tiny.calls.count("train-8") == 2


def test_a_program_must_leave_what_it_promises(tiny):
    tiny.edit('"evaluation.json")]', '"other.json")]')
    code, out, _ = tiny("run")
    assert code == 1
    assert "ended without other.json (see " in out


def test_parallel_runs_as_many_at_a_time(tiny):
    """Both trainings wait for the other to be started."""
    for name in ("train-8", "train-16"):
        tiny.set("hold", name)

    def free():
        for name in ("train-8", "train-16"):
            tiny.wait(name)
        for name in ("train-8", "train-16"):
            tiny.release(name)

    thread = threading.Thread(target=free)
    thread.start()
    code, _, _ = tiny("run", "--parallel=2")
    thread.join()
    assert code == 0
    assert sorted(tiny.calls) == sorted(ALL)


def test_status_says_what_each_job_does(tiny):
    code, out, _ = tiny("status")
    assert code == 0
    assert [line.split()[-1] for line in out.splitlines()[:-1]] == ["waiting"] * 6
    tiny("run")
    job = next(iter(plan(tiny.folder).evaluations.values()))
    job.result.unlink()
    with Lock(job.lock):
        out = tiny("status")[1]
    assert re.search(r"  narrow \| short, seed 0 +running: process ", out)
    assert out.count("  done\n") == 5
    assert "Tiny: 3 of 4 rows are done" in out


def test_the_table_is_printed_and_says_what_is_missing(tiny):
    code, out, _ = tiny("table")
    assert code == 0
    assert out.count("—") == 5  # four rows, and the line that explains it
    tiny.set("fail", "measure-8-9", "2")
    tiny("run")
    assert "| narrow | short  | 0.50  | 1" in tiny("table")[1]
    tiny.edit('Metric("score", "score")', 'Metric("score", "scroe")')
    assert "warning: no result has the metric scroe" in tiny("table")[2]


def refused(outcome, *words):
    code, out, err = outcome
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1, err
    for word in words:
        assert word in err
    return True


def test_mistakes_in_the_command_line_are_one_line(tiny, tmp_path):
    assert refused(tiny("rnu"), "invalid choice: 'rnu'")
    assert refused(tiny("run", "--paralel=2"), "unrecognized arguments: --paralel=2")
    assert refused(tiny("run", "--parallel=0"), "--parallel=0 must be at least 1")
    assert refused(tiny("table", "--dry_run"), "go with run")
    assert refused(tiny("run", "--slurm.time=5"), "--slurm.time goes with --launcher=slurm")
    assert refused(tiny("plot"), "has no plots")
    tiny.folder = tmp_path / "absent"
    assert refused(tiny("run"), f"no {tmp_path}/absent/sweep.py: name the folder of a study")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sampling.steps", "sampling.stepz", "did you mean config.sampling.steps?"),
        ('"sampling.steps": 5', '"sampling.sampler": "rk54"', "did you mean 'rk45'?"),
        ('"sampling.steps": 5', '"sampling.steps": 0', "steps=0 must be at least 1"),
        ('"sampling.steps": 5', '"sampling.steps": "many"', "this field takes a whole number"),
        ('"model.channels": 8', '"training.steps": 0', "training.steps=0 must be at least 1"),
        (
            '"sampling.steps": 5',
            '"evaluation.metrics": ("bits",)',
            "unknown config.evaluation.metrics 'bits': did you mean 'bits_per_dim'?",
        ),
        ("digits_vp.py", "digits_pv.py", "no config file configs/digits_pv.py"),
        ('{"config": "configs/digits_vp.py"}', "{}", 'no recipe: give "config"'),
        ('"{steps}", ', '"{step}", ', "there are {python}, {run}, {steps}"),
        ("title=", "titel=", "sweep.py:14: TypeError"),
        ("return Program", "return Programm", "sweep.py:10: NameError"),
        (
            "return Program",
            "raise ValueError('a\\n  b'); return Program",
            "sweep.py:10: ValueError: a b",
        ),
        (
            '"score")]',
            '"score"), Metric("score", "other")]',
            "two metrics of a study have the same",
        ),
        ('"narrow":', "8:", "the label 8 of a point must be text: '8'"),
        ('{"config": "configs/digits_vp.py"}', '{"config": 3}', 'no recipe: give "config"'),
        ('evaluate=[program("measure", "evaluation.json")]', "evaluate=['x']", "not 'x'"),
        ('evaluate=[program("measure", "evaluation.json")]', "evaluate=3", ":14: TypeError"),
        (
            "    return study(note",
            "    return dict(note",
            "smoke() must return a score_sde.sweep.Study",
        ),
        ('"sampling.steps": 9', '"sampling.steps": 5', "two rows are the same run"),
    ],
)
def test_mistakes_in_a_study_are_one_line(tiny, old, new, message):
    tiny.write(STUDY.replace(old, new))
    assert old in STUDY
    assert refused(tiny("status", "--smoke"), message)


def test_a_recipe_with_a_mistake_is_one_line(tiny, tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text("def get_config():\n    return 1 / 0\n")
    tiny.edit("configs/digits_vp.py", str(path))
    assert refused(tiny("status"), f"{path}:2: ZeroDivisionError")


def test_a_result_of_another_default_is_not_taken_for_this_one(tiny):
    tiny("run")
    path = tiny.results[0]
    values = json.loads(path.read_text())
    values["settings"]["sde.beta_max"] = 10.0
    results.write_json(path, values)
    assert refused(tiny("table"), path.name, "config.sde.beta_max was 10.0 and is 20.0")


def test_a_number_that_was_changed_is_not_believed(tiny):
    """In the result of a row, in the result of another row, and in what a job has left so far."""
    tiny("run")
    first, second, *_ = tiny.results
    whole = first.read_text()
    first.write_text(whole.replace('"score": 0.5', '"score": 0.4'))
    assert refused(tiny("table"), first.name, "was changed since it was written: delete it")
    first.write_text(second.read_text())
    assert refused(tiny("table"), first.name, "is not the result of this row: delete it")
    first.unlink()
    state = tiny.folder / "runs" / f"{first.stem}.state.json"
    state.write_text(state.read_text().replace('"error": ""', '"error": "boom"'))
    code, _, err = tiny("status")
    assert code == 2
    assert f"{state.name} was changed since it was written: delete it" in err


def test_what_was_done_with_another_default_is_done_again(tiny, monkeypatch):
    """The training and the rows, although the identities of both are the same."""
    tiny("run")

    @dataclasses.dataclass(frozen=True)
    class Later(VP):
        beta_max: float = 19.0

    monkeypatch.setitem(PROCESSES, "vp", Later)
    assert refused(tiny("table"), "config.sde.beta_max was 20.0 and is 19.0. Delete it")
    for path in tiny.results:
        path.unlink()
    assert "waiting" in tiny("status")[1]
    assert tiny("run")[0] == 0
    assert tiny.calls == [*ALL, *ALL]
    assert json.loads(tiny.results[0].read_text())["settings"]["sde.beta_max"] == 19.0
    for path in tiny.results:
        path.unlink()
    assert tiny("run")[0] == 0
    assert tiny.calls == [*ALL, *ALL]


def test_help_and_a_broken_result(tiny, capsys):
    assert "--parallel=N" in tiny("run", "--help")[1]
    tiny("run")
    for text, what in (
        ("{", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ("{}", "is not the"),
        ('{"evaluation": {}, "settings": [1]}', "its settings is of another type"),
        ('{"a":' * 3000, "is nested more than 64 times"),
    ):
        tiny.results[0].write_text(text)
        assert refused(tiny("table"), what, "delete it to do its row again")


def test_a_folder_that_cannot_be_written_is_one_line(tiny):
    """A file where a folder should be stops root too, whom no permission stops."""
    path = tiny.folder / "results"
    path.write_text("")
    for command in ("table", "report"):
        assert refused(tiny(command), "cannot", str(path))
    path.unlink()
    (tiny.folder / "runs").write_text("")
    assert refused(tiny("run"), "cannot", str(tiny.folder / "runs"))


def test_a_study_that_may_only_be_read_has_a_status(tiny, monkeypatch):
    tiny("run")
    plan(tiny.folder).evaluations[plan(tiny.folder).rows[0].id].result.unlink()
    opened = Path.open

    def read_only(path, mode="r", *args, **kwargs):
        if mode.strip("bt") != "r":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", read_only)
    assert re.search(r"  narrow \| short, seed 0 +waiting\n", tiny("status")[1])
    assert refused(tiny("table"), "cannot write", "table.md: Permission denied")
    assert refused(tiny("report"), "cannot write", "report.html: Permission denied")
    code, out, err = tiny("run")
    assert (code, "error: cannot write" in err) == (2, True)
    assert "failed 1/1  narrow | short, seed 0: cannot lock" in out
