"""What pages of the documentation type: commands, snippets of Python, and names in backticks."""

import ast
import dataclasses
import re
import shlex

from program import ROOT

# The programs that a line of code may start with to be a command.
PROGRAMS = (
    *("python", "python3", "pip", "apt-get", "pytest", "pre-commit", "lint-imports", "ruff"),
    *("git", "cd", "score-sde", "export", "source", ".", "bash", "sh", "srun", "sbatch", "curl"),
    *("wget", "uv", "conda"),
)


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece of a page.

    Attributes:
        page: its file, from the root of the repository.
        line: where it begins.
        text: what stands there.
    """

    page: str
    line: int
    text: str

    @property
    def where(self):
        return f"{self.page}:{self.line}"

    @property
    def words(self):
        """Its words, as a shell splits them."""
        try:
            return tuple(shlex.split(self.text, comments=True))
        except ValueError:  # an apostrophe: prose
            return ()


def lines(page):
    """A page of Markdown, or the docstring of a module."""
    text = (ROOT / page).read_text()
    if page.endswith(".py"):
        return (ast.get_docstring(ast.parse(text), clean=False) or "").splitlines()
    return text.splitlines()


def commands(page, text):
    """The commands among the lines of a page, in their order; `a && b` is two."""
    found = [
        Piece(page, piece.line, part)
        for piece in (*_code(page, text), *_spans(page, text))
        for part in _parts(piece)
    ]
    return sorted(found, key=lambda command: command.line)


def snippets(page, text):
    """The blocks of Python, each from the line after its fence on."""
    found = [block for block in _blocks(text) if block[0] == "python"]
    return [Piece(page, number, "\n".join(block)) for _, number, block in found]


def mentions(page, text):
    """What stands in backticks and is no command."""
    return [span for span in _spans(page, text) if not _parts(span)]


def links(page, text):
    """The files that links and pictures lead to; `f[a](b)` of Python is none."""
    code = {number + i for kind, number, block in _blocks(text) if kind for i in range(len(block))}
    return [
        Piece(page, number, target)
        for number, line in enumerate(text, 1)
        if number not in code
        for target in re.findall(r"\]\(([^)#]+)\)", line)
        if "://" not in target
    ]


def _parts(piece):
    """The commands that are joined by && in a piece of code."""
    words, parts = [*piece.words, "&&"], []
    while words:
        end = words.index("&&")
        if words[:1] and words[0] in PROGRAMS:
            parts.append(shlex.join(words[:end]))
        words = words[end + 1 :]
    return parts


def _blocks(text):
    """Language, number of the first line and lines of each block; "" for one that is indented."""
    blocks, number = [], 0
    while number < len(text):
        line, number = text[number], number + 1
        if line.startswith("```"):
            end = text.index("```", number)
            blocks.append((line.strip("` "), number + 1, text[number:end]))
            number = end + 1
        elif line.startswith("    "):
            blocks.append(("", number, [line]))
    return blocks


def _code(page, text):
    """Lines of code that are no Python; one that ends with a backslash goes on in the next."""
    if page.endswith(".py"):  # a docstring has commands at its margin too
        blocks = [("", 1, text)]
    else:
        others = ("python", "mermaid", "math")
        blocks = [block for block in _blocks(text) if block[0] not in others]
    code = [(number + i, line) for _, number, block in blocks for i, line in enumerate(block)]
    found, begun = [], None
    for number, line in code:
        begun = begun or Piece(page, number, "")
        begun = dataclasses.replace(begun, text=begun.text + line.strip().removesuffix("\\"))
        if not line.endswith("\\"):
            found.append(begun)
            begun = None
    return found


def _spans(page, text):
    """What stands between backticks outside of blocks."""
    code = {number + i for _, number, block in _blocks(text) for i in range(len(block))}
    prose = ["" if n in code or "```" in line else line for n, line in enumerate(text, 1)]
    joined = "\n".join(prose)
    return [
        Piece(page, joined[: match.start()].count("\n") + 1, " ".join(match[1].split()))
        for match in re.finditer(r"`((?:[^`\n]|\n(?!\n))+)`", joined)
    ]
