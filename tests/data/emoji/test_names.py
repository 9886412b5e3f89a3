"""Captions are CLDR's names, and what shows the same is one concept."""

import pytest

from score_sde.data.emoji import names
from score_sde.data.emoji.names import named, parse

PLAIN = str.maketrans({"’": "'", "“": None, "”": None})


def test_captions_are_the_labels_of_cldr(six):
    """Of all 1,923 but five flags, whose names are others there; quotation marks aside."""
    labels = {parse(one["hex"]): one["label"].translate(PLAIN) for one in six[0]["emoji"]}
    known = names.known()
    assert set(labels) <= set(known)
    others = {label for code, label in labels.items() if known[code].caption != label}
    assert len(others) <= 5
    assert all(label.startswith("flag: ") for label in others)


@pytest.mark.parametrize(
    ("code", "caption", "concept", "family"),
    [
        ("1F44B-1F3FD", "waving hand: medium skin tone", "waving hand", "waving hand"),
        (
            "1F9D1-1F3FE-200D-1F9B0",
            "person: red hair, medium-dark skin tone",
            "person: red hair",
            "red hair",
        ),
        (
            "1F469-1F3FB-200D-1F692",
            "woman firefighter: light skin tone",
            "woman firefighter",
            "firefighter",
        ),
        (
            "1F6B6-200D-2642-FE0F-200D-27A1-FE0F",
            "man walking: facing right",
            "man walking: facing right",
            "walking",
        ),
        (
            "1FAF1-1F3FB-200D-1FAF2-1F3FF",
            "handshake: light skin tone, dark skin tone",
            "handshake",
            "handshake",
        ),
        (
            "1F468-200D-1F469-200D-1F467",
            "family: man, woman, girl",
            "family: man, woman, girl",
            "family",
        ),
        ("1F1E9-1F1EA", "flag: Germany", "flag: Germany", "flag: Germany"),
        ("1F3F4-E0067-E0062-E0077-E006C-E0073-E007F", "flag: Wales", "flag: Wales", "flag: Wales"),
        ("1F3F4-200D-2620", "pirate flag", "pirate flag", "pirate flag"),
        ("0031-FE0F-20E3", "keycap: 1", "keycap: 1", "keycap: 1"),
        ("1F469", "woman", "woman", "person"),
        ("1F3FB", "light skin tone", "skin tone", "skin tone"),
    ],
)
def test_an_emoji(code, caption, concept, family):
    found = names.known()[parse(code)]
    assert (found.caption, found.concept, found.family) == (caption, concept, family)


def test_each_caption_is_of_one_emoji():
    captions = [emoji.caption for emoji in names.known().values()]
    assert len(captions) == len(set(captions)) > 3900


def test_skin_tones_do_not_change_the_concept():
    """Of each emoji of one person, the same without its tone."""
    known, tones = names.known(), set(range(0x1F3FB, 0x1F400))
    toned = [code for code in known if len(tones & set(code)) == 1 and len(code) > 1]
    assert len(toned) > 1000
    for code in toned:
        plain = known.get(tuple(point for point in code if point not in tones))
        if plain is not None and sum(point in tones for point in code) == 1:
            assert known[code].concept == plain.concept


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1f44b-1f3fd", (0x1F44B, 0x1F3FD)),
        ("1F44B_1F3FD", (0x1F44B, 0x1F3FD)),
        ("emoji_u1f44b_1f3fd", (0x1F44B, 0x1F3FD)),
        ("U+1F44B U+1F3FD", (0x1F44B, 0x1F3FD)),
        ("2764-fe0f", (0x2764,)),
        ("a9", (0xA9,)),
        ("waving-hand", None),
        ("1f44b1f3fd", None),
        ("", None),
    ],
)
def test_code_points_of_names_of_files(text, code):
    assert parse(text) == code


def test_what_is_written_is_parsed():
    assert all(parse(names.write(code)) == code for code in names.known())


def test_slugs_are_those_of_iconify_and_of_fluent():
    hand = parse("1F44B-1F3FD")
    assert names.by_slug()["waving-hand-medium-skin-tone"] == hand
    assert names.by_slug()["waving-hand-medium"] == hand
    assert names.by_slug()["flag-cote-divoire"] == parse("1F1E8-1F1EE")


def test_a_name_of_nothing_but_a_tone():
    assert named((0x1F3FF,), ":dark_skin_tone:").caption == "dark skin tone"
