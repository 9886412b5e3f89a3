"""Transformers by their authors' names. No released file is at hand: names are those of its rules.

What is checked is that they lead to every array of a folder, of golden and of real size, and that
what was put together comes apart as it was.
"""

import gzip
import json
import re

import numpy as np
import pytest

from score_sde.interop.components import base, folder, original_transformers
from score_sde.interop.components.flux import FLUX
from score_sde.interop.components.mmdit import MMDIT
from score_sde.interop.slots import check


def originals(arrays, rules, width):
    """Arrays of a folder under the names of the rules, put together; shapes alone where huge."""
    found = {}
    if "pos_embed.pos_embed" in arrays:
        found["pos_embed"] = arrays["pos_embed.pos_embed"]
    for module, targets in rules.items():
        first = re.compile(re.escape(targets[0]).replace(r"\#", r"(\d+)") + r"\.(weight|bias)")
        for name in arrays:
            if not (match := first.fullmatch(name)):
                continue
            *number, leaf = match.groups()
            own = [arrays[f"{t}.{leaf}".replace("#", "".join(number))] for t in targets]
            joined = own[0] if len(own) == 1 else np.concatenate(own)
            if module.endswith(original_transformers.MODULATION) and len(joined) == 2 * width:
                joined = np.concatenate(np.split(joined, 2)[::-1])
            leaf = "scale" if "query_norm" in module or "key_norm" in module else leaf
            found[f"{module}.{leaf}".replace("#", "".join(number))] = joined
    return found


@pytest.mark.parametrize(
    ("name", "component", "rules"),
    [("sd35", MMDIT, original_transformers.SD3), ("flux_dev", FLUX, original_transformers.FLUX)],
)
def test_arrays_come_apart_as_they_were(shared, name, component, rules):
    """Bit for bit, with a prefix and without; a folder's own names stay."""
    path = shared / "golden" / "latent" / "pipelines" / name / "transformer"
    arrays = folder.arrays(path)
    theirs = originals(arrays, rules, len(arrays["context_embedder.bias"]))
    assert original_transformers.is_original(theirs)
    assert not original_transformers.is_original(arrays)
    for prefix in ("", original_transformers.PREFIX):
        given = {prefix + key: array for key, array in theirs.items()}
        found = component.prepare(given, folder.config(path))
        assert found.keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[key], array, err_msg=key)
    assert component.prepare(arrays, folder.config(path)) is arrays


@pytest.mark.parametrize(
    ("name", "component", "rules"),
    [
        ("sd3_medium", MMDIT, original_transformers.SD3),
        ("sd35_medium", MMDIT, original_transformers.SD3),
        ("sd35_large", MMDIT, original_transformers.SD3),
        ("flux_dev", FLUX, original_transformers.FLUX),
        ("flux_schnell", FLUX, original_transformers.FLUX),
    ],
)
def test_real_sizes_say_their_config(shared, name, component, rules):
    """The same network as that of config.json, of arrays that take no memory."""
    configs = shared / "golden" / "latent" / "real_configs"
    told = json.loads((configs / f"{name}_transformer.json").read_text())
    shapes = json.loads(
        gzip.decompress((configs / f"{name}_transformer.shapes.json.gz").read_bytes())
    )
    shapes |= told["buffers_in_file"]
    nothing = {
        key: np.zeros((shape[0], *[0] * (len(shape) - 1)), np.int8) for key, shape in shapes.items()
    }
    theirs = originals(nothing, rules, shapes["context_embedder.bias"][0])
    whole = {}
    for key, rows in theirs.items():
        module, _, leaf = key.rpartition(".")
        target = rules.get(re.sub(r"(?<=_blocks\.)\d+", "#", module), ("pos_embed",))[0]
        number = re.search(r"(?<=_blocks\.)\d+", module)
        first = f"{target}.{leaf.replace('scale', 'weight')}".replace(
            "#", number[0] if number else ""
        )
        rest = shapes["pos_embed.pos_embed" if key == "pos_embed" else first][1:]
        whole[key] = np.broadcast_to(np.int8(0), (len(rows), *rest))
    found = original_transformers.config(whole)
    assert found["_class_name"] == told["config"]["_class_name"]
    assert component.options(found) == component.options(told["config"])
    today = {key: array.shape for key, array in original_transformers.today(whole).items()}
    check(component.slots(base.abstract(component, found)), today)


def test_names_as_they_are_known():
    """One of each kind that is put together, with what it becomes."""
    width = 4
    arrays = {
        "img_in.bias": np.zeros(width),
        "single_blocks.12.linear1.weight": np.arange(28.0)[:, None],
        "double_blocks.3.txt_attn.qkv.bias": np.arange(12.0),
        "final_layer.adaLN_modulation.1.bias": np.arange(8.0),
        "something.else": np.ones(1),
    }
    found = original_transformers.today(arrays)
    np.testing.assert_array_equal(
        found["single_transformer_blocks.12.proj_mlp.weight"][:, 0], np.arange(12, 28)
    )
    np.testing.assert_array_equal(found["transformer_blocks.3.attn.add_k_proj.bias"], [4, 5, 6, 7])
    np.testing.assert_array_equal(found["norm_out.linear.bias"], [4, 5, 6, 7, 0, 1, 2, 3])
    assert "something.else" in found
