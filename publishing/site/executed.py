"""Pages whose code is executed when they are built: what it prints and draws stands below it.

The blocks of Python of a page share their names, as the cells of a notebook do. A figure of
matplotlib that a block leaves is a picture below it; what it prints is a block of text. NOTE, below
the title of such a page, is for those who read its file, and is not on the site.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import time
from collections.abc import Callable
from typing import Any

from score_sde.errors import UserError

_BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
NOTE = (
    "*What the code prints and draws is on the site: `python -m publishing.site` builds it "
    "([how](index.md)).*"
)
MOST_SECONDS = 20.0  # of processor time, of one block: a page is to be built while one waits

Pictures = dict[str, bytes]


def executed(
    text: str, uri: str, clock: Callable[[], float] = time.process_time
) -> tuple[str, Pictures]:
    """A page with what its code gives.

    Args:
        text: its Markdown.
        uri: of the page.
        clock: by which blocks are timed, in seconds.

    Returns:
        The Markdown, without NOTE, and its pictures (PNG) by where they are on the site.

    Raises:
        UserError: a block fails, or takes too long.
    """
    pyplot().close("all")
    names: dict[str, Any] = {"__name__": "__main__"}
    pictures: Pictures = {}

    def run(match: re.Match[str]) -> str:
        where = f"docs/{uri}:{text[: match.start()].count(chr(10)) + 1}"
        begin, printed = clock(), io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(match[1], where, "exec"), names)
        except Exception as error:
            raise UserError(f"{where}: {type(error).__name__}: {error}") from error
        if clock() - begin > MOST_SECONDS:
            raise UserError(
                f"{where}: it takes {clock() - begin:.0f} s, more than {MOST_SECONDS:.0f}"
            )
        found = [match[0]]
        if said := printed.getvalue().rstrip():
            found.append(f"```text\n{said}\n```\n")
        for picture in _figures():
            name = f"{uri.removesuffix('.md')}-{len(pictures) + 1}.png"
            pictures[name] = picture
            found.append(f"![What the code draws](/{name})\n")
        return "\n".join(found)

    return _BLOCK.sub(run, text).replace(f"{NOTE}\n\n", "", 1), pictures


def pyplot() -> Any:
    """Matplotlib, of which no window opens."""
    import matplotlib

    matplotlib.use("Agg")
    return importlib.import_module("matplotlib.pyplot")


def _figures() -> list[bytes]:
    """The figures that are open, as PNG; they are closed."""
    plt = pyplot()

    found = []
    for number in plt.get_fignums():
        file = io.BytesIO()
        plt.figure(number).savefig(file, format="png", dpi=110, bbox_inches="tight")
        found.append(file.getvalue())
    plt.close("all")
    return found
