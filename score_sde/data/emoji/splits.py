"""Which emoji a model is not trained on.

    train    the others
    test     a tenth of the concepts, in all styles and skin tones
    pairs    a drawing of concepts of train that have several: (concept, style) pairs that were
             never seen, of concepts and styles that were

Concepts of one family, as "man firefighter" and "woman firefighter", are held out together, and so
are styles that share their drawings, as Fluent's three: in either the same picture could have been
seen. All of it follows from hashes of names: what is held out is the same for any size and, in
test, for any styles.
"""

from __future__ import annotations

from collections.abc import Collection

from score_sde.data.hashed import uniform

SPLITS = TRAIN, TEST, PAIRS = "train", "test", "pairs"

_TEST_SHARE = 0.1  # of the families
_PAIRS_SHARE = 0.2  # of the concepts that several styles draw


def of_family(family: str) -> str:
    """The split of a family of concepts, without regard to pairs."""
    return TEST if _uniform("test", family) < _TEST_SHARE else TRAIN


def of_pair(concept: str, family: str, drawing: str, drawings: Collection[str]) -> str:
    """The split of a concept in a drawing.

    Args:
      concept: its name.
      family: that of its family.
      drawing: what its style draws, see Style.drawing.
      drawings: all that there are of this concept.
    """
    if of_family(family) == TEST:
        return TEST
    if len(drawings) < 2 or _uniform("pairs", concept) >= _PAIRS_SHARE:
        return TRAIN
    held_out = min(drawings, key=lambda one: _uniform("pair", f"{concept} {one}"))
    return PAIRS if drawing == held_out else TRAIN


def _uniform(what: str, name: str) -> float:
    """In [0, 1), from a hash."""
    return uniform(f"emoji {what} {name}")
