"""What a picture of a question shows, and what stands above it."""

import numpy as np
import pytest

from score_sde.cli.question import HEADS, REAL, Question
from score_sde.guidance.task import Task


@pytest.mark.parametrize(
    ("beside", "shown", "captions", "above"),
    [
        ({}, 2, ["a", "b"], ["a", "b"]),
        ({}, 1, ["a", "b"], ["a"]),
        ({}, 2, [], []),
        ({"observed": np.zeros(2)}, 6, ["a", "b"], list(HEADS) * 2),
        ({"real": np.zeros(2)}, 4, ["a", "b"], ["a", REAL, "b", REAL]),
        ({"real": np.zeros(2)}, 2, [], ["", REAL]),
    ],
)
def test_what_stands_above_a_picture(beside, shown, captions, above):
    """What was asked of each sample; of rows of several, what these are."""
    asked = Question(Task(), {}, "image", **beside)
    assert asked.titles(np.zeros((shown, 3)), captions) == above


@pytest.mark.parametrize(("columns", "shown"), [(None, 256), (10, 250), (100, 200), (300, 300)])
def test_a_picture_has_whole_rows(columns, shown):
    """Also of more classes than the 256 images that a picture has else."""
    asked = Question(Task(), {}, "image", columns=columns)
    assert len(asked.picture(np.zeros((700, 8, 8, 1), np.uint8), 256)) == shown


def test_what_the_images_of_a_row_are():
    """What is known, the sample and the truth; samples alone are not named."""
    samples, seen, truth = (np.full((100, 2, 2, 1), n, np.uint8) for n in range(3))
    assert Question(Task(), {}, "image", columns=3).heads == ()
    asked = Question(Task(), {}, "image", truth, "x", 3, seen)
    shown = asked.picture(samples, 256)
    assert asked.heads == ("what is known", "drawn", "as it was")
    assert shown[:, 0, 0, 0].tolist() == [1, 0, 2] * 85
    assert asked.examples(shown) == 85


@pytest.mark.parametrize("each", [1, 4])
def test_the_known_part_is_set_off_in_what_was_drawn(each):
    """Of 4 chains of 6, whose first two are known of all or of each alone."""
    part = np.zeros((each, 6, 1), bool)
    part[:, :2] = True
    chains = np.ones((4, 6, 3), np.float32)
    asked = Question(Task(), {}, "points", chains, "motif", part=part)
    shown = asked.picture(chains, 3)
    known = asked.known_of(shown)
    assert known.shape == (3, 6)
    assert known.sum(axis=0).tolist() == [3, 3, 0, 0, 0, 0]
    assert asked.titles(shown, ["a", "", "b"], "red") == [
        "a, known part red",
        "known part red",
        "b, known part red",
    ]
    assert asked.titles(shown, [], "red") == ["known part red"] * 3
    assert asked.titles(shown, [], "") == []
    rows = Question(Task(), {}, "points", chains, "inpaint", 12, chains, part)
    shown = rows.picture(chains, 36)
    known = rows.known_of(shown)
    assert known[:, 0].tolist() == [False, True, False] * 4
    assert not known[:, 2:].any()
    assert (
        rows.titles(shown, [], "red")
        == [*("what is known", "drawn, known part red", "as it was")] * 4
    )
    assert Question(Task(), {}, "points").known_of(shown) is None
