"""Adapters of ../shared/golden/latent, in every layout: what they add, and what networks give."""

import functools

import jax
import numpy as np
import pytest
from filled import quick_jit
from latent_goldens import error, golden, nhwc, told

from score_sde.formats import safetensors
from score_sde.interop.components import COMPONENTS, folder
from score_sde.interop.components.base import place
from score_sde.interop.lora import file, merge, names
from score_sde.models.functional import functional

PARTS = {"network": "unet", "text_encoder": "text_encoder", "text_encoder_2": "text_encoder_2"}


class Networks:
    """Those of a pipeline, compiled once."""

    def __init__(self, shared, pipeline):
        self.case = golden(shared, f"lora_{pipeline}")
        self.case["text_encoder/ids"] = self.case["ids"]
        if pipeline == "sdxl":  # the second tokeniser has another id for a sign of the second text
            prompts = golden(shared, "sdxl", "text_encoder_2/prompts/ids")
            self.case["text_encoder_2/ids"] = prompts[""][[0, 2]]
        self.named, self.params, self.call = {}, {}, {}
        for name, part in PARTS.items():
            path = shared / "golden" / "latent" / "pipelines" / pipeline / part
            if path.exists():
                config = folder.config(path)
                cls = config.get("_class_name") or config["architectures"][0]
                model, placed = place(COMPONENTS[cls], config, folder.arrays(path))
                self.named[name] = names.named(name, model)
                self.params[name], constants = placed
                self.call[name] = self._call(name, model, constants)

    def _call(self, name, model, constants):
        x = told(self.case) if name == "network" else (self.case[f"{name}/ids"],)
        apply = functional(lambda rngs: model).apply

        def call(params):
            with jax.default_matmul_precision("highest"):
                return apply(params, constants, *x)

        return quick_jit(call)

    def merged(self, *adapters):
        added = merge.fitted(list(self.named.values()), adapters)
        return {n: merge.merged(m, self.params[n], added[n]) for n, m in self.named.items()}


@pytest.fixture(scope="module")
def networks(shared):
    return functools.cache(functools.partial(Networks, shared))


@pytest.fixture(scope="module")
def adapter(shared):
    return lambda name: shared / "golden" / "latent" / "lora" / f"{name}.safetensors"


FILES = {
    "sd15": (
        "peft",
        "peft_alpha_in_header",
        "diffusers_old",
        "kohya",
        "kohya_locon",
        "peft_dora",
        "kohya_dora",
        "kohya_mixed_alpha",
    ),
    "sdxl": ("kohya",),
}


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", FILES)
def test_networks_with_an_adapter_give_what_they_gave(networks, adapter, pipeline):
    """U-Net and text encoders, at each strength; and d itself, bit for bit."""
    found = networks(pipeline)
    tolerance = {"sd15": 3e-5, "sdxl": 1e-4}[pipeline]
    table = names.table(list(found.named.values()))
    for name in (f"{pipeline}_{one}" for one in FILES[pipeline]):
        for strength in (0.0, 0.5, 1.0):
            params = found.merged((adapter(name), strength))
            expected = f"{name}/scale_{strength}"
            out = found.call["network"](params["network"])
            assert error(out, found.case[f"{expected}/unet_out"]) < tolerance, name
            first = found.call["text_encoder"](params["text_encoder"])
            assert error(first.last, found.case[f"{expected}/text_out"]) < 1e-5, name
            if pipeline == "sdxl":
                second = found.call["text_encoder_2"](params["text_encoder_2"])
                assert error(second.pooled, found.case[f"{expected}/text_2_out"]) < 1e-5
        layers = {
            table[key.replace(".processor.", ".").replace(".", "_")][0].weight: layer.factors
            for key, layer in file.read(adapter(name)).items()
        }
        prefix = f"{name}/delta/unet."
        deltas = [key for key in found.case if key.startswith(prefix)]
        assert len(deltas) == 2 * ("dora" not in name and "mixed" not in name)
        for key in deltas:
            delta = layers[key.removeprefix(prefix)].delta()
            np.testing.assert_array_equal(nhwc(delta), found.case[key])


def test_several_adapters_add_up_in_any_order(networks, adapter):
    """What each adds to the weights alone; those that none adapts are the same arrays."""
    found = networks("sd15")
    one, other = (adapter("sd15_peft_dora"), 0.5), (adapter("sd15_kohya_locon"), -1.0)
    base = found.params["network"]
    alone = [found.merged(a)["network"] for a in (one, other)]
    for both in (found.merged(one, other)["network"], found.merged(other, one)["network"]):
        for path, array in base.items():
            expected = np.asarray(alone[0][path]) + np.asarray(alone[1][path]) - np.asarray(array)
            np.testing.assert_allclose(both[path], expected, rtol=0, atol=1e-6)
    assert both["encoder/conv_in/bias"] is base["encoder/conv_in/bias"]


@pytest.mark.parametrize(
    ("pipeline", "change", "message"),
    [
        ("sdxl", {}, "does not fit this model, first at text_encoder.text_model.encoder.layers.3"),
        ("sd15", {"unet.mid_block.odd.lora_A.weight": (2, 8)}, "has no up of unet.mid_block.odd"),
        ("sd15", {"unet.conv_in.hada_w1_a": (2, 8)}, "unet.conv_in.hada_w1_a, which is no array"),
        (
            "sd15",
            {"unet.odd.lora_A.weight": (2, 8), "unet.odd.lora_B.weight": (8, 2)},
            "does not fit this model, first at unet.odd.lora_A.weight: there is no such layer",
        ),
        (
            "sd15",
            {"unet.conv_in.lora_A.weight": (2, 5, 3, 3), "unet.conv_in.lora_B.weight": (8, 2)},
            r"for a weight of \[8, 5, 3, 3\], and there it is \[8, 4, 3, 3\]",
        ),
        (
            "sd15",
            {"unet.conv_in.lora_A.weight": (2, 4, 3, 3), "unet.conv_in.lora_B.weight": (8, 3)},
            r"do not fit each other: \[2, 4, 3, 3\] and \[8, 3\]",
        ),
    ],
)
def test_what_does_not_fit_is_named(networks, adapter, tmp_path, pipeline, change, message):
    arrays, about = safetensors.load(adapter("sd15_peft"))
    path = tmp_path / "odd.safetensors"
    given = {key: np.ones(shape, np.float32) for key, shape in change.items()}
    safetensors.save(path, {**arrays, **given}, about)
    with pytest.raises(ValueError, match=message):
        merge.fitted(list(networks(pipeline).named.values()), [(path, 1.0)])
