"""A type checker finds nothing wrong with the public API, and what is wrong with its misuse."""

import importlib.metadata
import importlib.util
import os
import re

import pytest
from program import ROOT

from publishing import typed

pytestmark = pytest.mark.slow

USE = ROOT / "tests" / "publishing" / "typed_use.py"
SAID = re.compile(r"(?P<file>\S+?):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]")


def older():
    """Which of those packages whose types are read is older than what was checked, if any."""
    newest = (ROOT / "requirements" / "newest.txt").read_text()
    for name in ("jax", "flax", "numpy"):
        checked = re.search(rf"^{name}==([\d.]+)", newest, re.MULTILINE)[1]
        there = importlib.metadata.version(name)
        if [int(n) for n in there.split(".")[:3]] < [int(n) for n in checked.split(".")[:3]]:
            return f"{name} {there} has other types than {checked}, which is checked"
    return ""


def test_the_public_api_and_its_use_are_typed():
    """Strictly, of every file with a public name and of what a user writes; wrong use is seen."""
    if importlib.util.find_spec("mypy") is None and not os.environ.get("CI"):
        pytest.skip('needs mypy, of pip install -e ".[test]"')
    if reason := older():
        pytest.skip(reason)
    found = set()
    for line in typed.errors([*typed.files(), USE]):
        said = SAID.match(line)
        assert said, line
        assert (ROOT / said["file"]) == USE, line
        found.add((int(said["line"]), said["code"]))
    lines = enumerate(USE.read_text().splitlines(), 1)
    wrong = {(n, line.split("# wrong: ")[1]) for n, line in lines if "# wrong: " in line}
    assert len(wrong) >= 20
    assert found == wrong


def test_every_file_with_a_public_name_is_checked():
    """Also where it is written, behind the module that gives it."""
    files = {str(path.relative_to(ROOT)) for path in typed.files()}
    wanted = ("__init__", "processes/vp", "samplers/ode", "runs/notebook", "models/dit", "fields")
    assert {f"score_sde/{name}.py" for name in wanted} <= files
