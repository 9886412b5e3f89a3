"""What is different about a data set is said in words, and where it lies is no difference."""

import dataclasses

import pytest

from score_sde import fields
from score_sde.data import Info
from score_sde.data.difference import difference

CLASSES = ("cat", "dog")
BEFORE = Info(
    "folder", "train", 1000, (fields.image((8, 8, 3)), fields.label(2, CLASSES)), fingerprint="ab"
)


def changed(**values):
    return dataclasses.replace(BEFORE, **values)


def labelled(label):
    return changed(fields=(BEFORE.fields[0], label))


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (changed(size=750), "the number of examples was 1,000 and is 750"),
        (
            changed(fingerprint="cd"),
            "as many examples, but others: their names or contents are not the same",
        ),
        (
            changed(fields=(fields.image((8, 8, 1)), BEFORE.fields[1])),
            "the shape of image was 8x8x3 and is 8x8x1",
        ),
        (changed(fields=BEFORE.fields[:1]), "the examples have no label any more"),
        (changed(fields=(*BEFORE.fields, fields.number("age"))), "the examples had no age"),
        (
            labelled(fields.label(2, ("cat", "wolf"))),
            "label has other classes: no dog any more and wolf",
        ),
        (labelled(fields.label(1, ("cat",))), "label has other classes: no dog any more"),
        (labelled(fields.label(3)), "label had 2 classes and has 3"),
        (
            labelled(fields.label(2, ("dog", "cat"))),
            "the classes of label are in another order or have names now",
        ),
    ],
)
def test_each_difference_has_its_words(now, message):
    assert difference(BEFORE, now) == message


def test_the_same_set_and_one_whose_record_is_older_than_fingerprints():
    assert difference(BEFORE, BEFORE) is None
    assert difference(changed(fingerprint=""), BEFORE) is None
    old = {name: value for name, value in BEFORE.to_json().items() if name != "fingerprint"}
    assert difference(Info.from_json(old), BEFORE) is None


def test_many_classes_are_not_all_named():
    many = tuple(f"c{i}" for i in range(9))
    now = labelled(fields.label(9, many))
    assert difference(BEFORE, now) == (
        "label has other classes: no cat, dog any more and c0, c1, c2 and 6 more"
    )
