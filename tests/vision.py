"""A small image encoder of CLIP, as released files have it."""

import numpy as np

VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "patch_size": 4,
    "image_size": 8,
    "hidden_act": "quick_gelu",
    "projection_dim": 6,
}


def arrays_of_vision(seed=0, projection=6):
    """Random arrays by the names of a released file; `projection` is VISION's or another."""
    draw = np.random.default_rng(seed).normal
    width, hidden = VISION["hidden_size"], VISION["intermediate_size"]
    shapes = {
        "embeddings.class_embedding": (width,),
        "embeddings.patch_embedding.weight": (width, 3, 4, 4),
        "embeddings.position_embedding.weight": (5, width),
    }
    for norm in ("pre_layrnorm", "post_layernorm"):
        shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    for i in range(2):
        layer = f"encoder.layers.{i}"
        for leaf, shape in (("weight", (width, width)), ("bias", (width,))):
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes[f"{layer}.self_attn.{name}.{leaf}"] = shape
            for name in ("layer_norm1", "layer_norm2"):
                shapes[f"{layer}.{name}.{leaf}"] = (width,)
        shapes |= {f"{layer}.mlp.fc1.weight": (hidden, width), f"{layer}.mlp.fc1.bias": (hidden,)}
        shapes |= {f"{layer}.mlp.fc2.weight": (width, hidden), f"{layer}.mlp.fc2.bias": (width,)}
    found = {f"vision_model.{name}": 0.4 * draw(size=shape) for name, shape in shapes.items()}
    return found | {"visual_projection.weight": draw(size=(projection, width))}
