"""--condition=NAME=VALUE: classes by their names, and names that are near."""

from types import SimpleNamespace

import pytest

from score_sde import fields
from score_sde.cli import conditions
from score_sde.errors import UserError
from score_sde.subspace import Subspace

ROOM = fields.label(3, ("Bedroom", "Kitchen", "Living room"), "room")
NOTE = fields.text(20, "note", fields.words_of(["Violin, A#4", "flute, C4"]))
TOLD = SimpleNamespace(
    conditions=("room", "metres", "note", "caption"),
    data={
        "room": ROOM,
        "metres": fields.number("metres"),
        "note": NOTE,
        "caption": fields.text(20, "caption"),
    },
    space=SimpleNamespace(subspace=Subspace()),
)


def test_a_class_is_its_name_or_its_number():
    for text, number in (("Kitchen", 1), ("living room", 2), ("0", 0)):
        found = conditions.value(TOLD, "room", text)
        assert (found.shape, found.dtype, found) == ((), "int32", number)
    assert conditions.words(ROOM, [1]) == ["Kitchen"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("room", "Kichen", "--condition=room=Kichen: 'Kichen' is no class of room: did you mean"),
        ("room", "3", "'3' is no class of room: they are Bedroom, Kitchen, Living room"),
        (
            "rooms",
            "1",
            "--condition=rooms=...: did you mean room? this model is told room, metres, note",
        ),
        ("x", "1", "--condition=x=...: this model is told room, metres, note"),
        ("metres", "a", "--condition=metres=a: give one number(s)"),
        (
            *("note", "violn, A4"),
            "--condition=note: 'violn' is no word of note here: did you mean 'violin'? they are "
            "violin, a, 4, flute, c4",
        ),
        ("note", "flute; C4", "';' is no word of note here: they are violin"),
    ],
)
def test_what_it_is_not_told_is_one_line(name, text, said):
    with pytest.raises(UserError) as error:
        conditions.value(TOLD, name, text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_text_of_few_words_is_of_these_and_another_of_any():
    """In any case of letters; no text has no unknown word."""
    for text in ("VIOLIN, c4", "", "a#4"):
        assert fields.decode_texts([conditions.value(TOLD, "note", text)]) == [text]
    assert fields.decode_texts([conditions.value(TOLD, "caption", "violn")]) == ["violn"]
