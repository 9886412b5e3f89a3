"""Build the documentation site, with warnings as errors: every link leads somewhere.

    python -m publishing.site
    python -m publishing.site --out=DIR

It needs pip install -e ".[docs]". The pages are those of docs/, of the README and the studies, and
those that are made of the code. They are read without a server and without a network: open
site/index.html.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from publishing.site import source
from score_sde import terminal
from score_sde.errors import UserError


def build(pages: Path, out: Path) -> None:
    """Build the site of the pages in a folder.

    Raises:
        UserError: Sphinx or its theme is not installed, or it warned of something.
    """
    try:
        from sphinx.cmd.build import build_main
    except ImportError as error:
        raise UserError(f'{error}; it needs pip install -e ".[docs]"') from error
    configured = str(Path(__file__).parent)
    static = f"html_static_path={pages / source.STATIC}"
    flags = ("-q", "-W", "--keep-going", "-b", "html", "-c", configured, "-D", static)
    with tempfile.TemporaryDirectory() as trees:
        if build_main([*flags, "-d", trees, str(pages), str(out)]):
            raise UserError("the site was not built: see above")


def _say(line: str) -> None:
    """Print a line at once: what it announces takes a while."""
    print(line, flush=True)


@terminal.program
def main(argv: list[str]) -> int:
    """Write the pages, and build the site of them."""
    parser = terminal.Parser.of("python -m publishing.site", __doc__)
    parser.add_argument("--out", type=Path, default=Path("site"), metavar="DIR")
    given = parser.parse_args(argv[1:])
    with tempfile.TemporaryDirectory() as pages:
        source.write(Path(pages), _say)
        _say("building the pages ...")
        build(Path(pages), given.out.resolve())
    print(f"Next: open {given.out}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
