"""The command that is printed is the one that was typed."""

import pytest

from score_sde.cli import flags, invocation


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("main.py", "python main.py"),
        ("my code/main.py", "python 'my code/main.py'"),
        ("/opt/my venv/bin/score-sde", "'/opt/my venv/bin/score-sde'"),
        (".other/bin/score-sde", ".other/bin/score-sde"),
        ("/opt/score_sde/__main__.py", "python -m score_sde"),
    ],
)
def test_a_command_is_as_it_was_typed(program, command):
    """What Python gives as sys.argv[0], and what a shell takes."""
    assert invocation.command(program) == command


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The command as a shell that finds it starts it."""
    program = tmp_path / "score-sde"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return str(program)


def test_a_command_that_a_shell_finds_is_its_name(installed):
    assert invocation.command(installed) == "score-sde"


def test_the_next_command_opens_the_folder_of_the_run(installed):
    """Which a recipe that is named, perhaps with an argument, names too."""
    for words in (("--config=paper:vp/ddpm/cifar10",), ("--config", "paper:vp/ddpm/cifar10")):
        line = flags.parse([installed, *words])
        assert line.rerun == "score-sde --workdir=runs/paper_vp_ddpm_cifar10"
        assert str(line.workdir) == "runs/paper_vp_ddpm_cifar10"


def test_the_help_is_of_the_command_that_was_typed(installed):
    """Its examples can be typed as they are."""
    with pytest.raises(flags.HelpRequest) as help:
        flags.parse([installed, "--help"])
    assert "\n  score-sde --config=digits_vp\n" in str(help.value)
    assert "PROGRAM" not in str(help.value)
