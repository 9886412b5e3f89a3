"""docs/extending.md: its examples work, added to a copy of the package, and touch few files."""

import os
import subprocess
import sys

import pytest
from extending.page import PAGE, ROOT, changed, extended, sections
from program import environment

pytestmark = pytest.mark.slow

# How many files a member of each family may touch.
LIMITS = {
    "data set": 2,
    "space": 2,
    "condition": 2,
    "network": 2,
    "process": 2,
    "objective": 2,
    "solver": 2,
    "metric": 2,
}


def test_the_examples_of_the_page_work(tmp_path, compilation_cache):
    """Each is used as the page says, through main.py, and agrees with closed forms."""
    folder = extended(tmp_path)
    path = os.pathsep.join([str(folder), str(ROOT / "tests")])
    own = {"PYTHONPATH": path, "SCORE_SDE_CACHE": str(folder / "cache")}
    result = subprocess.run(
        [sys.executable, "-m", "extending.uses"],
        cwd=folder,
        env=environment(**own),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    assert result.stdout.splitlines()[-1] == f"used: {', '.join(LIMITS)}"


def test_the_examples_touch_as_few_files_as_the_page_says():
    """The last table names the files of each section, at most as many as a newcomer may touch."""
    found = sections(PAGE)
    assert list(found) == list(LIMITS)
    table = PAGE.rpartition("\n## ")[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    rows = {row[0]: row[1:] for row in rows if len(row) == 4}
    for name, section in found.items():
        file, changes, files = rows[name]
        assert [path.strip("`") for path in file.split()] == list(section.files)
        assert [path.strip("`") for path in changes.split()] == list(section.changes)
        assert int(files) == len(section.files) + len(section.changes) <= LIMITS[name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (" c\n+d\n", "found 0 times"),
        (" a\n+d\n", "found 2 times"),
        (" b\n", "no change"),
        ("b\n+d\n", "neither kept nor changed"),
    ],
)
def test_a_change_that_does_not_fit_fails(change, message):
    """A line that is not there once, whole, is not taken for another."""
    assert changed("a\nab\na\nb\n", " ab\n+d\n@@\n-b\n+c\n") == "a\nab\nd\na\nc\n"
    with pytest.raises(AssertionError, match=message):
        changed("a\nab\na\nb\n", change)
