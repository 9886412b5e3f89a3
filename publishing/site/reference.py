"""The reference: public names by module, and sections of configs with the members of families."""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

from publishing import api
from publishing.site import tables
from publishing.site.page import Page, docstring, escaped, fenced, table
from score_sde import guidance, objectives, prompting, samplers, sections
from score_sde.cli import help
from score_sde.evaluation.metrics import METRICS
from score_sde.models import NETWORKS
from score_sde.models.conditions import CONDITIONS
from score_sde.processes import PROCESSES
from score_sde.runs import config as configs
from score_sde.sections import Entry
from score_sde.spaces import SPACES
from score_sde.sweep.__main__ import HELP as SWEEP
from score_sde.values import describe

_WIDTH = 80  # of code, so that pages need not scroll

# Of each section that holds a family, its members.
FAMILIES: dict[str, Mapping[str, Any]] = {
    "sde": PROCESSES,
    "space": SPACES,
    "conditions": CONDITIONS,
    "text": prompting.SYSTEMS,
    "model": NETWORKS,
    "objective": objectives.OBJECTIVES,
    "sampling": samplers.SAMPLERS,
    "guidance": guidance.RULES,
    "evaluation": METRICS,
}
TITLES = {
    "sde": "Processes",
    "space": "Spaces",
    "conditions": "Conditions",
    "text": "Prompts",
    "model": "Networks",
    "objective": "Objectives",
    "data": "Data",
    "training": "Training",
    "optim": "Optimiser",
    "sampling": "Samplers",
    "guidance": "Guidance",
    "evaluation": "Metrics",
}


def pages() -> Iterator[Page]:
    """All of them; the first is the overview."""
    yield _overview()
    yield Page("reference/command.md", _command())
    for section in TITLES:
        yield Page(f"reference/config/{section}.md", _section(section))
    yield from tables.pages()
    for path in api.MODULES:
        yield Page(f"reference/api/{path}.md", _module(path))


def _overview() -> Page:
    of_config = [
        (f"[{title}](config/{name}.md)", f"`config.{name}`", ", ".join(FAMILIES.get(name, ())))
        for name, title in TITLES.items()
    ]
    of_code = []
    for path in api.MODULES:
        doc = inspect.getdoc(importlib.import_module(path)) or ""
        of_code.append((f"[{path}](api/{path}.md)", escaped(doc.partition("\n\n")[0])))
    return Page(
        "reference/index.md",
        "\n\n".join(
            (
                "# Reference",
                "## Of the command line",
                "[The command](command.md), its modes and flags.",
                "## Of configs",
                "Every field with what it takes, its default and what it means. With a recipe or a "
                "run, `--help` prints those that count in it.",
                table(("page", "section", "members"), of_config),
                _field("seed", configs.schema()["seed"]),
                "## Tables",
                "- [Released weights that open](weights.md)\n"
                "- [Solvers](config/sampling.md), with formula, order and measured error\n"
                "- [Metrics](metrics.md), with their protocols",
                "## Of Python",
                table(("module", "what it is"), of_code),
            )
        ),
    )


def _command() -> str:
    return "\n\n".join(("# The command", fenced(help.HELP), "## Studies", fenced(SWEEP)))


def _section(name: str) -> str:
    """The page of a section: its own fields, then each member with its own."""
    fields = configs.schema()[name]
    family = FAMILIES.get(name, {})
    own = {n: entry for n, entry in fields.items() if isinstance(entry, Entry)}
    parts = [f"# {TITLES[name]}: `config.{name}`"]
    parts += [tables.MEASURED] if name == "sampling" else []
    if name == "model":
        own = {
            n: e
            for n, e in own.items()
            if n in ("name", *sections.entries(configs.PredictionOptions))
        }
    if name == "sde":
        own = {"name": own["name"]}
    parts += [_fields(name, own)] if own else []
    for member, section in fields.items():
        if not isinstance(section, Entry) and member not in family:
            parts += [f"## `{member}`", _fields(f"{name}.{member}", section)]
    for member, cls in family.items():
        parts += [f"## `{member}`", docstring(_without_fields(cls))]
        parts += [tables.measured(member)] if name == "sampling" else []
        options = _options(name, member, fields)
        if options:
            prefix = name if name in ("sde", "model") else f"{name}.{member}"
            parts.append(_fields(prefix, options))
    return "\n\n".join(filter(None, parts))


def _options(section: str, member: str, fields: Mapping[str, Any]) -> dict[str, Entry]:
    """The fields that only this member reads."""
    if section == "sde":
        return sections.entries(PROCESSES[member])
    if section == "model":
        read = ("name", *sections.entries(configs.PredictionOptions))
        return {n: e for n, e in configs.schema(member)["model"].items() if n not in read}
    return fields.get(member, {})


def _without_fields(cls: Any) -> str:
    """What a member's docstring says beside its fields, which are in a table."""
    text = inspect.cleandoc(cls.__doc__ or "")
    for head in ("Attributes:", "Args:"):
        begin = text.find(f"\n{head}\n")
        if begin >= 0:
            end = text.find("\n\n", begin + 1)
            while end >= 0 and text[end + 2 : end + 3] == " ":
                end = text.find("\n\n", end + 1)
            text = text[:begin] + ("" if end < 0 else text[end:])
    return text


def _fields(prefix: str, fields: Mapping[str, Entry]) -> str:
    """A list, which is easier to read than a table on a narrow page."""
    return "\n".join(_field(f"{prefix}.{name}", entry) for name, entry in fields.items())


def _field(path: str, entry: Entry) -> str:
    meaning = escaped(f"{entry.meaning.rstrip('.')}." if entry.meaning else "")
    takes = escaped(describe(entry.annotation))
    return f"- `{path}` = `{entry.default!r}`\\\n  {meaning} *Takes {takes}.*"


def _module(path: str) -> str:
    """The page of a module."""
    module = importlib.import_module(path)
    listed = {
        value
        for one in map(importlib.import_module, api.MODULES)
        for name in api.names(one)
        if isinstance(value := getattr(one, name), type)
    }
    parts = [f"# `{path}`", docstring(module.__doc__)]
    for name in api.names(module):
        parts += _name(name, getattr(module, name), listed)
    return "\n\n".join(filter(None, parts))


def _name(name: str, value: Any, listed: set[type]) -> Iterator[str]:
    """What there is to say of a public name."""
    yield f"## `{name}`"
    if isinstance(value, types.ModuleType):
        yield f"The module `{value.__name__}`."
        return
    described = "\n".join(api.wrapped(line, _WIDTH) for line in api.described(name, value, listed))
    yield fenced(described, "python")
    if callable(value) and not isinstance(value, type | types.FunctionType):
        return
    if callable(value):
        yield docstring(value.__doc__)
    if isinstance(value, type):
        for member, one in api.members(value, listed):
            if doc := inspect.getdoc(one):
                yield f"### `{name}.{member}`"
                yield docstring(doc)
