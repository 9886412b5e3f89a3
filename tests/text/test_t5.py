"""T5's tokeniser against golden ids, and what is wrong with its files."""

import functools
import itertools
import json
import math
import random
import shutil
import struct

import numpy as np
import pytest
from strange import strings

from score_sde import text
from score_sde.text import protobuf
from score_sde.text.charsmap import CharsMap
from score_sde.text.unigram import Unigram

WHOLE = "pipelines/sd35/tokenizer_3"


def latent(shared):
    return shared / "golden" / "latent"


@functools.cache
def read(folder):
    return text.read(folder)


@pytest.fixture(params=["all", "spiece.model", "tokenizer.json"])
def folder(shared, request, tmp_path):
    """A tokeniser's folder whole, and one file of it alone."""
    whole = latent(shared) / WHOLE
    if request.param == "all":
        return whole
    shutil.copy(whole / request.param, tmp_path)
    return tmp_path


def test_ids_of_all_golden_prompts(shared, folder):
    """With the end, neither padded nor cut."""
    tokenizer = text.read(folder)
    rows = json.loads((latent(shared) / "tokenizers" / "t5_tiny_ids.json").read_text())
    for row in rows:
        assert [*tokenizer.encode(row["prompt"]), tokenizer.end] == row["ids"], row["prompt"]


@pytest.mark.parametrize(
    ("pipeline", "number", "length"), [("sd35", 3, 77), ("sd35", 3, 24), ("flux_dev", 2, 32)]
)
def test_prompts_are_cut_and_filled_to_any_length(shared, pipeline, number, length):
    """And the mask says where."""
    golden = latent(shared) / "golden"
    prompts = json.loads((golden / f"{pipeline}.json").read_text())["prompts"]
    tokenizer = read(latent(shared) / "pipelines" / pipeline / f"tokenizer_{number}")
    found = tokenizer(prompts, length)
    with np.load(golden / f"{pipeline}.npz") as file:
        case = f"text_encoder_{number}/len{length}"
        np.testing.assert_array_equal(found.ids, file[f"{case}/ids"])
        np.testing.assert_array_equal(found.mask, file[f"{case}/attention_mask"])


def test_any_string_is_tokenised(shared):
    """Halves of surrogate pairs, control characters, endless words: ids of the table."""
    tokenizer = read(latent(shared) / WHOLE)
    for string in [*strings(random.Random(0), 300), "a" * 3000, "\ud800"]:
        assert all(0 <= i < 384 for i in tokenizer.encode(string))


def test_the_most_probable_segmentation():
    """Against all of them; a stretch of characters that no piece has is one unknown token."""
    rng = random.Random(0)
    names = ["".join(p) for n in (1, 2, 3) for p in itertools.product("ab", repeat=n)]
    scores = {name: (i, -10 * rng.random()) for i, name in enumerate(names)}
    model = Unigram(scores, unknown=99)

    def cuts(string):
        if not string:
            yield []
        for n in range(1, 4):
            if string[:n] in scores and len(string) >= n:
                yield from ([string[:n], *rest] for rest in cuts(string[n:]))

    for string in map("".join, itertools.product("ab", repeat=6)):
        best = max(cuts(string), key=lambda cut: math.fsum(scores[piece][1] for piece in cut))
        assert model(string) == [scores[piece][0] for piece in best]
    assert model("xyaz") == [99, scores["a"][0], 99]
    assert model("") == []
    # Of equal ones that with the longer last piece, as SentencePiece has it.
    assert Unigram({"a": (0, -1.0), "aa": (1, -2.0)}, unknown=9)("aaa") == [0, 1]


def test_the_longest_key_is_replaced():
    """A table by hand: of "a", "ab" and "é"; what it lacks stays."""
    # Units: (place of the children, whole key, byte that leads there), or where a text begins.
    units = [0] * 2048
    root = 256
    units[0] = root << 10
    trie = {b"a": 0, b"ab": 2, "é".encode(): 5}
    place = {b"": root}
    for number, key in enumerate(sorted({key[:n] for key in trie for n in range(1, 4)}, key=len)):
        parent = place[key[:-1]]
        at, children = parent ^ key[-1], 512 + 256 * number
        offset = at ^ children
        units[at] = key[-1] | (key in trie) << 8 | 1 << 9 | offset >> 8 << 10
        place[key] = at ^ (offset >> 8 << 8)
        if key in trie:
            units[place[key]] = 1 << 31 | trie[key]
    blob = struct.pack(f"<{len(units)}I", *units)
    table = CharsMap(struct.pack("<I", len(blob)) + blob + b"x\0yz\0e\0")
    assert table("abaécè") == "yzxecè"
    assert CharsMap(b"")("abé") == "abé"
    with pytest.raises(ValueError, match="has a damaged table of characters"):
        CharsMap(struct.pack("<I", 999) + blob[:100])


def test_fields_of_a_message():
    """Field 1 is the number 300, field 2 a text and four bytes; and a message that breaks off."""
    message = bytes([0x08, 0xAC, 0x02, 0x12, 0x02, 0x68, 0x69, 0x15, 1, 2, 3, 4])
    assert protobuf.fields(message) == {1: [300], 2: [b"hi", bytes([1, 2, 3, 4])]}
    for broken in (message[:2], message[:5], message[:-1], b"\x0b", b"\xff" * 11):
        with pytest.raises(ValueError, match="damaged at byte"):
            protobuf.fields(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[: len(data) // 2], r"spiece\.model cannot be read \(damaged at byte"),
        (lambda data: b"", r"spiece\.model has no pieces"),
        # kind 4 in the place of the first normal piece's; kind of the model; of spaces
        (lambda data: data + bytes([0x0A, 5, 0x0A, 1, 0x61, 0x18, 4]), "pieces of a kind that T5"),
        (lambda data: data + bytes([0x12, 2, 0x18, 2]), "is no unigram model as T5 has it"),
        (lambda data: data + bytes([0x1A, 2, 0x18, 0]), "treats spaces otherwise than T5 does"),
        (lambda data: data + bytes([0x0A, 3, 0x0A, 1, 0xFF]), "cannot be read"),
    ],
)
def test_what_is_wrong_with_pieces_is_said(shared, tmp_path, change, message):
    data = (latent(shared) / WHOLE / "spiece.model").read_bytes()
    (tmp_path / "spiece.model").write_bytes(change(data))
    with pytest.raises(ValueError, match=message):
        text.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": []}, "says of no model"),
        ({"model": {"type": "WordPiece"}}, "is no unigram model as T5 has it"),
        ({"model": {"type": "BPE"}}, "is no tokeniser as CLIP has it"),
        ({"model": {"type": "Unigram"}}, "is damaged"),
        ({"model": {"type": "Unigram", "vocab": [[["a"], 0]]}}, "is damaged"),
        ({"model": {"type": "Unigram", "vocab": [["a", None]]}}, "gives 'a' the score None"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}, "no token for what is unknown"),
        ({"added_tokens": [{"content": "</s>", "id": "1"}]}, "gives '</s>' the id '1'"),
        ({"added_tokens": []}, "lacks the token '</s>'"),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "?"}}, "is damaged"),
    ],
)
def test_what_is_wrong_with_a_tokenizer_json_is_said(shared, tmp_path, change, message):
    values = json.loads((latent(shared) / WHOLE / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(values | change))
    with pytest.raises(ValueError, match=message):
        text.read(tmp_path)
