"""The code of a page is executed, block after block: what it gives, and how it fails."""

import itertools

import pytest
from program import ROOT

from publishing.site import executed
from score_sde.errors import UserError

PAGE = """# A page

```python
import matplotlib.pyplot as plt
x = 2
print("x is", x)
```

In between.

```python
plt.figure()
print(x + 1)
```
"""


def test_what_is_printed_and_drawn_stands_below():
    """Names of one block are those of the next; pictures are PNG files beside the page."""
    text, pictures = executed.executed(PAGE, "learn/p.md")
    assert 'print("x is", x)\n```\n\n```text\nx is 2\n```\n\nIn between.' in text
    assert "```text\n3\n```\n\n![What the code draws](/learn/p-1.png)\n" in text
    assert list(pictures) == ["learn/p-1.png"]
    assert pictures["learn/p-1.png"].startswith(b"\x89PNG")


CHAPTERS = sorted((ROOT / "docs" / "learn").glob("[0-9]*.md"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_who_reads_a_chapter_elsewhere_is_told_of_its_pictures(path):
    """Below the title, in the words of one place; on the site they are there."""
    title, note, rest = path.read_text().split("\n\n", 2)
    assert (title[:2], note) == ("# ", executed.NOTE)
    assert executed.NOTE not in rest
    text, _ = executed.executed(f"{title}\n\n{note}\n\nOn.\n", "learn/p.md")
    assert text == f"{title}\n\nOn.\n"


def test_code_that_fails_is_one_line():
    """With the page and the line of the block."""
    with pytest.raises(UserError, match=r"^docs/learn/p\.md:3: NameError: name 'y' is not defined"):
        executed.executed("# A page\n\n```python\ny\n```\n", "learn/p.md")


def test_code_that_takes_too_long_is_refused():
    clock = itertools.count(step=executed.MOST_SECONDS + 1).__next__
    with pytest.raises(UserError, match="more than 20"):
        executed.executed(PAGE, "learn/p.md", clock)
