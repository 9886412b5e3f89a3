"""The real training loop: every kind of interruption."""

import contextlib
import functools
import json
import shutil
import signal

import numpy as np
import pytest
from program import SIGINT, SIGKILL, SIGTERM, called, called_until, metrics, run_until

import score_sde
from score_sde import records
from score_sde.locks import Lock
from score_sde.training import checkpoint_folder

pytestmark = pytest.mark.slow


def assert_same_state(one, other):
    """All that their last checkpoints hold is the same to the last bit: the digests of it are."""
    a, b = (w / "checkpoints" / "12" / "record" / "metadata" for w in (one, other))
    assert json.loads(a.read_text()) == json.loads(b.read_text())
    assert score_sde.load(other).step == 12  # its arrays are those of the digests


def same_rows(one, other):
    """The numbers of a run's metrics, but for how long they took."""
    columns = ("step", "loss", "grad_norm", "eval_loss")
    a, b = ([[row[name] for name in columns] for row in metrics(w)] for w in (one, other))
    return a == b


def test_a_run_that_meets_every_interruption_takes_the_same_steps(finished, small, tmp_path):
    """SIGKILL, a stop signal, Ctrl-C, a reader that is gone: each goes on from what the last left.

    SIGKILL comes before the first checkpoint, between two, and at the end, right where one is
    written; SIGTERM while it compiles. Ctrl-C is sent to a process of its own, as a terminal does.
    """
    workdir = tmp_path / "run"
    arguments = (*small, f"--workdir={workdir}")
    report = workdir / "report.html"

    def kill(at):
        code, printed = run_until(at, SIGKILL, *arguments)
        assert code == -SIGKILL
        return printed

    def saved():
        return [path.name for path in workdir.glob("checkpoints/*") if path.name.isdigit()]

    assert "going on from step" not in kill("step 2/")
    assert not report.exists()  # it is written with the first checkpoint
    assert not saved()

    result = called_until("compiling", functools.partial(signal.raise_signal, SIGTERM), *arguments)
    assert result.returncode == 0, result.stderr
    assert "stopped by SIGTERM at step 2," in result.stdout
    assert saved() == ["2"]
    assert f"{2 / 12:.0%}, unfinished" in report.read_text()

    assert "going on from step 2" in kill("step 6/")
    result = called_until("step 6/", close, *arguments)  # as with `| head`
    assert "going on from step" in result.stdout  # 2 or 4, which is written beside the next steps
    assert (result.returncode, result.stderr) == (130, "nobody reads what is printed: stopped\n")
    assert checkpoint_folder.latest(workdir / "checkpoints") == 6

    code, printed = run_until("step 8/", SIGINT, *arguments)
    assert code == 130, printed
    assert "Traceback" not in printed
    assert "going on from step 6" in printed
    stopped = int(printed.split("stopped by SIGINT at step ")[1].split(",")[0])
    assert 8 <= stopped < 12
    assert str(stopped) in saved()
    assert f"{stopped / 12:.0%}, unfinished" in report.read_text()

    assert f"going on from step {stopped}" in kill("step 12/")
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    assert_same_state(finished[0], workdir)
    assert same_rows(finished[0], workdir)


def close():
    raise BrokenPipeError


def test_sigterm_as_training_begins_ends_cleanly(small, tmp_path):
    code, printed = run_until("1 x cpu", SIGTERM, *small, f"--workdir={tmp_path / 'early'}")
    assert code in (0, 143), printed
    assert "Traceback" not in printed
    assert ("stopped by SIGTERM at step" if code == 0 else "error: stopped by SIGTERM") in printed
    assert not (tmp_path / "early" / ".lock").exists()


def test_ctrl_c_before_the_first_step_acts_at_once(small, tmp_path):
    """Also in the middle of an import, or of what XLA does."""
    arguments = (*small, f"--workdir={tmp_path / 'early'}")
    code, printed = run_until("1 x cpu", SIGINT, *arguments)
    assert code == 130, printed
    assert printed.endswith("error: interrupted\n")
    assert "Traceback" not in printed
    interrupt = functools.partial(signal.raise_signal, SIGINT)
    result = called_until("compiling", interrupt, *arguments)
    assert (result.returncode, result.stderr) == (130, "error: interrupted\n")
    assert not any((tmp_path / "early" / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("number", "said", "code"), [(SIGINT, "interrupted", 130), (SIGTERM, "stopped by SIGTERM", 143)]
)
def test_what_stops_sampling_is_said_and_leaves_nothing(finished, tmp_path, number, said, code):
    """Neither samples nor the lock beside them."""
    arguments = (f"--workdir={finished[0]}", "--mode=sample", f"--out={tmp_path / 'drawn'}")
    stop = functools.partial(signal.raise_signal, number)
    result = called_until("sampling", stop, *arguments, "--num_samples=4")
    assert (result.returncode, result.stderr) == (code, f"error: {said}\n")
    assert not any(tmp_path.iterdir())


def test_a_run_whose_folder_is_removed_ends_and_is_not_made_again(small, tmp_path):
    """Where a picture and a checkpoint are due at one step: neither comes back without the run."""
    workdir = tmp_path / "removed"
    arguments = (*small, f"--workdir={workdir}", "--config.training.sample_every=6")
    more = "--config.training.checkpoint_every=6"
    result = called_until("step 4/", lambda: shutil.rmtree(workdir), *arguments, more)
    assert result.returncode == 2
    assert result.stderr == (
        f"error: checkpoints cannot be written to {workdir / 'checkpoints'}: "
        f"{workdir / 'checkpoints'} is gone. There is no good checkpoint yet: the same command "
        "begins again\n"
    )
    assert not workdir.exists()


# Where it makes no difference what is trained: a few hundred parameters, which compile soon.
MOONS = (
    "--config=configs/toy_moons.py",
    "--config.model.channels=16",
    "--config.model.depth=1",
    "--config.training.batch_size=16",
    "--config.training.steps_per_call=2",
    "--config.training.log_every=2",
    "--config.training.eval_every=0",
    "--config.training.sample_every=0",
)


def test_a_run_goes_on_with_more_steps(compilation_cache, tmp_path):
    """Also from a step between two calls: the next call ends where rows and checkpoints fall.

    And if no report can be written. The folder alone says what is trained.
    """
    own = (*MOONS, "--config.training.checkpoint_every=4", "--config.optim.decay=constant")
    workdir = tmp_path / "longer"
    for steps, given in ((12, own), (13, own), (15, ())):
        result = called(*given, f"--workdir={workdir}", f"--config.training.steps={steps}")
        assert result.returncode == 0, result.stderr
        warned = f"warning: no report: cannot write {workdir / 'report.html'}" in result.stderr
        assert warned == (steps > 12)
        if not warned:
            (workdir / "report.html").unlink()
            (workdir / "report.html").mkdir()
    assert [int(row["step"]) for row in metrics(workdir)][5:] == [12, 13, 14, 15]
    assert score_sde.load(workdir).step == 15


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(finished, small, tmp_path):
    """To the same parameters, to the last bit; sampling is told which step to take instead."""
    workdir = tmp_path / "damaged"
    shutil.copytree(finished[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / "12" / "optimizer")
    for path in (workdir / "checkpoints" / "12" / "ema_0.995").rglob("d/*"):
        path.write_bytes(path.read_bytes()[::-1])
    arguments = (*small, f"--workdir={workdir}")
    sampled = called(*arguments, "--mode=sample")
    assert sampled.returncode == 2
    (line,) = sampled.stderr.splitlines()
    assert line.startswith(f"error: checkpoint 12 in {workdir / 'checkpoints'} is damaged: ")
    assert "Take another with --step=8" in line
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"warning: checkpoint 12 in {workdir / 'checkpoints'} is damaged: ")
    assert "going on from step 8" in result.stdout
    assert_same_state(finished[0], workdir)
    assert same_rows(finished[0], workdir)  # also those that were written between two checkpoints


def refuse_data(workdir):
    config = json.loads((workdir / "config.json").read_text())
    config["run"]["data"]["size"] = 1300
    (workdir / "config.json").write_text(json.dumps(records.sealed(config, inside="run")))
    return "the number of examples was 1,300 and is 1,297"


def refuse_checkpoints(workdir):
    for step in ("8", "12"):
        shutil.rmtree(workdir / "checkpoints" / step / "model")
    return "every checkpoint in"


def refuse_a_holder(workdir):
    return "is being trained by process"


@pytest.mark.parametrize("refuse", [refuse_data, refuse_checkpoints, refuse_a_holder])
def test_what_is_refused_has_changed_nothing(finished, small, tmp_path, refuse):
    workdir = tmp_path / "refused"
    shutil.copytree(finished[0], workdir)
    message, before = refuse(workdir), files(workdir)
    with Lock(workdir / ".lock") if refuse is refuse_a_holder else contextlib.nullcontext():
        result = called(*small, f"--workdir={workdir}", "--config.training.steps=14")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert message in line
    assert files(workdir) == before


DIVERGING = (
    "--config.training.steps=12",
    "--config.training.checkpoint_every=2",
    "--config.optim.learning_rate=1e18",
    "--config.optim.warmup=0",
    "--config.optim.clip=0.0",
)


def test_divergence_names_the_step_and_keeps_the_last_good_checkpoint(compilation_cache, tmp_path):
    workdir = tmp_path / "diverged"
    result = called(*MOONS, *DIVERGING, f"--workdir={workdir}")
    assert result.returncode == 1
    error = result.stderr.strip().splitlines()[-1]
    assert error.startswith("error: the loss or its gradient is not finite at step ")
    assert "Traceback" not in result.stderr
    folder = workdir / "checkpoints"
    saved = sorted(int(p.name) for p in folder.iterdir()) if folder.exists() else []
    if saved:
        assert f"Last good checkpoint: {folder / str(saved[-1])}" in error
        assert all(np.isfinite(a).all() for a in score_sde.load(workdir).params.values())
    else:
        assert "there is none yet" in error
