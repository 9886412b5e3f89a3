"""What is said in the documentation is said in one place: a copy grows old unseen."""

import collections
import re

import pytest
from program import ROOT

from publishing.site import executed

PATTERNS = ("*.md", "docs/**/*.md")
PAGES = [p for pattern in PATTERNS for p in sorted(ROOT.glob(pattern)) if p.stem != "CHANGELOG"]
CODE = re.compile(r"^```.*?^```$|^(?: {4}|\|)[^\n]*$", re.MULTILINE | re.DOTALL)  # and tables
FEWEST = 8  # words of a sentence


def sentences(text):
    """Those of a page that are long enough to be somebody's."""
    for block in re.split(r"\n\s*\n", CODE.sub("", text)):
        for sentence in re.split(r"(?<=[.:!?])\s+", " ".join(block.split())):
            if len(sentence.split()) >= FEWEST and sentence not in executed.NOTE:
                yield sentence


def repeated(texts):
    """Sentences that stand in several texts or places, with the names of these."""
    found = collections.defaultdict(list)
    for name, text in texts.items():
        for sentence in sentences(text):
            found[sentence].append(name)
    return {sentence: names for sentence, names in found.items() if len(names) > 1}


def test_no_sentence_stands_twice():
    texts = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
    assert repeated(texts) == {}


@pytest.mark.parametrize("end", ["\n", " Go on.\n\n    pip install x\n"])
def test_a_sentence_that_stands_twice_is_found(end):
    """However its lines are broken; commands may be repeated."""
    said = "Get the code, into a folder that is named as you like."
    broken = said.replace(", ", ",\n")
    texts = {"a": f"# A\n\n{said}{end}", "b": f"    pip install x\n\n{broken} Other.\n"}
    assert repeated(texts) == {said: ["a", "b"]}
