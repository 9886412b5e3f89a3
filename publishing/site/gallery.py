"""The gallery: what each recipe gives, its command and its numbers, as its file says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from publishing.site.page import ROOT, Page, docstring, fenced

# By how the names of recipes begin, as words.
GROUPS = {
    "Digits": ("digits",),
    "Points of the plane": ("toy",),
    "Emoji": ("emoji",),
    "Images": ("cifar", "imagenet64", "imagenet256", "small", "paper"),
    "Text and scores": ("words", "bach", "text", "llada"),
    "Sound": ("notes", "speech"),
    "Video": ("clips64",),
    "Shapes": ("furniture",),
    "Molecules and proteins": ("qm9", "backbone64", "backbone"),
}
OTHERS = "Others"
SHOWN = (
    *("digits_vp", "emoji_control", "digits_video", "notes_text", "bach_masked"),
    *("furniture_points", "qm9", "backbone64", "toy_moons"),
)


def group(name: str) -> str:
    """The group that a recipe belongs to."""
    word = name.partition("_")[0]
    return next((title for title, words in GROUPS.items() if word in words), OTHERS)


def pages() -> Iterator[Page]:
    """The overview, and a page a recipe."""
    recipes = sorted((ROOT / "configs").glob("*.py"))
    yield Page("gallery/index.md", _overview())
    for path in recipes:
        yield Page(f"gallery/{path.stem}.md", _recipe(path))


def _said(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def _picture(name: str) -> str:
    """What its samples look like, if there is a picture of them."""
    for file in (f"{name}.gif", f"{name}.png"):
        if (ROOT / "docs" / file).exists():
            return f"![Samples of {name}](../{file})"
    return ""


def _recipe(path: Path) -> str:
    code = path.read_text()
    parts = (f"# {path.stem}", _picture(path.stem), docstring(_said(path)))
    return "\n\n".join((*filter(None, parts), "## Recipe", fenced(code, "python")))


def _overview() -> str:
    """What all of them are; contents.py adds the list of them."""
    return "\n\n".join(
        (
            "# Gallery",
            "What comes with the code, each a file of `configs/`: what it gives, on what hardware, "
            "in what time, and the commands that do it.",
            *(f"{_picture(name)}\n\n*[{name}](../../configs/{name}.py)*" for name in SHOWN),
        )
    )
