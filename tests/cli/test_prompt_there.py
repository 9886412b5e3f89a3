"""Which pictures of prompts are there: files are known by what is in them, and not by name."""

import json
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.cli import prompt_there
from score_sde.errors import UserError
from score_sde.parts import Part
from score_sde.runs.controlled import Opened
from score_sde.spaces import pictures


def test_a_picture_is_there_whatever_its_files_are_called(tmp_path):
    path = tmp_path / "a.png"
    said = {
        "prompt": "a",
        "model": "runs/sd15",
        "image": "a.png",
        "controls": [{"network": "edges", "image": "b.png", "scale": 0.5}],
        "nfe": 4,
    }
    pictures.save_png(path, np.zeros((2, 2, 3), np.uint8), {"parameters": json.dumps(said)})
    control = {"network": "/x/edges", "image": "/x/b.png", "scale": 0.5}
    asked = {"prompt": "a", "model": "/x/sd15", "image": "/x/a.png", "controls": (control,)}
    assert prompt_there.found([path, tmp_path / "b.png"], [asked, asked]) == {0: said}
    for name, other in (("prompt", "b"), ("controls", [control | {"scale": 1.0}])):
        with pytest.raises(UserError, match=f"drawn with other {name}: give another --out"):
            prompt_there.found([path], [asked | {name: other}])


def test_settings_are_of_all_weights(tmp_path):
    """Of the network, its space, what steers, and adapters, whose files may have the same name."""
    (tmp_path / "a.safetensors").write_bytes(b"a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.safetensors").write_bytes(b"b")

    def settings(network=0.0, space=0.0, control=0.0, lora="a.safetensors"):
        run = SimpleNamespace(
            experiment=SimpleNamespace(text=None),
            config=SimpleNamespace(model=SimpleNamespace(dtype="float32")),
            params={"kernel": jnp.full(2, network)},
            constants={},
            space=jnp.full(2, space),
        )
        config = SimpleNamespace(
            sampling=SimpleNamespace(tile=0), guidance=SimpleNamespace(interval=(), rescale=0.0)
        )
        line = SimpleNamespace(config=config, loras=[(tmp_path / lora, 1.0)])
        part = Part(None, {"kernel": jnp.full(2, control)}, {})
        steers = [Opened("edges", "controlnet", {}, part)]
        return prompt_there.settings(line, run, "ddim", (8, 8), [None], steers)

    assert settings() == settings(lora="elsewhere/../a.safetensors")
    others = {"network": 1.0, "space": 1.0, "control": 1.0, "lora": "elsewhere/a.safetensors"}
    found = {settings(), *(settings(**{name: value}) for name, value in others.items())}
    assert len(found) == 1 + len(others)
