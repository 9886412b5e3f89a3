"""The space of tokens: texts as they are read, saved and shown."""

import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import fields, images, spaces
from score_sde.errors import UserError
from score_sde.processes import MASK
from score_sde.runs import build, config
from score_sde.spaces import texts

NAMES = ("\n", "a", "b", "$", "\x00")
FIELD = fields.tokens(4, len(NAMES), NAMES)


def test_states_are_the_tokens():
    """Nothing is lost on the way, and nothing known is masks."""
    space = spaces.read({"name": "tokens"}, FIELD)
    examples = np.array([[1, 2, 0, 0], [2, 0, 1, 4]], np.int32)
    x = space.encode(jnp.asarray(examples))
    assert x.dtype == jnp.int32
    np.testing.assert_array_equal(space.decode(x), examples)
    assert space.shape == (4,)
    assert space.facts == {"vocabulary": 5}
    assert space.neutral(examples).tolist() == [[MASK] * 4] * 2
    assert space.as_texts(examples) == ["ab", "b\na\x00"]
    assert FIELD.words == "tokens, 4 of 5"


def test_a_text_of_which_a_part_is_known():
    """The longest names first; a mask for `_` and for what follows."""
    names = ("\n", "a", "b", "ab", "")
    space = spaces.read({"name": "tokens"}, fields.tokens(5, len(names), names))
    for text, tokens in (
        ("", [MASK] * 5),
        ("aba_", [3, 1, MASK, MASK, MASK]),
        ("_ba\\n", [MASK, 2, 1, 0, MASK]),
        ("bbbbb", [2] * 5),
    ):
        assert space.partly(text).tolist() == tokens
    for text, said in (("bbbbba", "are 6 tokens, and there are 5"), ("ax", "begins with 'x'")):
        with pytest.raises(ValueError, match=said):
            space.partly(text)


@pytest.mark.parametrize(
    ("names", "text", "said"),
    [
        (("\n", " ", "a", "b", ""), "aQ", r"with 'Q': there are \n ' ' a b, and _ for one that"),
        (tuple(map(chr, range(32, 127))), "\xe9", "there are 95, of which e E are near"),
        (tuple(map(chr, range(32, 127))), "\u3042", "of which ~ } | { z y are near"),
        ((), "1", "with '1': these are 5 tokens without names"),
    ],
)
def test_a_character_that_is_no_token_is_told_which_there_are(names, text, said):
    """All of a few; of many those of the same letter first, then by their number."""
    space = spaces.read({"name": "tokens"}, fields.tokens(5, len(names) or 5, names))
    with pytest.raises(ValueError, match="no token begins with") as error:
        space.partly(text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_picture_says_which_texts_end(monkeypatch, tmp_path):
    """Once, however many ends there are: the others were cut."""
    shown = []
    monkeypatch.setattr(texts, "save", lambda path, said, columns: shown.extend(said))
    space = spaces.read({"name": "tokens"}, FIELD)
    space.show(
        tmp_path / "a.png", np.array([[1, 2, 0, 0], [1, 2, 1, 2], [0, 1, 1, 0], [1, 1, -1, 0]])
    )
    assert shown == ["ab\n", "abab", "\naa\n", "aa_\n"]


def test_files_and_pictures(tmp_path):
    """A text a file; a picture of any texts, in which nothing is taken for a formula."""
    space = spaces.read({"name": "tokens"}, FIELD)
    space.save(tmp_path / "texts", "ab", np.array([[1, 2, 0, 0], [3, 2, 3, 0]]))
    files = {path.name: path.read_text() for path in (tmp_path / "texts").iterdir()}
    assert files == {"a.txt": "ab\n", "b.txt": "$b$\n"}
    examples = np.random.default_rng(0).integers(5, size=(50, 4))
    for name, columns in (("a.png", None), ("b.png", 2)):
        space.show(tmp_path / name, examples, columns)
    tall, wide = (images.read(tmp_path / name).size for name in ("b.png", "a.png"))
    assert tall[1] > 2 * wide[1]
    assert wide[0] > 2 * tall[0]
    space.show(tmp_path / "c.png", examples[:0])
    nameless = spaces.read({"name": "tokens"}, fields.tokens(2, 300))
    assert nameless.as_texts(np.array([[7, 299]])) == ["7 299"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sde.name": "vp"}, "config.sde.name=vp is of numbers"),
        ({"objective.name": "denoising"}, "config.objective.name=denoising is of numbers"),
        ({"sampling.sampler": "ddim"}, "the sampler DDIM draws numbers, and the process Masked"),
        ({"model.name": "mlp"}, "mlp does not go with this space and objective: choose token_tr"),
        ({"space.name": "vectors"}, "no field of kind vector"),
    ],
)
def test_what_does_not_go_together_is_one_line(changes, said):
    """Numbers and tokens, wherever one of them is asked for."""
    asked = config.default("token_transformer")
    usual = {"space.name": "tokens", "sde.name": "masked", "objective.name": "masked"}
    for path, value in (usual | {"sampling.sampler": "unmasking"} | changes).items():
        config.set_field(asked, path, value)
    info = build.Info("made", "train", 10, (FIELD,))
    with pytest.raises(UserError, match=said) as error:
        build.experiment(asked, info)
    assert "\n" not in str(error.value)


def test_no_part_of_a_text_is_read_from_a_file(tmp_path):
    """As the task motif asks of any space."""
    with pytest.raises(UserError, match="has no parts that are read from files"):
        spaces.read({"name": "tokens"}, FIELD).read(tmp_path / "a.pdb")
