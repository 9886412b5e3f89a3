"""Runs of any recipe as safetensors files, and back, bit for bit, with the objective's own."""

import json

import numpy as np
import pytest
from untrained import untrained_run

import score_sde
from score_sde import cli
from score_sde.formats import safetensors
from score_sde.interop import export
from score_sde.runs import config as configs
from score_sde.runs import recipes

pytestmark = pytest.mark.slow

SMALL = {"channels": 8, "channel_mult": (1,), "num_res_blocks": 1, "attn_resolutions": ()}
# Beside the recipe: what makes it small, and what no recipe has.
CASES = {
    "toy_moons": {},
    "digits_meanflow": SMALL,
    "digits_edm": {**SMALL, "channel_mult": (1, 2), "objective.denoising.uncertainty": True},
    "digits_dit": {"rope": True, "channels": 16, "heads": 2, "depth": 2, "size": "S/2"},
    "digits_progressive": {**SMALL, "objective.progressive.teacher": "/home/me/runs/digits_vp"},
    "small_images:arrays": {
        **SMALL,
        "training.control.field": "sketch",  # a ControlNet beside a network that stays
        "objective.denoising.uncertainty": True,
    },
}
BY = {"digits_edm": "song", "digits_progressive": "song"}


def made(name, workdir):
    values = {k if "." in k else f"model.{k}": v for k, v in CASES[name].items()}
    if name.endswith(":arrays"):
        values["data.dir"] = str(workdir.parent / "drawn.npz")
        image = np.zeros((2, 8, 8, 3), np.uint8)
        np.savez(values["data.dir"], train_image=image, train_sketch=image[..., :1])
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
    controlled = [path for path in after.params if path.startswith("control/")]
    assert bool(controlled) == (name == "small_images:arrays")
    assert after.experiment.conditions == before.experiment.conditions
    names = ("sde", "model", "conditions", "space", "sampling")
    for section in names:
        assert after.config[section] == before.config[section]
    assert after.config.objective.name == before.config.objective.name
    if name == "digits_progressive":
        assert after.config.objective.progressive.teacher == "digits_vp"


LABEL = {"conditions.fields": ("label",), "conditions.label.dropout": 0.1}
UNDROPPED = {"conditions.label.dropout": 0.0}
DIT = {"channels": 8, "depth": 1, "heads": 1, "patch": 4}


@pytest.mark.parametrize(
    ("network", "fields", "other", "official"),
    [
        ("adm", SMALL | LABEL | {"group_size": 1}, UNDROPPED, "guided_diffusion"),
        ("adm", SMALL | LABEL, UNDROPPED, "edm"),
        ("dit", DIT | {"closed": True}, {"model.closed": False}, "dit"),
        ("dit", DIT | {"layers_eps": 1e-5}, {}, ""),
        ("unet", SMALL | {"patch": 2}, {"model.patch": 1}, "song"),
    ],
    ids=["adm", "adm_of_edm", "closed", "eps", "patches"],
)
def test_what_an_official_network_has_no_place_for(
    tmp_path, capsys, network, fields, other, official
):
    """What is learnt of no class, and options that no array shows, are kept by our own names."""
    values = {k if "." in k else f"model.{k}": v for k, v in fields.items()}
    values["data.name"] = "digits"

    def exported(name, **changes):
        run = untrained_run(tmp_path / name, configs.default(network), **values | changes)
        assert export.main([str(run), str(tmp_path / f"{name}.safetensors")]) == 0
        arrays, about = safetensors.load(tmp_path / f"{name}.safetensors")
        return arrays, json.loads(about["score_sde"])["family"]

    arrays, family = exported("run")
    assert family == "score_sde"
    if "conditions.fields" in fields:
        assert len(arrays["conditions.label.table"]) == 10 + 1
        assert np.any(arrays["conditions.label.table"][-1])
    capsys.readouterr()
    assert export.main([str(tmp_path / "run"), str(tmp_path / "run.pt")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "run.pt").exists()
    if official:
        assert exported("other", **other)[1] == official
