"""What the command line says when training ends."""

import signal

import pytest
from made_info import image_info
from program import ROOT

from score_sde.cli import flags, messages
from score_sde.runs import build
from score_sde.runs.train import Outcome

DIGITS = image_info("digits", "train", 1297, (8, 8, 1), 10, 17)
DONE = "done: 12 steps, in my run. Next: python main.py '--workdir=my run' --mode=sample"


@pytest.mark.parametrize(
    ("decay", "outcome", "lines"),
    [
        ("constant", Outcome(4, 12, None), [DONE]),
        (
            "constant",
            Outcome(12, 12, None),
            ["nothing left to train: --config.training.steps=N with N > 12 goes on", DONE],
        ),
        (  # more steps would be another learning rate, and are refused
            "cosine",
            Outcome(12, 12, None),
            [
                "nothing left to train: its learning rate has come to 0. --init_from='my run' "
                "begins another run with its weights",
                DONE,
            ],
        ),
        (
            "constant",
            Outcome(0, 7, signal.SIGTERM),
            ["stopped by SIGTERM at step 7, which is saved. The same command goes on from there."],
        ),
    ],
)
def test_what_comes_next_works(monkeypatch, capsys, decay, outcome, lines):
    monkeypatch.chdir(ROOT)
    recipe = ("--config=configs/digits_vp.py", f"--config.optim.decay={decay}")
    line = flags.parse(["main.py", *recipe, "--workdir=my run"])
    messages.say_what_next(line, build.experiment(line.config, DIGITS), outcome)
    assert capsys.readouterr().out.splitlines() == lines
