r"""Handwritten digits, 8x8, flow matching on straight paths, a U-Net of 582,265 parameters.

What it gives has not been measured yet.

    python main.py --config=configs/digits_flow.py
    python main.py --config=configs/digits_flow.py --mode=sample --num_samples=500 --overwrite
    python -m score_sde.evaluation.digit_quality runs/digits_flow/samples.npz
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("digits_vp")
    config.sde.name = "rectified_flow"
    config.model.parametrization = "velocity"
    config.objective.name = "flow_matching"
    config.sampling.sampler = "dpmpp_2m"
    config.sampling.grid = "uniform"
    config.sampling.steps = 20
    return config
