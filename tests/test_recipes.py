"""Every command in the docstrings of configs/ runs, in small; see in_small.py.

Those of recipes that the README trains are in test_readme.py, where their runs are.
"""

import in_small
import pytest

pytestmark = pytest.mark.slow

COMMANDS = [command for page in in_small.ALONE for command in in_small.COMMANDS[page]]


@pytest.fixture(scope="module")
def place(tmp_path_factory, data_dir):
    with in_small.checkout(tmp_path_factory.mktemp("recipes"), data_dir / "digits") as place:
        yield place


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.where)
def test_a_command_runs(place, command):
    """It ends with exit code 0, and leaves what it is to leave."""
    if not place.run(command):
        pytest.skip("its flags are right; to run, it needs CIFAR-10, which is not in ../shared")
