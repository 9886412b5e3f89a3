"""A run whose examples were in the memory of another process."""

import importlib

import numpy as np
import pytest
from program import called
from untrained import untrained_run

from score_sde import data
from score_sde.data import arrays
from score_sde.runs import recipes

pytestmark = pytest.mark.slow

TINY = {
    "model.channels": 4,
    "model.channel_mult": (1,),
    "model.num_res_blocks": 1,
    "model.attn_resolutions": (),
}
registry = importlib.import_module("score_sde.data.load")
IMAGES = np.zeros((20, 8, 8, 1), np.uint8)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """As score_sde.train leaves it, which no process knows any more."""
    fields = {"data.name": data.IN_MEMORY, **TINY}
    folder = tmp_path_factory.mktemp("given") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_REGISTERED", {})
        data.register(data.IN_MEMORY, lambda split: arrays.source({"image": IMAGES}, split=split))
        return untrained_run(folder, recipes.get("small_images:arrays"), **fields)


@pytest.mark.parametrize("mode", ["train", "evaluate", "sample"])
def test_what_needs_its_examples_says_what_to_do(given, mode):
    task = ["--task=inpaint", "--num_samples=2", "--mask=left"] if mode == "sample" else []
    result = called(f"--workdir={given}", f"--mode={mode}", *task)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "call score_sde.train with them again" in line
    assert "--config.data.name=arrays --config.data.dir=FILE.npz" in line
    assert "recipe" not in line


def test_a_file_takes_their_place_where_a_model_is_measured(given, tmp_path):
    """Of examples of the same kind: these are of others, which is the next thing that is said."""
    np.savez(tmp_path / "other.npz", image=np.zeros((20, 8, 8, 3), np.uint8))
    file = ("--config.data.name=arrays", f"--config.data.dir={tmp_path / 'other.npz'}")
    for mode in ("evaluate", "sample"):
        task = ["--task=inpaint", "--num_samples=2", "--mask=left"] if mode == "sample" else []
        result = called(f"--workdir={given}", f"--mode={mode}", *task, *file)
        assert "test examples of arrays have image of 8x8x3" in result.stderr, result.stderr
