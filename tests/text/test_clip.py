"""CLIP's tokeniser against golden ids, and what is wrong with its files."""

import functools
import json
import random
import shutil
import sys

import numpy as np
import pytest
from strange import strings

from score_sde import text
from score_sde.text.bpe import ByteBPE
from score_sde.text.clip import CLIPTokenizer

FOLDERS = {"full": "tokenizers/clip_full", "tiny": "pipelines/sd15/tokenizer"}


@functools.cache
def read(latent, name):
    return text.read(latent / FOLDERS[name])


def latent(shared):
    return shared / "golden" / "latent"


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_of_all_golden_prompts(shared, name):
    """Those of the original algorithm, with start and end, neither padded nor cut."""
    tokenizer = read(latent(shared), name)
    rows = json.loads((latent(shared) / "tokenizers" / f"clip_{name}_ids.json").read_text())
    for row in rows:
        found = [tokenizer.start, *tokenizer.encode(row["prompt"]), tokenizer.end]
        assert found == row["ids"], row["prompt"]


@pytest.mark.parametrize(
    ("pipeline", "encoder", "pad"),
    [
        ("sd15", "text_encoder", 999),
        ("sd2", "text_encoder", 0),
        ("sdxl", "text_encoder", 999),
        ("sdxl", "text_encoder_2", 0),
        ("sd35", "text_encoder", 999),
        ("sd35", "text_encoder_2", 0),
        ("flux_dev", "text_encoder", 999),
    ],
)
def test_prompts_are_cut_and_filled_as_each_pipeline_does(shared, pipeline, encoder, pad):
    """To 77 ids; the last of one that is cut is the end."""
    golden = latent(shared) / "golden"
    prompts = json.loads((golden / f"{pipeline}.json").read_text())["prompts"]
    folder = latent(shared) / "pipelines" / pipeline / encoder.replace("text_encoder", "tokenizer")
    tokenizer = text.read(folder)
    found = tokenizer(prompts)
    with np.load(golden / f"{pipeline}.npz") as file:
        np.testing.assert_array_equal(found.ids, file[f"{encoder}/prompts/ids"])
    lengths = [min(len(tokenizer.encode(prompt)) + 2, 77) for prompt in prompts]
    np.testing.assert_array_equal(found.mask.sum(1), lengths)
    assert (found.ids[~found.mask] == pad).all()
    assert tokenizer.pad == pad


def test_any_string_is_tokenised(shared):
    """Halves of surrogate pairs, control characters, endless words: ids of the vocabulary."""
    tokenizer = read(latent(shared), "tiny")
    rng = random.Random(0)
    for string in [*strings(rng, 300), "a" * 3000, "\ud800", "&#1114112;", "<|ENDOFTEXT|>"]:
        assert all(0 <= i < 1000 for i in tokenizer.encode(string))
    assert tokenizer.encode("<|ENDOFTEXT|>") == [tokenizer.end]


def test_pairs_are_merged_in_their_order_and_unknown_tokens_are_the_end():
    """First that which comes first, at all its places from the left; the last letter differs."""
    merges = [("b", "c</w>"), ("a", "b"), ("ab", "ab"), ("a", "bc</w>")]
    vocabulary = {"a": 1, "abc</w>": 2, "abab": 3, "ab": 4, "b": 5, "bc</w>": 6}
    bpe = ByteBPE(vocabulary, merges, unknown=9)
    assert bpe("abc") == [2]
    assert bpe("ababc") == [4, 2]
    assert bpe("abababbc") == [3, 4, 6]
    assert bpe("c") == [9]


def test_a_tokenizer_json_alone_will_do(shared, tmp_path):
    """With its merges as texts, or as pairs."""
    whole = latent(shared) / FOLDERS["tiny"]
    lines = (whole / "merges.txt").read_text().splitlines()[1:]
    vocabulary = json.loads((whole / "vocab.json").read_text())
    prompt = "a small red fox & 写真"
    for merges in (lines, [line.split() for line in lines]):
        model = {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": vocabulary, "merges": merges}
        (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
        found = text.read(tmp_path)
        assert found.encode(prompt) == read(latent(shared), "tiny").encode(prompt)
        assert (found.start, found.end, found.pad, found.length) == (998, 999, 999, 77)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vocab.json", None, r"vocab\.json is missing"),
        ("vocab.json", "{", r"vocab\.json is not JSON"),
        ("vocab.json", '{"a": -1}', r"vocab\.json gives 'a' the id -1"),
        ("vocab.json", "{}", r"vocab\.json has no vocabulary"),
        ("vocab.json", '{"a": 1}', r"vocab\.json lacks the token '<\|startoftext\|>'"),
        ("merges.txt", "#version: 0.2\na b c\n", r"merges\.txt has \('a', 'b', 'c'\) for a pair"),
        ("merges.txt", None, "has no tokeniser: there is no merges.txt, spiece.model or"),
        ("tokenizer_config.json", "[]", "is not a JSON object"),
    ],
)
def test_what_is_wrong_with_files_is_said(shared, tmp_path, file, content, message):
    for one in (latent(shared) / FOLDERS["tiny"]).iterdir():
        shutil.copyfile(one, tmp_path / one.name)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        text.read(tmp_path)


def test_what_is_no_list_of_texts_is_refused(shared):
    tokenizer = read(latent(shared), "tiny")
    for prompts, length, message in (
        ("a cat", None, "prompts must be a list of texts, not one text"),
        ([3], None, "a prompt must be a text, not 3"),
        (["a"], 1, "a text of 1 tokens has no room for its start and end"),
        (["a"], 0, "the length of a text in tokens must be a whole number of at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            tokenizer(prompts, length)


def test_without_ftfy_there_is_a_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ftfy", None)
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    with pytest.raises(ValueError, match=r'needs ftfy: pip install "score_sde\[text\]"'):
        CLIPTokenizer(vocabulary, []).encode("a")
