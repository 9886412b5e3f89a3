"""Every command in the docstrings of configs/ is understood, and its config can be built.

Those of recipes that the README trains run in test_readme.py. These are variants of them: what is
looked at is what a change can break, the flags, the options and the files that they name.
"""

import contextlib

import in_small
import pytest
from made_info import image_info
from program import ROOT

from score_sde.data import selection
from score_sde.evaluation import asked
from score_sde.runs import build, recipes
from score_sde.runs.ignored import ignored

pytestmark = pytest.mark.slow

COMMANDS = [command for page in in_small.ALONE for command in in_small.COMMANDS[page]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.where)
def test_a_command_is_understood(command, data_dir):
    """It is of a known kind, and what it asks for can be built; no option is for nothing."""
    words = in_small.filled(command)
    assert any(" ".join(words).startswith(begin) for begin in in_small.HOW), words
    typed = in_small.parsed(words)
    if typed is None:
        files = [word for word in words if word.startswith("runs/")]
        assert len(in_small.needs(words)) >= len(files), f"no command makes {files}"
        return
    small = in_small.parsed(in_small.recipe(words))
    with contextlib.chdir(ROOT):
        info = selection.read({**small.config.data, "dir": str(data_dir)}).describe()
    experiment = build.experiment(small.config, info)
    assert ignored(experiment, typed.config, typed.overrides) == []
    if typed.mode == "evaluate":
        assert set(asked.read(typed.config.evaluation).metrics) == set(
            typed.config.evaluation.metrics
        )
    if typed.mode == "sample":
        assert experiment.objective.draws


@pytest.mark.parametrize("size", [16, 20, 48, 60])
def test_small_images_are_of_any_multiple_of_4(size):
    """Their recipe says so; one level has attention, beside the middle of the network."""
    config = recipes.get("small_images:arrays")
    network = build.experiment(config, image_info("mine", "train", 20, (size, size, 3))).network
    down = [name for name in network.shapes[0] if name.startswith("down")]
    assert len({name.split("/")[1] for name in down if "attentions" in name}) == 1


@pytest.mark.parametrize(
    ("recipe", "shape", "parameters"),
    [("digits_dit", (8, 8, 1), 722_788), ("cifar_dit", (32, 32, 3), 32_483_340)],
)
def test_the_parameters_of_transformers(recipe, shape, parameters):
    """As many as their recipes say, without making any."""
    info = image_info("mine", "train", 20, shape, classes=10)
    assert build.experiment(recipes.get(recipe), info).parameters == parameters
    assert f"{parameters:,} parameters" in (ROOT / "configs" / f"{recipe}.py").read_text()
