"""docs/extending.md as examples, and a copy of the package that has them."""

import dataclasses
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()


@dataclasses.dataclass
class Section:
    """What the page says of one family: files and changes by their path, and uses in order."""

    files: dict[str, str] = dataclasses.field(default_factory=dict)
    changes: dict[str, str] = dataclasses.field(default_factory=dict)
    uses: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def sections(page):
    """The sections of the page that have code, by their title."""
    found = {}
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        section = Section()
        for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            path = re.match(r"# (\S+\.py)\n", code)
            if language == "diff":
                section.changes[path[1]] = code[path.end() :]
            elif path:
                section.files[path[1]] = code[path.end() :]
            else:
                section.uses.append((language, code))
        if section.files:
            found[title.lower()] = section
    return found


def changed(text, change):
    """A text after a change: parts, divided by lines "@@", of lines that begin with " ", - or +."""
    for part in change.split("@@\n"):
        lines = part.splitlines(keepends=True)
        assert all(line[0] in " -+" for line in lines), f"neither kept nor changed in:\n{part}"
        assert any(line[0] in "-+" for line in lines), f"no change in:\n{part}"
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        times = f"\n{text}".count(f"\n{before}")
        assert times == 1, f"found {times} times and not once:\n{before}"
        text = f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:]
    return text


def extended(folder):
    """A copy of the package with every example of the page in it."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("score_sde", "configs"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignore)
    shutil.copy(ROOT / "main.py", folder)
    for section in sections(PAGE).values():
        for path, code in section.files.items():
            assert not (folder / path).exists(), f"{path} is there already"
            (folder / path).write_text(code)
        for path, change in section.changes.items():
            (folder / path).write_text(changed((folder / path).read_text(), change))
    return folder
