"""Fields: what they are in words, and whether values of one mean the same as those of another."""

import dataclasses

import numpy as np
import pytest

from score_sde import fields
from score_sde.fields import Field
from score_sde.models.text.words import split

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


@pytest.mark.parametrize("dtype", ["object", "U8", "f4,f4", "a\nb", "x" * 5000])
def test_values_of_a_field_are_numbers(dtype):
    with pytest.raises(ValueError, match="the field label cannot be of") as caught:
        fields.Field("label", "label", dtype=dtype)
    assert len(str(caught.value).splitlines()) == 1


def test_words_are_those_that_the_encoder_reads():
    """As many of each text, and equal where the bytes of its places are."""
    texts = ["Violin, A#4", "sci-fi  f\u00fcr\tZWEI", "a 3 moves left", ""]
    found = split(fields.encode_texts(texts, 40))
    for text, slots, byte in zip(texts, found.slot, found.byte, strict=True):
        count = int(slots.max()) + 1
        read = [bytes(byte[slots == n].astype(np.uint8)).decode() for n in range(count)]
        assert tuple(dict.fromkeys(read)) == fields.words_of([text])
    assert fields.words_of(texts[:1]) == ("violin", ",", "a", "#", "4")


def test_texts_come_back():
    texts = ["cat", "", "flag: Côte d'Ivoire", "猫" * 10]
    values = fields.encode_texts(texts, 30)
    assert (values.shape, values.dtype) == ((4, 30), np.uint8)
    assert fields.decode_texts(values) == texts
    assert fields.encode_texts([], 3).shape == (0, 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("猫猫", "^'猫猫' has 6 bytes: a text can have 5"),
        ("a\0b", "has a zero character"),
        ("x" * 10_000, "^.{80} has 10000 bytes"),
    ],
)
def test_what_is_no_text_here(text, says):
    with pytest.raises(ValueError, match=says):
        fields.encode_texts(["cat", text], 5)


@pytest.mark.parametrize("row", [b"a\0b", b"\xff\0\0"])
def test_what_is_no_value_of_a_text(row):
    with pytest.raises(ValueError):  # noqa: PT011 - of Python's decoder too
        fields.decode_texts(np.frombuffer(row, np.uint8)[None])


def test_texts_of_other_lengths_are_other_fields():
    assert fields.text(5).words == "text of at most 5 bytes"
    assert fields.text(5).differs(fields.text(6)) == (fields.text(5).words, fields.text(6).words)


def test_a_class_is_meant_by_its_name_or_its_number():
    """The name comes first, where one is a number too; case counts only where it has to."""
    rooms = fields.label(3, ("Bedroom", "bathroom", "Living room"), "room")
    assert [rooms.class_of(text) for text in ("bathroom", "Bathroom", "living room", "2")] == [
        *(1, 1, 2, 2)
    ]
    assert fields.label(2, ("1", "0")).class_of("1") == 0
    assert fields.label(2, ("a", "A")).class_of("A") == 1
    assert fields.label(4).class_of("3") == 3
    with pytest.raises(ValueError, match="is no class of label: they are 0 to 3"):
        fields.label(4).class_of("9" * 5000)
    assert refusal(rooms, "livingroom") == (
        "'livingroom' is no class of room: did you mean 'Living room'? they are Bedroom, bathroom, "
        "Living room"
    )
    assert refusal(rooms, "3") == "'3' is no class of room: they are Bedroom, bathroom, Living room"
    assert refusal(fields.label(4), "-1") == "'-1' is no class of label: they are 0 to 3"
    many = fields.label(1000, tuple(f"n{n}" for n in range(1000)))
    assert refusal(many, "x" * 999).endswith("they are " + ", ".join(many.names[:12]) + ", ...")
    assert len(refusal(many, "x" * 999)) < 250


def refusal(field, text):
    with pytest.raises(ValueError, match="is no class of") as error:
        field.class_of(text)
    return str(error.value)
