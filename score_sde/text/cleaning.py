"""What CLIP's tokeniser does to a text before all else."""

from __future__ import annotations

import html
import re


def clean(text: str) -> str:
    """A text without what the web did to it, as CLIP's own code has it.

    Encodings that were mixed up are undone, and ligatures, wide letters, quotation marks and the
    like become plain ones (ftfy); then entities of HTML are resolved, twice, for they are often
    escaped twice; then white space of any kind and length is one space, and none is at the ends.

    Raises:
        ValueError: ftfy is not installed.
    """
    try:
        import ftfy
    except ImportError as error:
        raise ValueError(
            'CLIP\'s tokeniser needs ftfy: pip install "score_sde[text]", or pip install -e '
            '".[text]" in a checkout'
        ) from error
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return re.sub(r"\s+", " ", text).strip()
