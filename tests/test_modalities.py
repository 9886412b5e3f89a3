"""docs/modalities.md says which files a modality is, and no other file branches on one."""

import ast
import inspect
import re

import pytest
from program import ROOT

from score_sde import spaces
from score_sde.data.load import MADE, OF_FILES
from score_sde.evaluation.metrics import METRICS
from score_sde.runs import recipes
from score_sde.samplers import TOKENS

# Kinds of fields that are no images, vectors, conditions, or what an autoencoder makes of any.
KINDS = {"video", "signal", "points", "molecule", "tokens"}
SPACES = {name: cls for name, cls in spaces.SPACES.items() if KINDS & {*cls.KINDS}}
OF_LATENTS = {"encoded_sounds", "encoded_videos"}  # whose fields are latents
# Where a kind or a space has its seat: what it is, where its data come from, what is measured.
SEATS = ("spaces", "data", "evaluation/metrics", "fields.py")


def table():
    """Row -> the paths that it names, of all columns."""
    page = (ROOT / "docs" / "modalities.md").read_text()
    section = page.partition("## Which files a modality is")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    rows = {line.split(" | ")[0].strip("| "): line for line in lines}
    return {name: re.findall("`([^`]+)`", line) for name, line in rows.items()}


def path(row, name):
    folder = "" if name.startswith("score_sde/") else "score_sde/"
    return ROOT / ("configs/" if row == "recipe" else folder) / name


def module(what):
    found = what if inspect.ismodule(what) else inspect.getmodule(what)
    name = found.__file__.partition("score_sde/")[2]
    return name.removesuffix("__init__.py") if name.count("/") > 1 else name


def test_the_files_are_there():
    rows = table()
    assert len(rows) > 12
    missing = [name for row in rows for name in rows[row] if not path(row, name).exists()]
    assert missing == []


def test_what_is_of_a_modality_is_named():
    """Its spaces, the data sets that packages and files make, samplers of tokens and recipes."""
    rows = table()
    of = {name: module(spaces.SPACES[name]) for name in {*SPACES, *OF_LATENTS}}
    assert {*of.values()} <= {*rows["space"]}
    made = {module(found) for found in (*MADE.values(), *OF_FILES.values())}
    listed = tuple(rows["data"])
    assert {one for one in made if not one.startswith(listed)} == set()
    assert {module(cls) for cls in TOKENS.values()} <= {*rows["samplers"]}
    found = {
        p.stem: recipes.get(p.stem).space.name
        for p in (ROOT / "configs").glob("*.py")
        if p.stem != "paper"
    }
    own = {f"{name}.py" for name, space in found.items() if space in {*SPACES, *OF_LATENTS}}
    assert own <= {*rows["recipe"]}
    metrics = {module(cls) for cls in METRICS.values()}
    assert len(metrics & {*rows["metric"]}) >= 7


def compared(tree):
    """Strings with which something is compared."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                for one in ast.walk(side):
                    if isinstance(one, ast.Constant) and isinstance(one.value, str):
                        yield one.value
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            yield node.value.value


def asked_for(tree):
    """Names of classes that isinstance or issubclass ask for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in CHECKS:
            for one in ast.walk(node.args[1]):
                yield getattr(one, "id", getattr(one, "attr", ""))


CHECKS = ("isinstance", "issubclass")


def branches(text):
    """What of a module branches on a modality."""
    tree, classes = ast.parse(text), {cls.__name__ for cls in spaces.SPACES.values()}
    by_name = {*compared(tree)} & (KINDS | {*SPACES} | OF_LATENTS)
    return by_name | ({*asked_for(tree)} & classes)


@pytest.mark.parametrize(
    "line",
    [
        'x = 1 if config.space.name == "video" else 2',
        'if field.kind in ("image", "signal"): pass',
        'if "molecules" != name: pass',
        "if isinstance(space, spaces.LogMel | Video): pass",
    ],
)
def test_a_branch_is_found(line):
    assert branches(line)


def test_no_other_file_branches_on_a_modality():
    seats = tuple(str(ROOT / "score_sde" / seat) for seat in SEATS)
    files = [p for p in (ROOT / "score_sde").rglob("*.py") if not str(p).startswith(seats)]
    assert len(files) > 400
    found = {str(p.relative_to(ROOT)): branches(p.read_text()) for p in files}
    assert {name: what for name, what in found.items() if what} == {}
