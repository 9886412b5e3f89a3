"""Small image encoders of CLIP and DINOv2 as released files have them, and their formulas."""

import json
import math

import numpy as np

from score_sde.formats import safetensors

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


def pooled(given, image):
    """The embedding of one image [8, 8, 3], by the formula, in float64."""

    def array(name):
        return given[f"vision_model.{name}"]

    def norm(name, x):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
        return x * array(f"{name}.weight") + array(f"{name}.bias")

    def dense(name, x):
        return x @ array(f"{name}.weight").T + array(f"{name}.bias")

    kernel = array("embeddings.patch_embedding.weight")
    cut = [image[i : i + 4, j : j + 4] for i in (0, 4) for j in (0, 4)]
    patches = [np.einsum("hwc,ochw->o", patch, kernel) for patch in cut]
    h = np.stack([array("embeddings.class_embedding"), *patches])
    h = norm("pre_layrnorm", h + array("embeddings.position_embedding.weight"))
    for i in range(2):
        layer = f"encoder.layers.{i}"
        x = norm(f"{layer}.layer_norm1", h)
        q, k, v = (dense(f"{layer}.self_attn.{kind}_proj", x).reshape(5, 2, 8) for kind in "qkv")
        logits = np.einsum("qhd,khd->hqk", q, k) / 8**0.5
        weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        seen = np.einsum("hqk,khd->qhd", weights, v).reshape(5, 16)
        h = h + dense(f"{layer}.self_attn.out_proj", seen)
        hidden = dense(f"{layer}.mlp.fc1", norm(f"{layer}.layer_norm2", h))
        h = h + dense(f"{layer}.mlp.fc2", hidden / (1 + np.exp(-1.702 * hidden)))
    return given["visual_projection.weight"] @ norm("post_layernorm", h[0])


DINOV2 = {
    "architectures": ["Dinov2Model"],
    "hidden_size": 16,
    "mlp_ratio": 2,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "patch_size": 4,
    "image_size": 12,
}
# The largest has the first, and a release that is called so the others.
GATED = DINOV2 | {
    "architectures": ["Dinov2WithRegistersModel"],
    "use_swiglu_ffn": True,
    "num_register_tokens": 3,
}


def arrays_of_dinov2(config):
    """Random arrays by the names of a released file."""
    draw = np.random.default_rng(0).normal
    gated, width = "use_swiglu_ffn" in config, config["hidden_size"]
    hidden = 24 if gated else 32  # two thirds of 32, up to a multiple of 8
    shapes = {
        "embeddings.cls_token": (1, 1, width),
        "embeddings.mask_token": (1, width),
        "embeddings.position_embeddings": (1, 10, width),
    }
    if gated:
        shapes["embeddings.register_tokens"] = (1, 3, width)
    layers = {"embeddings.patch_embeddings.projection": (width, 3, 4, 4), "layernorm": (width,)}
    for i in range(2):
        layer = f"encoder.layer.{i}"
        for name in ("query", "key", "value"):
            layers[f"{layer}.attention.attention.{name}"] = (width, width)
        layers |= {f"{layer}.attention.output.dense": (width, width)}
        layers |= {f"{layer}.norm{n}": (width,) for n in (1, 2)}
        into, out = ("weights_in", "weights_out") if gated else ("fc1", "fc2")
        layers[f"{layer}.mlp.{into}"] = (2 * hidden if gated else hidden, width)
        layers[f"{layer}.mlp.{out}"] = (width, hidden)
        shapes |= {f"{layer}.layer_scale{n}.lambda1": (width,) for n in (1, 2)}
    for name, shape in layers.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return {name: 0.4 * draw(size=shape) for name, shape in shapes.items()}


def saved(folder, config, arrays):
    """A folder as released models have it; what it holds, as it was rounded, in float64."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    rounded = {name: array.astype(np.float32) for name, array in arrays.items()}
    safetensors.save(folder / "model.safetensors", rounded, {})
    return {name: array.astype(np.float64) for name, array in rounded.items()}


def class_token(given, image):
    """The feature of one image [height, width, 3] by DINOv2's formula, in float64."""

    def norm(name, x):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
        return x * given[f"{name}.weight"] + given[f"{name}.bias"]

    def dense(name, x):
        return x @ given[f"{name}.weight"].T + given[f"{name}.bias"]

    registers = given.get("embeddings.register_tokens")
    rows, columns = (n // 4 for n in image.shape[:2])
    kernel = given["embeddings.patch_embeddings.projection.weight"]
    cut = image.reshape(rows, 4, columns, 4, 3)
    patches = np.einsum("rhcwi,oihw->rco", cut, kernel)
    patches += given["embeddings.patch_embeddings.projection.bias"]
    positions = given["embeddings.position_embeddings"][0]
    old = positions[1:].reshape(3, 3, -1)
    across, down = (resizing(3, n, registers is not None) for n in (columns, rows))
    h = patches + np.einsum("rn,cm,nmf->rcf", down, across, old)
    first = [given["embeddings.cls_token"][0] + positions[:1]]
    first += [] if registers is None else [registers[0]]
    h = np.concatenate([*first, h.reshape(rows * columns, -1)])
    for i in range(2):
        layer = f"encoder.layer.{i}"
        x = norm(f"{layer}.norm1", h)
        q, k, v = (
            dense(f"{layer}.attention.attention.{name}", x).reshape(len(h), 2, 8)
            for name in ("query", "key", "value")
        )
        logits = np.einsum("qhd,khd->hqk", q, k) / 8**0.5
        weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        seen = np.einsum("hqk,khd->qhd", weights, v).reshape(len(h), 16)
        scales = [given[f"{layer}.layer_scale{n}.lambda1"] for n in (1, 2)]
        h = h + scales[0] * dense(f"{layer}.attention.output.dense", seen)
        x = norm(f"{layer}.norm2", h)
        if registers is None:
            x = dense(f"{layer}.mlp.fc1", x)
            x = x * (1 + np.vectorize(math.erf)(x / 2**0.5)) / 2
            h = h + scales[1] * dense(f"{layer}.mlp.fc2", x)
        else:
            gate, x = np.split(dense(f"{layer}.mlp.weights_in", x), 2, axis=-1)
            h = h + scales[1] * dense(f"{layer}.mlp.weights_out", gate / (1 + np.exp(-gate)) * x)
    return norm("layernorm", h[0])


def resizing(n, size, antialias):
    """Weights [size, n] of bicubic interpolation; `antialias` is as Pillow has it."""
    found = np.zeros((size, n))
    stretch = max(n / size, 1) if antialias else 1
    for i in range(size):
        at = (i + 0.5) * n / size - 0.5
        for j in range(-6, n + 6):
            if antialias and 0 <= j < n:
                found[i, j] += _keys(abs(j - at) / stretch, -0.5)
            elif not antialias:
                found[i, min(max(j, 0), n - 1)] += _keys(abs(j - at), -0.75)
    return found / found.sum(axis=1, keepdims=True)


def _keys(d, a):
    """The kernel of Keys (1981), equation 4, with its free number."""
    if d < 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0
