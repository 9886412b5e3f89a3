r"""Handwritten digits, 8x8, in one evaluation: MeanFlow, a U-Net of 596,377 parameters.

It starts from configs/digits_flow.py. What it gives has not been measured yet.

    python main.py --config=configs/digits_flow.py
    python main.py --config=configs/digits_meanflow.py --init_from=runs/digits_flow
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
    config.objective.mean_flow.share = 0.5
    # Wide: the jump from t = 1 to 0 is learnt where the two times are near these.
    config.objective.mean_flow.time_mean = 0.0
    config.objective.mean_flow.time_std = 1.6
    config.training.steps = 1500
    config.optim.learning_rate = 1e-3
    config.sampling.sampler = "jump"
    config.sampling.steps = 1
    return config
