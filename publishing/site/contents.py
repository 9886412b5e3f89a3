"""What is where: the parts of the site, Start to Numbers, each with an overview of its pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from publishing import api
from publishing.site import gallery, reference
from publishing.site.page import Page

START = ("start/data.md", "start/text.md", "start/notebook.md")
HOW_TO = {
    "Train": (
        *("howto/run.md", "howto/resume.md", "howto/fine_tune.md", "howto/objectives.md"),
        *("howto/new_data.md", "howto/cifar.md", "howto/latents.md"),
    ),
    "Draw": ("howto/solvers.md", "howto/tasks.md", "howto/emoji.md", "modalities.md"),
    "Measure": (
        *("howto/evaluate.md", "howto/papers.md", "howto/report.md", "howto/sweeps.md"),
        "howto/table.md",
    ),
    "Use weights of others": ("howto/checkpoints.md",),
    "Run elsewhere": (
        *("howto/gpus.md", "howto/tpu.md", "howto/slurm.md", "howto/colab.md", "scaling.md"),
        *("accelerators.md", "reliability.md"),
    ),
    "Extend": ("howto/add.md", "extending.md", "architecture.md", "howto/contributing.md"),
}
TABLES = ("reference/weights.md", "reference/metrics.md")
ABOUT = ("reference/what.md", "citing.md", "reference/changelog.md", "reference/security.md")
_HOME = "index.md"

Lists = dict[str, list[str]]


def laid_out(pages: Mapping[str, Page]) -> dict[str, Page]:
    """The pages, with those that lead to others: each is led to once."""
    found = dict(pages)
    for part, title, lists in _parts(pages):
        there = found.get(part) or Page(part, f"# {title}", "")
        found[part] = _with(there, lists)
    parts = {part: lists for part, title, lists in _parts(pages) if title}
    home = [part for part, lists in parts.items() if part in pages or any(lists.values())]
    found[_HOME] = _with(found[_HOME], {"": home}, hidden=True)
    return found


def _parts(pages: Mapping[str, Page]) -> Iterator[tuple[str, str, Lists]]:
    """The overview of each part, its title, and the pages that it leads to, by heading.

    One without a title is no part, but a page that others belong to.
    """

    def there(uris: tuple[str, ...]) -> list[str]:
        return [uri for uri in uris if uri in pages]

    yield "start/index.md", "Start", {"": there(START)}
    learn = sorted(uri for uri in pages if uri.startswith("learn/"))
    yield "learn/index.md", "Learn", {"": [uri for uri in learn if uri != "learn/index.md"]}
    yield "howto/index.md", "How to", {title: there(uris) for title, uris in HOW_TO.items()}
    of_config = [f"reference/config/{name}.md" for name in reference.TITLES]
    of_python = [f"reference/api/{path}.md" for path in api.MODULES]
    of_command = {"The command line": ["reference/command.md"], "Configs": of_config}
    about = {"Python": of_python, "Tables": list(TABLES), "About": there(ABOUT)}
    yield "reference/index.md", "Reference", of_command | about
    yield "gallery/index.md", "Gallery", _gallery(pages)
    yield "compare.md", "Compare", {}
    studies = [uri for uri in pages if uri.startswith("numbers/") and uri.count("/") == 2]
    yield "numbers/index.md", "Numbers", {"Studies": studies}
    for study in studies:
        folder = study.removesuffix("index.md")
        results = [uri for uri in pages if uri.startswith(folder) and uri != study]
        if results:
            yield study, "", {"": results}


def _gallery(pages: Mapping[str, Page]) -> Lists:
    recipes = [uri for uri in pages if uri.startswith("gallery/") and not uri.endswith("index.md")]
    groups: Lists = {title: [] for title in (*gallery.GROUPS, gallery.OTHERS)}
    for uri in recipes:
        groups[gallery.group(uri.rpartition("/")[2].removesuffix(".md"))].append(uri)
    return {title: found for title, found in groups.items() if found}


def _with(page: Page, lists: Lists, hidden: bool = False) -> Page:
    """A page that leads to others."""
    parts = [page.text.rstrip()]
    for title, uris in lists.items():
        if uris:
            caption = f":caption: {title}\n" if title else ""
            shown = ":hidden:\n" if hidden else ":maxdepth: 1\n"
            entries = "\n".join(f"/{uri.removesuffix('.md')}" for uri in uris)
            parts.append(f"```{{toctree}}\n{caption}{shown}\n{entries}\n```")
    return dataclasses.replace(page, text="\n\n".join(parts) + "\n")
