"""Fields: what they are in words, and whether values of one mean the same as those of another."""

import dataclasses

import pytest

from score_sde import fields
from score_sde.fields import Field

IMAGE, LABEL = fields.image((8, 6, 1)), fields.label(2, ("cat", "dog"))


def changed(field, **values):
    return dataclasses.replace(field, **values)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (IMAGE, IMAGE, None),
        (LABEL, changed(LABEL, names=()), None),  # imported runs know no names
        (IMAGE, fields.image((8, 6, 3)), ("image of 8x6x1", "image of 8x6x3")),
        (
            IMAGE,
            fields.image((8, 6, 1), 17),
            ("image of 8x6x1 with 256 levels", "image of 8x6x1 with 17 levels"),
        ),
        (LABEL, fields.label(5), ("label of 2 classes", "label of 5 classes")),
        (
            LABEL,
            changed(LABEL, names=("cat", "cow")),
            ("label whose class 1 is 'dog'", "label whose class 1 is 'cow'"),
        ),
        (LABEL, fields.number("label"), ("the label label", "the number label")),
        (fields.vector(3), fields.vector(4), ("vector of 3", "vector of 4")),
        (Field("m", "mask", (3,)), Field("m", "mask", (3,)), None),
    ],
)
def test_what_is_different_is_said_of_both(one, other, words):
    assert one.differs(other) == words
    assert other.differs(one) == (words and words[::-1])


def test_a_field_has_as_many_values_as_can_be():
    """Levels of 16 bits: a space makes a list of them."""
    assert fields.image((8, 6, 1), 2**16).values == 2**16
    for make in (lambda: fields.image((8, 6, 1), 2**16 + 1), lambda: fields.label(-1)):
        with pytest.raises(ValueError, match="cannot have"):
            make()
