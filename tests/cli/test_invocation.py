"""The command that is printed is the one that was typed."""

import pytest

from score_sde.cli import flags, invocation


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("main.py", "python main.py"),
        ("my code/main.py", "python 'my code/main.py'"),
        ("/opt/venv/bin/score-sde", "score-sde"),
        ("C:/venv/Scripts/score-sde.exe", "score-sde"),
        ("/opt/score_sde/__main__.py", "python -m score_sde"),
    ],
)
def test_a_command_is_as_it_was_typed(program, command):
    """What Python gives as sys.argv[0], and what a shell takes."""
    assert invocation.command(program) == command


def test_the_next_command_has_the_recipe_as_it_was_typed():
    """A name stays a name, and so does the folder of its run; its argument is kept."""
    for words in (("--config=paper:vp/ddpm/cifar10",), ("--config", "paper:vp/ddpm/cifar10")):
        line = flags.parse(["/opt/venv/bin/score-sde", *words])
        assert line.rerun == "score-sde --config=paper:vp/ddpm/cifar10"
        assert str(line.workdir) == "runs/paper_vp_ddpm_cifar10"


def test_the_help_is_of_the_command_that_was_typed():
    """Its examples can be typed as they are."""
    with pytest.raises(flags.HelpRequest) as help:
        flags.parse(["/opt/venv/bin/score-sde", "--help"])
    assert "\n  score-sde --config=digits_vp\n" in str(help.value)
    assert "PROGRAM" not in str(help.value)
