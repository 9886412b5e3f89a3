"""The soak of faults: its command line, and that none of its table is bad."""

import json

import pytest
from program import ROOT, called_command

from experiments.faults.__main__ import FAULTS, main

pytestmark = pytest.mark.slow

RESULTS = ROOT / "experiments" / "faults" / "results"


@pytest.mark.parametrize("wrong", ["--only=bit", "--only=", "--times=0"])
def test_bad_input_is_one_line(wrong, tmp_path):
    result = called_command(lambda argv: main(["faults", *argv, f"--results={tmp_path}"]), wrong)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {wrong.partition('=')[0][:6]}")
    assert result.stderr.count("\n") == 1


def test_no_fault_of_the_table_is_bad():
    """Of those that were measured; each is one that can be measured again."""
    rows = json.loads((RESULTS / "faults.json").read_text())["rows"]
    assert {row["name"] for row in rows} <= FAULTS.keys()
    assert [row["fault"] for row in rows if row["ok"] is False] == []


def test_the_page_shows_what_was_measured():
    """The lines of its table are those of the study."""
    page = (ROOT / "docs" / "reliability.md").read_text().splitlines()
    measured = (RESULTS / "faults.md").read_text().splitlines()
    lines, all_of_them = (
        [line for line in text if line.startswith("| ") and line.endswith(" yes |")]
        for text in (page, measured)
    )
    assert lines == all_of_them != []
