"""Grids: what product, zipped and + make of lists of points."""

import pytest

from score_sde.errors import UserError
from score_sde.sweep import TRAIN, Metric, Plot, Point, Study, axis, product, zipped

A = axis("a", {"one": {"x": 1}, "two": {"x": 2}})
B = axis("b", {"red": {"y": "r"}, "blue": {"y": "b"}}, [TRAIN])


def labels(points):
    return [tuple(point.labels.values()) for point in points]


def test_a_product_has_every_combination_and_its_last_grid_varies_fastest():
    points = product(A, B)
    assert labels(points) == [("one", "red"), ("one", "blue"), ("two", "red"), ("two", "blue")]
    assert points[1] == Point({"a": "one", "b": "blue"}, {"x": 1, "y": "b"}, (TRAIN,))


def test_zipped_grids_go_side_by_side():
    points = zipped(A, B)
    assert labels(points) == [("one", "red"), ("two", "blue")]
    assert points[1].changes == {"x": 2, "y": "b"}
    with pytest.raises(UserError, match=r"one length, not \[1, 2\]"):
        zipped(A, B[:1])


def test_grids_nest_and_add_up_to_named_rows():
    extra = Point({"a": "own", "b": "row"}, {"z": 3})
    points = [*product(A[:1], B), extra]
    assert labels(points) == [("one", "red"), ("one", "blue"), ("own", "row")]


def test_the_right_one_of_two_changes_wins():
    point = product(A[:1], axis("b", {"other": {"x": 9}}))[0]
    assert point.changes == {"x": 9}


def test_two_axes_have_two_names():
    with pytest.raises(UserError, match="two axes of a grid are called 'a'"):
        product(A, A)


def study(**more):
    given = {
        "title": "t",
        "points": product(A, B),
        "evaluate": [TRAIN],
        "metrics": [Metric("m", "m")],
    }
    return Study(**(given | more))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"points": []}, "needs points"),
        ({"points": [*A, *B]}, "the same axes"),
        ({"points": [*A, A[0]]}, "the same labels"),
        ({"plots": [Plot("p", "m", "n", along="a")]}, "no metric 'n' in this study: it has m"),
        ({"plots": [Plot("p", "m", "m", along="c")]}, "no axis 'c' in this study: it has a, b"),
        ({"published": {("one", "green"): ("1",)}}, "one | green, which is no point"),
        ({"published": {("one", "red"): ("1", "2")}}, "one | red: one for each metric"),
    ],
)
def test_a_study_that_contradicts_itself_is_refused(more, message):
    with pytest.raises(UserError) as caught:
        study(**more)
    assert message in str(caught.value)
