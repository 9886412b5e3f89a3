"""CLIP's text encoders as components, against the released ones' numbers."""

import functools

import numpy as np
import pytest
from texts import check_real_size, distance, encode, opened

from score_sde.interop import slots
from score_sde.interop.components import COMPONENTS, base, folder

pytestmark = pytest.mark.slow

TOLERANCE = 1e-5
ENCODERS = (
    ("sd15", "text_encoder"),
    ("sd2", "text_encoder"),
    ("sdxl", "text_encoder"),
    ("sdxl", "text_encoder_2"),
    ("sd35", "text_encoder"),
    ("sd35", "text_encoder_2"),
    ("flux_dev", "text_encoder"),
)


@functools.cache
def golden(shared, pipeline):
    return dict(np.load(shared / "golden" / "latent" / "golden" / f"{pipeline}.npz"))


def at(shared, pipeline, name):
    return shared / "golden" / "latent" / "pipelines" / pipeline / name


@pytest.mark.parametrize(("pipeline", "name"), ENCODERS)
def test_each_state_is_that_of_the_released_encoder(shared, pipeline, name):
    """Before and after each layer, after the last norm and pooled; prompts and random ids."""
    file = golden(shared, pipeline)
    sets = [one for one in ("prompts", "random") if f"{name}/{one}/ids" in file]

    def of(what):
        return np.concatenate([file[f"{name}/{one}/{what}"] for one in sets])

    network, arrays = opened(at(shared, pipeline, name))
    out = encode(network, arrays, of("ids"))
    for j, state in enumerate(out.states):
        assert distance(state, of(f"hidden_states_{j}")) < TOLERANCE
    assert f"{name}/prompts/hidden_states_{len(out.states)}" not in file
    assert distance(out.last, of("last_hidden_state")) < TOLERANCE
    pooled = "text_embeds" if f"{name}/prompts/text_embeds" in file else "pooler_output"
    assert distance(out.pooled, of(pooled)) < TOLERANCE


def test_layers_that_are_skipped_come_before_the_norm(shared):
    """As SD's pipeline feeds its first prompt; the pooled vector stays that of the last layer."""
    file = golden(shared, "sd15")
    network, arrays = opened(at(shared, "sd15", "text_encoder"))
    ids = file["text_encoder/prompts/ids"][:1]
    for skip in (1, 2):
        out = encode(network, arrays, ids, skip=skip)
        assert distance(out.last, file[f"encode_prompt/clip_skip_{skip}"]) < TOLERANCE
        assert distance(out.pooled, file["text_encoder/prompts/pooler_output"][:1]) < TOLERANCE


@pytest.mark.parametrize(
    "name",
    [
        "clip_l_text",
        "clip_l_text_with_projection",
        "openclip_h_text_sd2",
        "openclip_bigg_text",
    ],
)
def test_real_sizes(shared, name):
    check_real_size(shared, name)


def test_names_with_the_prefix_and_without(shared):
    """The arrays are the same, and come back under today's names."""
    path = at(shared, "sdxl", "text_encoder_2")
    values, arrays = folder.config(path), folder.arrays(path)
    component = COMPONENTS["CLIPTextModelWithProjection"]
    short = {name.removeprefix("text_model."): array for name, array in arrays.items()}
    short["embeddings.position_ids"] = np.arange(77)[None]
    model, found = base.place(component, values, short)
    back = slots.from_params(model, component.slots(model), *found)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "relu"}, "hidden_act='relu' is not known here: there are quick_gelu, gelu"),
        ({"hidden_size": 25}, "hidden_size=25 is no multiple of num_attention_heads=3"),
        ({"num_hidden_layers": "4"}, "num_hidden_layers='4' must be a whole number above 0"),
        ({"layer_norm_eps": 0}, "layer_norm_eps=0 must be a number above 0"),
        ({"eos_token_id": None}, "eos_token_id=None must be a whole number"),
    ],
)
def test_other_networks_are_refused(shared, change, message):
    """By the value that we do not have."""
    values = folder.config(at(shared, "sd15", "text_encoder")) | change
    with pytest.raises(ValueError, match=message):
        base.abstract(COMPONENTS["CLIPTextModel"], values)
