"""The table of released weights says what the importer knows, and what tests hold."""

import json

import pytest
from program import ROOT

from score_sde.interop import controls, encoders, pipelines, token_models
from score_sde.interop.catalogue import CATALOGUE
from score_sde.interop.families import FAMILIES
from score_sde.interop.recognise import OURS

# Those of CLIP, which no test compares with its reference alone, are of pipelines and metrics.
ENCODERS = {kind for kind in encoders._KINDS if not kind.startswith("CLIP")}
# Of real sizes, as the developers' folder has them.
SIZES = {
    "Stable Diffusion 1": "sd15_unet",
    "Stable Diffusion 1, inpainting": "sd15_inpainting_unet",
    "Stable Diffusion 2": "sd21_unet",
    "Stable Diffusion, x4 upscaler": "x4_upscaler_unet",
    "Stable Diffusion XL": "sdxl_base_unet",
    "Stable Diffusion XL, refiner": "sdxl_refiner_unet",
    "Stable Diffusion 3 medium": "sd3_medium_transformer",
    "Stable Diffusion 3.5 medium": "sd35_medium_transformer",
    "Stable Diffusion 3.5 large": "sd35_large_transformer",
    "FLUX.1-dev": "flux_dev_transformer",
    "FLUX.1-schnell": "flux_schnell_transformer",
    "PixArt-alpha XL/2, 1024": "pixart_alpha_xl_1024_transformer",
    "DiT-XL/2 as a pipeline": "dit_xl_2_256_transformer",
    "ControlNet of Stable Diffusion 1": "controlnet_sd15",
    "ControlNet of Stable Diffusion XL": "controlnet_sdxl",
}


def test_it_has_all_that_the_importer_knows():
    """And nothing else; whatever was exported here is of no release."""
    known = {*FAMILIES, *pipelines.KINDS, *token_models.KINDS, *controls.KINDS, *ENCODERS} - {OURS}
    assert {kind for one in CATALOGUE for kind in one.kinds} == known


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: one.name)
def test_its_tests_are_there_and_hold_as_much(one):
    """The bound stands in the file, as it is written in Python."""
    text = (ROOT / "tests" / one.test).read_text()
    assert f"{one.error:.0e}".replace("e-0", "e-") in text
    if one.opens:
        assert (ROOT / "configs" / one.opens.partition(":")[0]).exists()


def test_sizes_are_the_real_ones(shared):
    """Those that were counted on the released configs, and those that recipes say.

    Others are counted in test_catalogue_sizes.py.
    """
    path = shared / "golden" / "latent" / "real_configs" / "counts.json"
    counts = json.loads(path.read_text())
    named = {one.name: one.parameters for one in CATALOGUE}
    assert {name: named[name] for name in SIZES} == {
        name: counts[config]["parameters"] for name, config in SIZES.items()
    }
    for one in CATALOGUE:
        if one.opens.endswith(".py"):
            assert f"{one.parameters:,}" in (ROOT / "configs" / one.opens).read_text()
