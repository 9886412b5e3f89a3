"""LLaDA and MDLM, in files as they are released, against networks in NumPy."""

import json
import re

import numpy as np
import pytest
from scipy.special import log_softmax

import score_sde
from configs import llada_8b
from score_sde import cli
from score_sde.formats import safetensors
from score_sde.interop import token_models
from score_sde.interop.components import COMPONENTS, base, llada, mdlm

pytestmark = pytest.mark.usefixtures("quick_compile")

LENGTH, WIDTH, HEADS, DEPTH, HIDDEN = 6, 8, 2, 2, 12
MASK = -1  # here
LLADA = {
    "architectures": ["LLaDAModelLM"],
    "model_type": "llada",
    "activation_type": "silu",
    "block_type": "llama",
    "d_model": WIDTH,
    "embedding_size": 11,
    "include_bias": False,
    "layer_norm_type": "rms",
    "mask_token_id": 4,
    "max_sequence_length": LENGTH,
    "mlp_hidden_size": HIDDEN,
    "n_heads": HEADS,
    "n_kv_heads": HEADS,
    "n_layers": DEPTH,
    "rms_norm_eps": 1e-5,
    "rope": True,
    "rope_theta": 500000.0,
    "vocab_size": 11,
    "weight_tying": False,
}
MDLM = {
    "architectures": ["MDLM"],
    "model_type": "mdlm",
    "cond_dim": 5,
    "hidden_dim": WIDTH,
    "model_length": LENGTH,
    "n_blocks": DEPTH,
    "n_heads": HEADS,
    "time_conditioning": False,
    "vocab_size": 11,
}


def drawn(shapes):
    """Arrays: scales of norms about 1, tables so small that what norms add shows."""
    rng = np.random.default_rng(0)
    found = {name: 0.4 * rng.standard_normal(shape) for name, shape in shapes.items()}
    found |= {n: 0.02 * a for n, a in found.items() if "wte" in n or "embedding" in n}
    return {n: (a + ("norm" in n or "ln_f" in n)).astype(np.float32) for n, a in found.items()}


def llada_arrays():
    """By the names of modeling_llada.py."""
    square, wide = (WIDTH, WIDTH), (HIDDEN, WIDTH)
    block = dict.fromkeys(("q_proj", "k_proj", "v_proj", "attn_out"), square)
    block |= {"ff_proj": wide, "up_proj": wide, "ff_out": wide[::-1]}
    block |= dict.fromkeys(("attn_norm", "ff_norm"), (WIDTH,))
    shapes = {"wte": (11, WIDTH), "ln_f": (WIDTH,), "ff_out": (11, WIDTH)}
    shapes |= {f"blocks.{i}.{name}": shape for i in range(DEPTH) for name, shape in block.items()}
    return drawn({f"model.transformer.{name}.weight": shape for name, shape in shapes.items()})


def mdlm_arrays():
    """By the names of modeling_mdlm.py."""
    shapes = {
        "vocab_embed.embedding": (11, WIDTH),
        "sigma_map.mlp.0.weight": (5, 256),
        "sigma_map.mlp.0.bias": (5,),
        "sigma_map.mlp.2.weight": (5, 5),
        "sigma_map.mlp.2.bias": (5,),
        "output_layer.norm_final.weight": (WIDTH,),
        "output_layer.linear.weight": (11, WIDTH),
        "output_layer.linear.bias": (11,),
        "output_layer.adaLN_modulation.weight": (2 * WIDTH, 5),
        "output_layer.adaLN_modulation.bias": (2 * WIDTH,),
        "rotary_emb.inv_freq": (WIDTH // HEADS // 2,),
    }
    for i in range(DEPTH):
        shapes |= {
            f"blocks.{i}.norm1.weight": (WIDTH,),
            f"blocks.{i}.attn_qkv.weight": (3 * WIDTH, WIDTH),
            f"blocks.{i}.attn_out.weight": (WIDTH, WIDTH),
            f"blocks.{i}.norm2.weight": (WIDTH,),
            f"blocks.{i}.mlp.0.weight": (4 * WIDTH, WIDTH),
            f"blocks.{i}.mlp.0.bias": (4 * WIDTH,),
            f"blocks.{i}.mlp.2.weight": (WIDTH, 4 * WIDTH),
            f"blocks.{i}.mlp.2.bias": (WIDTH,),
            f"blocks.{i}.adaLN_modulation.weight": (6 * WIDTH, 5),
            f"blocks.{i}.adaLN_modulation.bias": (6 * WIDTH,),
        }
    return drawn({f"backbone.{name}": shape for name, shape in shapes.items()})


def silu(x):
    return x / (1 + np.exp(-x))


def attention(query, key, value, base):
    """Of [batch, length, WIDTH]: positions turn halves of a head, of angles i base^(-2 j / d)."""
    size = WIDTH // HEADS
    angles = np.arange(LENGTH)[:, None] * base ** (-np.arange(0, size, 2) / size)
    cos, sin = (np.concatenate([f(angles)] * 2, axis=-1)[:, None] for f in (np.cos, np.sin))

    def split(x, turned):
        x = x.reshape(*x.shape[:2], HEADS, size)
        half = np.concatenate([-x[..., size // 2 :], x[..., : size // 2]], axis=-1)
        return x * cos + half * sin if turned else x

    query, key, value = split(query, True), split(key, True), split(value, False)
    logits = np.einsum("bihd,bjhd->bhij", query, key) / np.sqrt(size)
    p = np.exp(log_softmax(logits, axis=-1))
    return np.einsum("bhij,bjhd->bihd", p, value).reshape(*query.shape[:2], WIDTH)


def llada_logits(arrays, ids, base=500000.0):
    """[batch, length, rows]."""
    a = {n.removeprefix("model.transformer."): v.astype(np.float64) for n, v in arrays.items()}

    def norm(x, name):
        return a[f"{name}.weight"] * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)

    def linear(x, name):
        return x @ a[f"{name}.weight"].T

    h = a["wte.weight"][ids]
    for i in range(DEPTH):
        b = f"blocks.{i}."
        x = norm(h, b + "attn_norm")
        found = attention(*(linear(x, f"{b}{k}_proj") for k in "qkv"), base)
        h = h + linear(found, b + "attn_out")
        x = norm(h, b + "ff_norm")
        h = h + linear(silu(linear(x, b + "ff_proj")) * linear(x, b + "up_proj"), b + "ff_out")
    return linear(norm(h, "ln_f"), "ff_out")


def mdlm_logits(arrays, ids, sigma=0.0):
    """The same, of the network that is told this time."""
    a = {n.removeprefix("backbone."): v.astype(np.float64) for n, v in arrays.items()}

    def linear(x, name):
        return x @ a[f"{name}.weight"].T + a.get(f"{name}.bias", 0)

    def norm(x, name, shift, scale):
        x = x - x.mean(-1, keepdims=True)
        x = a[f"{name}.weight"] * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
        return x * (1 + scale) + shift

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    angles = sigma * 1e4 ** (-np.arange(128) / 128)
    features = np.concatenate([np.cos(angles), np.sin(angles)])
    told = silu(linear(silu(linear(features, "sigma_map.mlp.0")), "sigma_map.mlp.2"))
    h = a["vocab_embed.embedding"][ids]
    for i in range(DEPTH):
        b = f"blocks.{i}."
        b_1, s_1, g_1, b_2, s_2, g_2 = np.split(linear(told, b + "adaLN_modulation"), 6)
        qkv = linear(norm(h, b + "norm1", b_1, s_1), b + "attn_qkv")
        h = h + g_1 * linear(attention(*np.split(qkv, 3, axis=-1), 1e4), b + "attn_out")
        x = gelu(linear(norm(h, b + "norm2", b_2, s_2), b + "mlp.0"))
        h = h + g_2 * linear(x, b + "mlp.2")
    shift, scale = np.split(linear(told, "output_layer.adaLN_modulation"), 2)
    return linear(norm(h, "output_layer.norm_final", shift, scale), "output_layer.linear")


def written(folder, config, arrays, shards=1):
    """A folder as it is released."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    names = sorted(arrays)
    if shards == 1:
        safetensors.save(folder / "model.safetensors", arrays, {"format": "pt"})
        return folder
    told = {}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        safetensors.save(folder / file, {n: arrays[n] for n in names[i::shards]}, {"format": "pt"})
        told |= dict.fromkeys(names[i::shards], file)
    index = {"metadata": {}, "weight_map": told}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def imported(folder, workdir, *more):
    """By the command line."""
    flags = [f"--checkpoint={folder}", f"--workdir={workdir}", *more]
    assert cli.main(["main.py", "--mode=import", *flags]) == 0
    return score_sde.load(workdir)


TOKENS = np.array([[0, MASK, 3, MASK, 7, 9], [MASK] * LENGTH])


def check(run, logits, order, mask):
    """Of masks the log p that these logits give to all tokens but the mask.

    Args:
        run: imported.
        logits: from their numbers of tokens.
        order: their number of each of our tokens.
        mask: theirs.
    """
    tokens, masks = np.minimum(TOKENS, len(order) - 1), TOKENS == MASK
    theirs = logits(np.where(masks, mask, order[tokens]))[..., order]
    found = np.asarray(run.denoise(tokens, np.array([0.5, 1.0])))
    assert np.abs(found - log_softmax(theirs, axis=-1))[masks].max() < 1e-5


def test_llada(tmp_path, capsys):
    """In two shards; the mask, token 4 of 11, is the row after the tokens here."""
    arrays = llada_arrays()
    folder = written(tmp_path / "LLaDA", LLADA, arrays, shards=2)
    run = imported(folder, tmp_path / "run")
    order = np.array([0, 1, 2, 3, 10, 5, 6, 7, 8, 9])
    check(run, lambda ids: llada_logits(arrays, ids), order, 4)
    sampling, said = run.config.sampling, capsys.readouterr()
    assert (sampling.sampler, sampling.blocks.block) == ("blocks", 32)
    assert "is now the run" in said.out
    assert not said.err


def test_llada_with_its_tokeniser(tmp_path, monkeypatch):
    """Which has fewer tokens than the table rows, of which the mask is one; a tied last layer."""
    names = tuple("abcdMefg")
    monkeypatch.setattr(token_models.texts, "names", lambda path: names)
    arrays = llada_arrays()
    del arrays["model.transformer.ff_out.weight"]
    folder = written(tmp_path / "LLaDA", {**LLADA, "weight_tying": True}, arrays)
    (folder / "tokenizer.json").touch()
    run = imported(folder, tmp_path / "run")
    assert run.experiment.space.names == names
    order = np.array([0, 1, 2, 3, 8, 5, 6, 7])
    tied = {**arrays, "model.transformer.ff_out.weight": arrays["model.transformer.wte.weight"]}
    check(run, lambda ids: llada_logits(tied, ids), order, 4)
    flags = ("--num_samples=2", "--config.sampling.sampler=first_hitting")
    steps = "--config.sampling.steps=2"
    workdir = f"--workdir={tmp_path / 'run'}"
    assert cli.main(["main.py", workdir, "--mode=sample", *flags, steps]) == 0
    texts = run.experiment.space.as_texts(np.load(tmp_path / "run" / "samples.npz")["samples"])
    assert all(set(text) <= set("abcdMefg") for text in texts)


def test_mdlm(tmp_path):
    """What the time 0 modulates it with is in its norms and layers."""
    arrays = mdlm_arrays()
    run = imported(written(tmp_path / "mdlm", MDLM, arrays), tmp_path / "run")
    check(run, lambda ids: mdlm_logits(arrays, ids), np.arange(10), 10)
    assert run.config.sampling.sampler == "unmasking"


def test_mdlm_that_is_told_the_time(tmp_path):
    """The logarithm of 1 over the share of tokens that stay; of none that of a thousandth."""
    arrays, config = mdlm_arrays(), {**MDLM, "time_conditioning": True}
    run = imported(written(tmp_path / "mdlm", config, arrays), tmp_path / "run")
    masks, times = TOKENS == MASK, np.array([0.5, 1.0])
    found = np.asarray(run.denoise(np.minimum(TOKENS, 9), times))
    for i, stays in enumerate((0.5, 1e-3)):
        ids = np.where(masks, 10, TOKENS)
        theirs = log_softmax(mdlm_logits(arrays, ids, -np.log(stays))[i, :, :10], axis=-1)
        assert np.abs(found[i] - theirs)[masks[i]].max() < 1e-5
        still = log_softmax(mdlm_logits(arrays, ids)[i, :, :10], axis=-1)
        assert np.abs(still - theirs).max() > 1e-3


@pytest.mark.parametrize("kind", ["LLaDA", "MDLM", "MDLM with time"])
def test_names_and_shapes_are_those_of_the_network(kind):
    """An array that is missing or of another shape, and one more, is named."""
    config, arrays = (LLADA, llada_arrays()) if kind == "LLaDA" else (MDLM, mdlm_arrays())
    config = config | ({"time_conditioning": True} if "time" in kind else {})
    component = COMPONENTS[config["architectures"][0]]
    more = ["model.transformer.blocks.0.attn_out.bias", "backbone.blocks.0.norm1.bias"]
    for name in [n for n in arrays if not n.endswith("inv_freq")]:
        less = {n: a for n, a in arrays.items() if n != name}
        for wrong in (less, {**less, name: np.zeros((3, 1), np.float32)}):
            with pytest.raises(ValueError, match=rf"first at {re.escape(name)}: the checkpoint"):
                base.place(component, config, wrong)
    for name in more:
        with pytest.raises(ValueError, match=rf"{re.escape(name)}\b"):
            base.place(component, config, {**arrays, name: np.ones(WIDTH, np.float32)})


def test_what_does_not_fit_leaves_one_line_and_nothing_else(tmp_path, capsys):
    """Of a folder without an array, without its tokeniser, and of a file that is none."""
    arrays = mdlm_arrays()
    del arrays["backbone.vocab_embed.embedding"]
    folder = written(tmp_path / "mdlm", MDLM, arrays)
    other = tmp_path / "other"
    other.mkdir()
    line = ["main.py", "--mode=import", f"--checkpoint={folder}", f"--workdir={tmp_path / 'run'}"]
    for more, says in (
        ([], "vocab_embed.embedding"),
        ([f"--components={other}"], "other has no tokenizer.json"),
        (["--motion=x"], "is no pipeline of images"),
        ([], "texts of 1,000,000,000,000 tokens are none"),
    ):
        if "texts" in says:
            (folder / "config.json").write_text(json.dumps({**MDLM, "model_length": 10**12}))
        assert cli.main([*line, *more]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert said.count("\n") == 1
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("component", "change", "says"),
    [
        (llada, {"n_kv_heads": 1}, "n_kv_heads=1 is not known here"),
        (llada, {"alibi": True}, "alibi=True is not known here"),
        (llada, {"mask_token_id": 11}, "11 rows have no 11 or 10, the mask"),
        (llada, {"rope_theta": "x"}, "rope_theta='x' must be a number above 0"),
        (mdlm, {"time_conditioning": 7}, "time_conditioning=7 is not known here"),
    ],
)
def test_networks_that_are_none_of_ours(component, change, says):
    """By the value of config.json."""
    config, arrays = (LLADA, llada_arrays()) if component is llada else (MDLM, mdlm_arrays())
    with pytest.raises(ValueError, match=says):
        base.place(component.COMPONENT, {**config, **change}, arrays)


def test_llada_at_full_size():
    """The network of llada_8b.py."""
    real = {"d_model": 4096, "embedding_size": 126464, "mlp_hidden_size": 12288, "n_heads": 32}
    real |= {"n_kv_heads": 32, "n_layers": 32, "max_sequence_length": 4096, "mask_token_id": 126336}
    options = COMPONENTS["LLaDAModelLM"].options({**LLADA, **real})
    recipe = llada_8b.get_config().model
    for name in ("rows", "channels", "depth", "heads", "mlp_ratio", "norm_eps", "rope_base"):
        assert options[name] == recipe[name]
