"""T5's encoder as a component, against the released one's numbers."""

import json

import numpy as np
import pytest
from texts import check_real_size, distance, encode, opened

from score_sde import text
from score_sde.interop.components import COMPONENTS, base, folder

TOLERANCE = 1e-5


def latent(shared):
    return shared / "golden" / "latent"


@pytest.mark.parametrize(
    ("pipeline", "case"),
    [
        ("sd35", "text_encoder_3/len77"),
        ("sd35", "text_encoder_3/len24"),
        ("flux_dev", "text_encoder_2/len32"),
    ],
)
def test_the_last_state_is_that_of_the_released_encoder(shared, pipeline, case):
    """With its mask, and as if padding were tokens; of arrays in shards, and in bfloat16."""
    file = np.load(latent(shared) / "golden" / f"{pipeline}.npz")
    name = case.partition("/")[0]
    network, arrays = opened(latent(shared) / "pipelines" / pipeline / name)
    ids, mask = file[f"{case}/ids"], file[f"{case}/attention_mask"]
    # In one program: without a mask, all tokens are there.
    both = np.concatenate([np.ones_like(mask), mask])
    out = encode(network, arrays, np.concatenate([ids, ids]), both)
    assert distance(out.last[: len(ids)], file[f"{case}/last_hidden_state"]) < TOLERANCE
    assert distance(out.last[len(ids) :], file[f"{case}/last_hidden_state_masked"]) < TOLERANCE
    assert out.pooled is None


def test_a_prompt_from_its_words_on(shared):
    """PixArt's, by its tokeniser, of which there is spiece.model alone; padding is not seen."""
    folder = latent(shared) / "pipelines" / "pixart"
    golden = latent(shared) / "golden"
    prompts = json.loads((golden / "pixart.json").read_text())
    file = np.load(golden / "pixart.npz")
    words = [prompts["positive"], prompts["negative"]]
    tokens = text.read(folder / "tokenizer")(words, 32)
    network, arrays = opened(folder / "text_encoder")
    found = encode(network, arrays, tokens.ids, tokens.mask).last
    for i, name in enumerate(("prompt", "negative")):
        np.testing.assert_array_equal(tokens.mask[i], file[f"encode_prompt/{name}_mask"][0])
        assert distance(found[i], file[f"encode_prompt/{name}_embeds"][0]) < TOLERANCE


def test_real_size(shared):
    check_real_size(shared, "t5_v1_1_xxl_encoder")


def test_the_table_under_its_old_name(shared):
    """Alone, or beside today's."""
    path = latent(shared) / "pipelines" / "pixart" / "text_encoder"
    values, arrays = folder.config(path), folder.arrays(path)
    component = COMPONENTS["T5EncoderModel"]
    _, (params, _) = base.place(component, values, arrays)
    old = {"encoder.embed_tokens.weight": arrays["shared.weight"]}
    rest = {name: array for name, array in arrays.items() if name != "shared.weight"}
    for again in (rest | old, arrays | old):
        _, (found, _) = base.place(component, values, again)
        np.testing.assert_array_equal(found["embedding/table"], params["embedding/table"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feed_forward_proj": "gelu"}, "feed_forward_proj='gelu' is not known here: there are ga"),
        ({"relative_attention_num_buckets": 6}, "relative_attention_num_buckets=6 is no multiple"),
        ({"d_kv": 0}, "d_kv=0 must be a whole number above 0"),
    ],
)
def test_other_networks_are_refused(shared, change, message):
    """By the value that we do not have."""
    path = latent(shared) / "pipelines" / "pixart" / "text_encoder"
    with pytest.raises(ValueError, match=message):
        base.abstract(COMPONENTS["T5EncoderModel"], folder.config(path) | change)
