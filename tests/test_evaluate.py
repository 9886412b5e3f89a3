"""--mode=evaluate: what it writes, going on after SIGKILL, and bad input."""

import contextlib
import io
import json
import shutil

import pytest
from program import ROOT, SIGKILL, run, run_until

from score_sde import cli

QUICK = (
    "--mode=evaluate",
    "--config.evaluation.num_images=24",
    "--config.evaluation.batch_size=8",
    "--config.evaluation.bits_per_dim.rtol=1e-3",
    "--config.evaluation.bits_per_dim.atol=1e-3",
)


@pytest.fixture
def arguments(finished, small, tmp_path):
    """Evaluate a copy of the finished run."""
    shutil.copytree(finished[0], tmp_path / "run")
    return (*small, f"--workdir={tmp_path / 'run'}", *QUICK)


def entry(folder):
    return json.loads((folder / "evaluation.json").read_text())["bits_per_dim"]


def test_evaluation_goes_on_after_a_kill(arguments, tmp_path):
    """The same numbers as without one; the parameters, the step and the data are written down."""
    _, printed = run_until("8/24 log-likelihoods", SIGKILL, *arguments)
    assert "evaluating" in printed
    assert not (tmp_path / "run" / "evaluation.json").exists()
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    assert "of 24 log-likelihoods are there from before" in result.stdout
    killed = entry(tmp_path / "run")
    assert f"<td>{killed['value']:.6g}</td>" in (tmp_path / "run" / "report.html").read_text()
    assert f"bits_per_dim: {killed['value']:.4f} +- {killed['standard_error']:.4f}" in result.stdout
    shutil.rmtree(tmp_path / "run" / "evaluation")
    # Two devices, another batch size.
    flags = "--xla_force_host_platform_device_count=2"
    more = "--config.evaluation.batch_size=10"
    assert run(*arguments, more, XLA_FLAGS=flags).returncode == 0
    whole = entry(tmp_path / "run")
    assert whole["value"] == pytest.approx(killed["value"], rel=1e-3)
    assert whole["protocol"] == killed["protocol"]
    assert killed["protocol"]["weights"] == "ema 0.995"
    assert killed["protocol"]["step"] == 12
    assert killed["protocol"]["levels"] == 17
    assert killed["protocol"]["data"]["images"] == 24


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.evaluation.metrics=('bits',)", "did you mean 'bits_per_dim'?"),
        ("--config.evaluation.num_images=-1", "config.evaluation.num_images=-1 must be at least 0"),
        (
            "--config.evaluation.bits_per_dim.dequantization=normal",
            "config.evaluation.bits_per_dim: unknown dequantization 'normal'",
        ),
        ("--config.evaluation.bits_per_dim.probes=0", "probes must be a whole number"),
        ("--config.evaluation.bits_per_dim.prbes=2", "config.evaluation.bits_per_dim.probes"),
        ("--config.evaluation.bits_per_dim.t_min=3.", "t_min=3.0: times must satisfy"),
        ("--config.evaluation.split=tset", "test"),
        ("--config.training.batch_size=32", "was trained with another config"),
        ("--weights=best", "choose from ema, raw"),
        ("--workdir=nowhere", "no run in"),
        ("--config=configs/digits_classifier.py", "--config is given 2 times"),
    ],
)
def test_bad_input_is_one_line(finished, small, argument, message):
    errors = io.StringIO()
    line = ["main.py", *small, f"--workdir={finished[0]}", *QUICK, argument]
    with (
        contextlib.chdir(ROOT),
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        assert cli.main(line) == 2, errors.getvalue()
    (only,) = errors.getvalue().splitlines()
    assert only.startswith("error: ")
    assert message in only


def test_a_classifier_is_sent_elsewhere(capsys):
    with contextlib.chdir(ROOT):
        assert (
            cli.main(["main.py", "--config=configs/digits_classifier.py", "--mode=evaluate"]) == 2
        )
    assert "python -m score_sde.evaluation.classifier" in capsys.readouterr().err
