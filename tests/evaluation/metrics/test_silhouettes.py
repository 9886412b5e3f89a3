"""Silhouettes of pictures and of depths, of squares that are known exactly."""

import dataclasses

import numpy as np
import pytest
from made_subject import made_source, subject_of

from score_sde import VP, fields
from score_sde.data.furniture import rendering
from score_sde.evaluation.metrics.silhouettes import Silhouettes, agreement
from score_sde.spaces import Pixels

IMAGE, DEPTH = fields.image((8, 8, 1)), fields.image((8, 8, 1), name="depth")
N = 6


def pictures(spans, within, without):
    """Rows from the first to the last, whole, in one level on another."""
    found = np.full((len(spans), 8, 8, 1), without, np.uint8)
    for one, (first, last) in zip(found, spans, strict=True):
        one[first:last] = within
    return found


def test_agreement_is_of_areas():
    """Half of the rows in common over all three quarters; what both lack is agreed upon."""
    depths = pictures([(0, 4), (0, 4), (2, 4), (0, 0)], 40, 0)
    drawn = pictures([(0, 4), (2, 6), (4, 8), (0, 0)], 200, 250)
    np.testing.assert_allclose(agreement(drawn, depths), [1, 2 / 6, 0, 1], rtol=1e-12)
    coloured = np.repeat(drawn, 3, axis=-1)
    coloured[..., 0] = np.minimum(coloured[..., 0], 250)
    np.testing.assert_allclose(agreement(coloured, depths), [1, 2 / 6, 0, 1], rtol=1e-12)


def test_a_rendered_picture_agrees_with_its_depth():
    """A triangle from some sides, to the pixels at its edge that are covered by less than half."""
    triangle = np.array([[[-0.8, 0, -0.6], [0.8, 0, -0.6], [0, 0, 0.9]]])
    turns = (0.0, 0.4, 2.0)
    drawn = [
        np.stack(a)
        for a in zip(*(rendering.picture(triangle, t, 0.2, 32) for t in turns), strict=True)
    ]
    assert agreement(*drawn).min() > 0.9
    assert agreement(drawn[0], drawn[1][::-1]).min() < 0.9


def subject(folder, **changes):
    """Whose samples are of the depths that it was told, moved down by a row."""
    spans = [(i % 3, i % 3 + 4) for i in range(N)]
    asked = {"image": pictures(spans, 100, 255), "depth": pictures(spans, 90, 0)}
    drawn = pictures([(first + 1, last + 1) for first, last in spans], 100, 255)

    def draw(batch_size, number, first, on_progress):
        for start in range(first, number, batch_size):
            yield drawn[start : min(start + batch_size, number)], 7

    given = {
        "draw": draw,
        "conditions": ("depth",),
        "asked": lambda number: {name: array[:number] for name, array in asked.items()},
    }
    source = made_source(asked, [IMAGE, DEPTH])
    return subject_of(folder, VP(), None, Pixels.of(IMAGE), source, **given | changes)[0]


def test_entries(tmp_path):
    """Three rows of five in common; of rows that begin at 1 2 3 and other depths at 0 1 2 0 1 2."""
    found = Silhouettes(num_samples=4).prepare(subject(tmp_path))()["silhouette_iou"]
    assert found["value"] == pytest.approx(3 / 5)
    assert found["standard_error"] == pytest.approx(0, abs=1e-12)
    assert found["of_real_examples"] == 1
    # Samples begin at 1, 2, 3, 1 and the depths of others at 2, 0, 0, 1.
    assert found["of_other_depths"] == pytest.approx(np.mean([3 / 5, 2 / 6, 1 / 7, 1]))
    assert (found["nfe"], found["protocol"]["n"]) == (7, 4)


def test_what_it_is_not_of_is_refused(tmp_path):
    what = subject(tmp_path)
    with pytest.raises(ValueError, match="it is of a model that is told an image sketch"):
        Silhouettes(field="sketch").prepare(what)
    large = made_source(
        {"image": np.zeros((4, 8, 8, 1), np.uint8), "depth": np.zeros((4, 16, 16, 1), np.uint8)},
        [IMAGE, fields.image((16, 16, 1), name="depth")],
    )
    with pytest.raises(ValueError, match="image of 8x8x1 has no silhouette as depth of 16x16x1"):
        Silhouettes().prepare(dataclasses.replace(what, source=large))
