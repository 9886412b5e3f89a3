r"""Handwritten digits, 8x8, in one evaluation: MeanFlow, a U-Net of 596,377 parameters.

What it gives has not been measured yet.

    python main.py --config=configs/digits_meanflow.py
    python main.py --config=configs/digits_meanflow.py --mode=sample --num_samples=500 --overwrite
    python -m score_sde.evaluation.digit_quality runs/digits_meanflow/samples.npz
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("digits_flow")
    config.sde.t_max = 1.0
    config.objective.name = "mean_flow"
    config.training.steps = 1500
    config.sampling.sampler = "jump"
    config.sampling.steps = 1
    return config
