"""What prompts say: weights, chunks, and what weights do to the tokens."""

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strange import strings

from score_sde import prompting
from score_sde.text import prompts
from score_sde.text.base import Tokenizer


class Letters(Tokenizer):
    """Each letter is a token, its code point; of a chunk there are 4, with start and end 6."""

    def __init__(self, start=1):
        super().__init__(start=start, end=2, pad=0, length=6, size=64)

    def encode(self, text):
        return [ord(c) for c in text if c != " "]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat", [("a cat", 1)]),
        ("", []),
        ("a (cat)", [("a ", 1), ("cat", 1.1)]),
        ("a (cat:1.3), sat", [("a ", 1), ("cat", 1.3), (", sat", 1)]),
        ("a (cat: -.5 )", [("a ", 1), ("cat", -0.5)]),
        ("[a] cat", [("a", 1 / 1.1), (" cat", 1)]),
        ("((a) cat)", [("a", 1.1 * 1.1), (" cat", 1.1)]),
        ("((a:2) cat:3)", [("a", 6), (" cat", 3)]),
        ("([a]b)", [("a", 1.0), ("b", 1.1)]),
        (r"\(a\) \[b\] \\ \c", [("(a) [b] \\ \\c", 1)]),
        (r"(a\):2)", [("a)", 2)]),
        ("a) cat:1.3) :2", [("a) cat:1.3) :2", 1)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a [b", [("a ", 1.1), ("b", 1.0)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 1 / 1.1)]),
        ("(a:99999)", [("a", 1e4)]),
        ("(a)(b)c", [("ab", 1.1), ("c", 1)]),
    ],
)
def test_weights(prompt, expected):
    """Each stretch, and what multiplies it."""
    (found,) = prompts.parse(prompt)
    assert [text for text, _ in found] == [text for text, _ in expected]
    np.testing.assert_allclose([w for _, w in found], [w for _, w in expected], rtol=1e-12)


def test_break_parts_a_prompt():
    """As a word of its own; brackets go on beyond it."""
    assert prompts.parse("a BREAK b") == ((("a ", 1),), ((" b", 1),))
    assert prompts.parse("aBREAK BREAKb break") == ((("aBREAK BREAKb break", 1),),)
    assert prompts.parse("(a BREAK b)c") == ((("a ", 1.1),), ((" b", 1.1), ("c", 1)))
    assert prompts.parse("BREAK") == ((), ())
    assert prompts.plain("(a) BREAK") == ((("(a) BREAK", 1),),)


def test_any_string_says_something():
    """Finite weights, no empty stretches; without a sign it is what was typed."""
    for string in [*strings(random.Random(1), 500), "(" * 2000 + "a" + ")" * 2000, "[(a" * 500]:
        for text, weight in (one for part in prompts.parse(string) for one in part):
            assert text
            assert abs(weight) <= 1e4
        if not set(string) & set("()[]\\") and "BREAK" not in string and string:
            assert prompts.parse(string) == prompts.plain(string)
    for wrong in (None, 3, b"a"):
        with pytest.raises(ValueError, match="a prompt must be a text, not"):
            prompts.parse(wrong)


def test_long_prompts_are_chunks():
    """Of 4 letters, full ones first; a part begins one; what others have more is empty."""
    asked = [prompts.parse(one) for one in ("abcdef", "a BREAK (b)c", "", "ab BREAK")]
    found = prompts.chunks(Letters(), asked)
    a, b, c, d, e, f = map(ord, "abcdef")
    empty = [1, 2, 0, 0, 0, 0]
    assert found.ids.tolist() == [
        [[1, a, b, c, d, 2], [1, e, f, 2, 0, 0]],
        [[1, a, 2, 0, 0, 0], [1, b, c, 2, 0, 0]],
        [empty, empty],
        [[1, a, b, 2, 0, 0], empty],
    ]
    np.testing.assert_array_equal(found.mask, found.ids != 0)
    weighted = np.ones((4, 2, 6), np.float32)
    weighted[1, 1, 1] = 1.1
    np.testing.assert_array_equal(found.weights, weighted)


def test_chunks_of_another_number_and_length():
    """Cut or filled up to the number; without a start there is a place more."""
    asked = [prompts.parse("ab(cde:2)")]
    a, b, c, d, e = map(ord, "abcde")
    found = prompts.chunks(Letters(), asked, count=1, length=5)
    assert found.ids.tolist() == [[[1, a, b, c, 2]]]
    assert found.weights.tolist() == [[[1, 1, 1, 2, 1]]]
    found = prompts.chunks(Letters(start=None), asked, count=2)
    assert found.ids.tolist() == [[[a, b, c, d, e, 2], [2, 0, 0, 0, 0, 0]]]
    assert found.weights[0, 0].tolist() == [1, 1, 2, 2, 2, 1]
    with pytest.raises(ValueError, match="a chunk of 2 tokens has no room"):
        prompts.chunks(Letters(), asked, length=2)


def test_of_several_encoders_chunks_are_as_many():
    """As many as the longest prompt needs, and no more than is asked for."""
    prompt = [[prompts.parse("abcdefghij")], [prompts.parse("a")]]
    for most, count in ((0, 3), (4, 3), (2, 2), (1, 1)):
        found = prompting.SDXL(chunks=most).tokens([Letters()] * 2, prompt)
        assert [one.ids.shape for one in found] == [(1, count, 6)] * 2
        assert found[0].ids[0, 0].tolist() == [1, *map(ord, "abcd"), 2]


def test_weights_scale_tokens_and_keep_their_mean(x64):
    """Of each chunk; weights of 1 change no bit, and a mean of 0 is no division."""
    z = jax.random.normal(jax.random.key(0), (2, 3, 5, 4), jnp.float64) + 0.5
    w = jnp.asarray(np.random.default_rng(0).uniform(0.5, 2, (2, 3, 5)))
    found = prompts.emphasised(z, w)
    scaled = np.asarray(z) * np.asarray(w)[..., None]
    ratio = np.asarray(z).mean((2, 3)) / scaled.mean((2, 3))
    np.testing.assert_allclose(found, scaled * ratio[..., None, None], rtol=1e-12)
    np.testing.assert_array_equal(prompts.emphasised(z, jnp.ones_like(w)), z)
    half = z.astype(jnp.bfloat16)
    np.testing.assert_array_equal(prompts.emphasised(half, jnp.ones_like(w)), half)
    assert not np.isnan(prompts.emphasised(z, jnp.zeros_like(w))).any()
