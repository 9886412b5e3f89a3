"""Six styles, written and read as a data set: what is held out, and that all comes back."""

import numpy as np
import pytest

from score_sde import data
from score_sde.data.emoji import builder, drawing, names, splits
from score_sde.data.emoji.builder import Picture
from score_sde.data.emoji.names import parse
from score_sde.fields import decode_texts


@pytest.fixture(scope="module")
def written(six, tmp_path_factory):
    """Every sixth emoji of the developers' folder, in its six styles: its folder and pictures."""
    about, images, have = six
    pictures = {}
    for row in range(0, len(have), 6):
        code = parse(about["emoji"][row]["hex"])
        for number, style in enumerate(about["styles"]):
            if have[row, number]:
                image = images[row, number]
                pngs = drawing.png(image), drawing.png(drawing.edges(image))
                one = Picture(style, style.partition("-")[0], code, *pngs)
                pictures[style, code] = one, image
    folder = tmp_path_factory.mktemp("tfds")
    counts = builder.write(
        [picture for picture, _ in pictures.values()], about["styles"], 32, "of many", str(folder)
    )
    return folder, counts, {key: image for key, (_, image) in pictures.items()}


@pytest.fixture(scope="module")
def read(written):
    """All examples of each split: of each the style, the code and the names."""
    folder, counts, _ = written
    found = {}
    for split in counts:
        source = data.load("emoji", split, data_dir=folder)
        batch = source.gather(np.arange(len(source)))
        styles = [source.info["style"].names[number] for number in batch["style"]]
        codes = map(parse, decode_texts(batch["code"]))
        found[split] = source, batch, list(zip(styles, codes, strict=True))
    return found


def test_every_picture_comes_back_with_its_names(written, read):
    _, counts, images = written
    assert {split: len(examples) for split, (_, _, examples) in read.items()} == counts
    assert sum(counts.values()) == len(images) > 1500
    seen = set()
    for source, batch, examples in read.values():
        concepts = source.info["concept"].names
        texts = decode_texts(batch["text"])
        for number, (style, code) in enumerate(examples):
            emoji = names.known()[code]
            np.testing.assert_array_equal(batch["image"][number], images[style, code])
            assert texts[number] == emoji.caption
            assert concepts[batch["concept"][number]] == emoji.concept
        edges = drawing.edges(batch["image"][0])
        np.testing.assert_array_equal(batch["sketch"][0], edges)
        seen |= set(examples)
    assert seen == set(images)


def test_the_fields(read):
    info = read["train"][0].info
    fields = {field.name: (field.kind, field.shape, field.dtype) for field in info.fields}
    assert fields == {
        "image": ("image", (32, 32, 3), "uint8"),
        "sketch": ("image", (32, 32, 1), "uint8"),
        "concept": ("label", (), "int32"),
        "style": ("label", (), "int32"),
        "code": ("text", (64,), "uint8"),
        "text": ("text", (96,), "uint8"),
    }
    assert info.of_kinds(("image",)).name == "image"
    assert info.of_kinds(("text",)).name == "text"
    assert info["concept"].values == len(names.concepts())
    assert read["train"][0].license == "of many"
    assert read["train"][0].note == ""


def test_no_family_is_in_training_and_in_the_test(read):
    families = {
        split: {names.known()[code].family for _, code in examples}
        for split, (_, _, examples) in read.items()
    }
    assert not families["test"] & (families["train"] | families["pairs"])
    number = len(set.union(*families.values()))
    # Four standard errors.
    assert abs(len(families["test"]) / number - 0.1) < 4 * (0.1 * 0.9 / number) ** 0.5


def test_a_pair_is_new_but_its_concept_and_its_style_are_not(read):
    """And no other style with the same drawing shows it in training."""
    concept = {code: emoji.concept for code, emoji in names.known().items()}
    trained = {(style, concept[code]) for style, code in read["train"][2]}
    drawn = {(style.partition("-")[0], name) for style, name in trained}
    pairs = {(style, concept[code]) for style, code in read["pairs"][2]}
    assert not {(style.partition("-")[0], name) for style, name in pairs} & drawn
    assert {name for _, name in pairs} <= {name for _, name in trained}
    assert {style for style, _ in pairs} == {style for style, _ in trained}
    held, number = (len({name for _, name in some}) for some in (pairs, trained))
    assert abs(held / number - 0.2) < 4 * (0.2 * 0.8 / number) ** 0.5


def test_what_is_tested_does_not_hang_on_the_styles(read):
    for family in {names.known()[code].family for _, code in read["test"][2]}:
        assert splits.of_pair("any", family, "openmoji", {"openmoji"}) == "test"


def test_one_style_has_no_pairs():
    found = {splits.of_pair(f"c{n}", f"f{n}", "noto", {"noto"}) for n in range(200)}
    assert found == {"train", "test"}


def test_images_and_sketches_are_resized_together(written):
    half = data.load("emoji", "test", data_dir=written[0], image_size=16)
    assert half[0]["image"].shape == (16, 16, 3)
    assert half[0]["sketch"].shape == (16, 16, 1)


def test_batches_have_the_texts(read):
    source = read["train"][0]
    batch = next(data.train_batches(source, batch_size=4, seed=0))
    assert batch["text"].shape == (4, 96)
    assert all(decode_texts(batch["text"]))
