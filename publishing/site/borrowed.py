"""Pages that lie elsewhere in the repository than in docs/: the README, studies, other files."""

from __future__ import annotations

from collections.abc import Iterator

from publishing.site.page import ROOT, Page

FILES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "howto/contributing.md",
    "SECURITY.md": "reference/security.md",
    "CHANGELOG.md": "reference/changelog.md",
}
# Folders that links lead to, and their overviews.
FOLDERS = {"experiments": "numbers/index.md", "configs": "gallery/index.md", "docs": "index.md"}


def pages() -> Iterator[Page]:
    """All of them."""
    for name, uri in FILES.items():
        yield Page(uri, (ROOT / name).read_text(), "")
    for path in sorted((ROOT / "experiments").glob("**/*.md")):
        where = path.relative_to(ROOT / "experiments")
        uri = f"numbers/{where.with_name('index.md') if path.name == 'README.md' else where}"
        text = path.read_text()
        text = text if text.startswith("# ") else f"# {path.stem}\n\n{text}"
        yield Page(uri, text, str(path.parent.relative_to(ROOT)))
