"""Flow charts in Mermaid's syntax as lists, so that no script has to draw them."""

from __future__ import annotations

import re

_CHART = re.compile(r"^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LABEL = re.compile(r'(\w+)\["(.+?)"\]')


def listed(text: str) -> str:
    """Markdown whose charts are lists: each box, what is in it, and the boxes that it leads to."""
    return _CHART.sub(lambda match: _list(match[1]), text)


def _list(chart: str) -> str:
    labels = dict(_LABEL.findall(chart))
    leads: dict[str, list[str]] = {name: [] for name in labels}
    for line in _LABEL.sub(r"\1", chart).splitlines():
        begin, arrow, end = line.strip().partition(" --> ")
        if arrow:
            leads.setdefault(begin, []).append(end)
    lines = []
    for name, targets in leads.items():
        title, _, about = labels.get(name, name).partition("<br>")
        about = about.replace("<br>", " ")
        after = f" → {', '.join(f'`{target}`' for target in targets)}" if targets else ""
        lines.append(f"- **{title}**{f': {about}' if about else ''}{after}")
    return "\n".join(lines)
