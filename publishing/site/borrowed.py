"""Pages that lie elsewhere in the repository: sections of the README, studies, other files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from publishing.site.page import ROOT, Page

# Sections of the README that are pages, by their headings; what stands above the first is the home.
README = {
    "Start": "start/index.md",
    "In a script or a notebook": "start/notebook.md",
    "Your own data": "start/data.md",
    "Text to image": "start/text.md",
    "A run": "howto/run.md",
    "Objectives and networks": "howto/objectives.md",
    "Solvers": "howto/solvers.md",
    "Report": "howto/report.md",
    "A class, a missing part, colours": "howto/tasks.md",
    "Evaluate": "howto/evaluate.md",
    "Released checkpoints": "howto/checkpoints.md",
    "Sweeps and tables": "howto/sweeps.md",
    "CIFAR-10": "howto/cifar.md",
    "Latent diffusion": "howto/latents.md",
    "Emoji": "howto/emoji.md",
    "New data": "howto/new_data.md",
    "What there is": "reference/what.md",
    "Source": "reference/source.md",
}
FILES = {
    "CONTRIBUTING.md": "howto/contributing.md",
    "SECURITY.md": "reference/security.md",
    "CHANGELOG.md": "reference/changelog.md",
}


def pages() -> Iterator[Page]:
    """All of them."""
    yield from _readme((ROOT / "README.md").read_text())
    for name, uri in FILES.items():
        yield Page(uri, (ROOT / name).read_text(), "")
    for path in sorted((ROOT / "experiments").glob("**/*.md")):
        where = path.relative_to(ROOT / "experiments")
        uri = f"numbers/{where.with_name('index.md') if path.name == 'README.md' else where}"
        text = path.read_text()
        text = text if text.startswith("# ") else f"# {path.stem}\n\n{text}"
        yield Page(uri, text, str(path.parent.relative_to(ROOT)))


def _readme(text: str) -> Iterator[Page]:
    """The home, and a page for each section that README names; the rest stays at home."""
    home, *parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    for part in parts:
        heading = part.partition("\n")[0].removeprefix("## ")
        if heading in README:
            yield Page(README[heading], re.sub("^##", "#", part, flags=re.MULTILINE), "")
        else:
            home += part
    yield Page("index.md", home, "")
