"""Runs of any recipe as safetensors files, and back, bit for bit, with the objective's own."""

import json

import numpy as np
import pytest
from untrained import untrained_run

import score_sde
from score_sde import cli
from score_sde.formats import safetensors
from score_sde.interop import export
from score_sde.runs import recipes

SMALL = {"channels": 8, "channel_mult": (1, 2), "num_res_blocks": 1, "attn_resolutions": ()}
# Beside the recipe: what makes it small, and what no recipe has.
CASES = {
    "toy_moons": {},
    "digits_meanflow": SMALL,
    "digits_edm": {**SMALL, "objective.denoising.uncertainty": True},
    "digits_dit": {"rope": True, "channels": 16, "heads": 2, "depth": 2, "size": "S/2"},
    "digits_progressive": {**SMALL, "objective.progressive.teacher": "/home/me/runs/digits_vp"},
}
BY = {"digits_edm": "song", "digits_progressive": "song"}


def made(name, workdir):
    values = {k if "." in k else f"model.{k}": v for k, v in CASES[name].items()}
    return untrained_run(workdir, recipes.get(name), **values)


@pytest.mark.parametrize("name", CASES)
def test_import_of_an_exported_run_is_its_averages(name, tmp_path, capsys):
    """Arrays, config and step; those of the objective too."""
    run, file = made(name, tmp_path / "run"), tmp_path / "out.safetensors"
    assert export.main([str(run), str(file)]) == 0
    _, about = safetensors.load(file)
    assert "/home/me" not in about["score_sde"]
    assert json.loads(about["score_sde"])["family"] == BY.get(name, "score_sde")
    again = tmp_path / "again"
    flags = ["--mode=import", f"--checkpoint={file}", f"--workdir={again}"]
    assert cli.main(["main.py", *flags]) == 0, capsys.readouterr().err
    before, after = (score_sde.load(folder, weights="ema") for folder in (run, again))
    for one, two in ((before.params, after.params), (before.constants, after.constants)):
        assert one.keys() == two.keys()
        for path in one:
            np.testing.assert_array_equal(one[path], two[path])
    names = ("sde", "model", "conditions", "space", "sampling")
    for section in names:
        assert after.config[section] == before.config[section]
    assert after.config.objective.name == before.config.objective.name
    if name == "digits_progressive":
        assert after.config.objective.progressive.teacher == "digits_vp"
