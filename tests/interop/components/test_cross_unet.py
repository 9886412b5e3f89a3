"""The released U-Nets with cross-attention."""

import numpy as np
import pytest
from latent_goldens import compiled, error, golden, told

from score_sde.interop.components import cross_unet

pytestmark = pytest.mark.slow


def unet(network, x, noise_label, cond, added):
    return network(x, noise_label, cond, added=added)


def pipeline(shared, name):
    return shared / "golden" / "latent" / "pipelines" / name / "unet"


def joined(cases):
    """Several calls of one shape as one."""
    calls = [told(case) for case in cases]
    x, noise_label = (np.concatenate([call[i] for call in calls]) for i in range(2))
    cond = {name: np.concatenate([call[2][name] for call in calls]) for name in calls[0][2]}
    return x, noise_label, cond


def added(cases, names):
    """What is added in each of these calls, zero where a call has nothing there."""
    found = {}
    for name, key in names.items():
        like = next(case[key] for case in cases if key in case)
        zero = np.zeros_like(like[:1])
        parts = [
            case[key] if key in case else np.repeat(zero, len(case["out"]), 0) for case in cases
        ]
        found[name] = np.concatenate(parts)
    return found


def test_stable_diffusion_1_and_what_is_added_to_its_features(shared):
    """Plain calls, times that are no whole numbers, residuals of a ControlNet, adapter features."""
    cases = [golden(shared, "sd15", f"unet/{name}/") for name in ("b1", "b2_t", "float_t")]
    for name in ("plain", "guess"):
        case = golden(shared, "controlnet_sd15", f"{name}/")
        cases.append({**case, "out": case["unet_out"]})
    case = golden(shared, "t2i_sd15")
    features = {f"feature_{i}": case["adapter_scale"] * case[f"feature_{i}"] for i in range(4)}
    cases.append({**case, **features, "out": case["unet_out"]})
    names = {f"skip_{i}": f"down_{i}" for i in range(12)} | {"middle": "mid"}
    names |= {f"level_{i}": f"feature_{i}" for i in range(4)}
    out = compiled(pipeline(shared, "sd15"), unet)(*joined(cases), added(cases, names))
    start = 0
    for case in cases:
        end = start + len(case["out"])
        assert error(out[start:end], case["out"]) < 3e-5
        start = end


def test_a_size_that_cannot_be_halved(shared):
    """10 x 7 latents: features of the decoder are as large as those of the encoder."""
    case = golden(shared, "sd15", "unet/odd/")
    out = compiled(pipeline(shared, "sd15"), unet)(*told(case), {})
    assert error(out, case["out"]) < 3e-5


def test_stable_diffusion_xl_and_features_of_its_adapter(shared):
    """Pooled text and sizes, several blocks a level; the last features go to the middle."""
    plain, case = golden(shared, "sdxl", "unet/b2/"), golden(shared, "t2i_sdxl")
    features = {f"feature_{i}": case["adapter_scale"] * case[f"feature_{i}"] for i in range(4)}
    cases = [plain, {**case, **features, "out": case["unet_out"]}]
    places = added(cases, {f"level_{i}": f"feature_{i}" for i in range(4)})
    out = compiled(pipeline(shared, "sdxl"), unet)(*joined(cases), places)
    assert error(out[:2], plain["out"]) < 1e-4
    assert error(out[2:], case["unet_out"]) < 1e-4


@pytest.mark.parametrize("name", ["upscaler7", "inpaint9", "lcm_time_cond"])
def test_networks_that_are_told_more(shared, name):
    """An image beside the latents and its noise level by a table, with attention to the text alone;
    a mask and an image; the scale of guidance that the network was distilled with.
    """
    case = golden(shared, f"unet_{name}", "unet/b2/")
    path = shared / "golden" / "latent" / "unets" / name / "unet"
    assert error(compiled(path, unet)(*told(case), {}), case["out"]) < 3e-5


def test_heads_are_counts_and_old_files_are_short():
    """attention_head_dim is the number of heads; what is missing means the class's defaults."""
    found = cross_unet.options({"attention_head_dim": 8, "cross_attention_dim": 768})
    assert found["heads"] == (8, 8, 8, 8)
    assert found["transformer_depth"] == (1, 1, 1, 0)
    assert (found["text_features"], found["extra_channels"], found["labels"]) == (768, 0, 0)
    images = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 2048}
    assert cross_unet.options(images)["image_features"] == 2048
    assert cross_unet.options({"num_attention_heads": [1, 2, 3, 4]})["heads"] == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"attention_head_dim": [1, 2]},
            r"attention_head_dim=\[1, 2\]; it must be 4 values or one",
        ),
        ({"down_block_types": ["AttnDownBlock2D"] * 4}, "down_block_types"),
        ({"up_block_types": ["UpBlock2D"] * 4}, "up_block_types"),
        ({"mid_block_type": "UNetMidBlock2D"}, "mid_block_type='UNetMidBlock2D'"),
        ({"addition_embed_type": "image"}, "addition_embed_type='image'"),
        ({"addition_embed_type": "text_time"}, "no projection_class_embeddings_input_dim"),
        ({"class_embed_type": "identity"}, "class_embed_type='identity'"),
        ({"class_embed_type": "projection"}, "no projection_class_embeddings_input_dim"),
        ({"only_cross_attention": True}, "middle has only cross-attention"),
        ({"layers_per_block": [1, 2, 2, 2]}, "one for all levels"),
        ({"transformer_layers_per_block": [[1], 1, 1, 1]}, "transformer_layers_per_block"),
        ({"in_channels": 3}, "in_channels=3, fewer than out_channels=4"),
        ({"use_a_new_thing": 1}, "use_a_new_thing=1, which is not known here"),
    ],
)
def test_what_we_do_not_have_is_refused(said, message):
    """By the value."""
    with pytest.raises(ValueError, match=message):
        cross_unet.options(said)


def test_projections_may_be_convolutions():
    """Both have the same arrays after `prepare`."""
    kernel = np.arange(4).reshape(2, 2)
    for name in ("a.proj_in.weight", "a.proj_out.weight"):
        for array in (kernel, kernel[..., None, None]):
            np.testing.assert_array_equal(cross_unet.prepare({name: array}, {})[name], kernel)
