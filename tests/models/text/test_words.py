"""Words of bytes, and their vectors of hashed n-grams, against Python's own."""

import itertools
import re

import jax.numpy as jnp
import numpy as np
from filled import quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models.text import words

TEXTS = ["Waving hand: medium skin tone", "", "“hé” #1st", "a", "  two   spaces ", "o'clock&c."]
ROWS = 512


def lowered(text):
    return bytes(c + 32 if 65 <= c <= 90 else c for c in text.encode())


def pieces(text):
    return re.findall(rb"[a-z0-9\x80-\xff]+|[!-~]", lowered(text))


def test_words_are_those_of_a_pattern():
    """Each with the places of its bytes; one of a text that fills its field too."""
    value = fields.encode_texts(TEXTS, 29)
    found = quick_jit(words.split)(jnp.asarray(value))
    for i, text in enumerate(TEXTS):
        slot, place, byte = (np.asarray(a[i]) for a in (found.slot, found.place, found.byte))
        wanted = pieces(text)
        assert found.count[i] == len(wanted)
        assert [bytes(byte[slot == k].astype(np.uint8)) for k in range(len(wanted))] == wanted
        assert all(place[slot == k].tolist() == [*range(len(w))] for k, w in enumerate(wanted))


def mixed(x):
    x = (x ^ (x >> 16)) * 0x7FEB352D & 0xFFFFFFFF
    x = (x ^ (x >> 15)) * 0x846CA68B & 0xFFFFFFFF
    return x ^ (x >> 16)


def row(codes):
    return mixed(sum(map(mixed, codes)) & 0xFFFFFFFF) % ROWS


def vector(table, word):
    grams = []
    for n in (3, 4, 5):
        for i in range(len(word) - n + 1):
            codes = [c + 256 * (k + 16 * n) for k, c in enumerate(word[i : i + n])]
            codes += [1 << 20] * (i == 0) + [1 << 21] * (i + n == len(word))
            grams.append(table[row(codes)])
    whole = table[row([c + 256 * k for k, c in enumerate(word)])]
    return whole + (np.mean(grams, axis=0) if grams else 0)


def test_a_vector_is_the_row_of_a_word_and_the_mean_of_its_ngrams(x64):
    """Equation (1), in Python; nothing stands where there is no word, or none has room."""
    make = {"param_dtype": jnp.float64, "rngs": nnx.Rngs(0)}
    module = words.WordTable(ROWS, 4, 5, **make)
    table = np.asarray(module.table.table[...])
    vectors, there = quick_jit(module)(jnp.asarray(fields.encode_texts(TEXTS, 29)))
    for i, text in enumerate(TEXTS):
        wanted = [vector(table, word) for word in pieces(text)[:5]]
        assert there[i].tolist() == [k < len(wanted) for k in range(5)]
        wanted = np.reshape(wanted, (-1, 4))
        np.testing.assert_allclose(vectors[i, : len(wanted)], wanted, rtol=1e-12)
        np.testing.assert_array_equal(vectors[i, len(wanted) :], 0)


def test_words_that_differ_have_rows_that_do():
    """Of 17,576 words of three letters no two have one hash of 32 bits; nor have their n-grams."""
    letters = [chr(97 + i) for i in range(26)]
    each = ["".join(word) for word in itertools.product(letters, repeat=3)]

    def hashes(value):
        found = words.split(value)
        whole = words._mixed(found.byte + 256 * found.place).sum(axis=1, dtype=jnp.uint32)
        return whole, *words._ngrams(found, 3)

    whole, grams, known = quick_jit(hashes)(jnp.asarray(fields.encode_texts(each, 3)))
    assert known.tolist() == [[True, False, False]] * len(each)
    assert len(np.unique(whole)) == len(np.unique(grams[:, 0])) == len(each)
