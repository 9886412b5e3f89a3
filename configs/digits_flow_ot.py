r"""Handwritten digits, 8x8: configs/digits_flow.py with noise assigned to the data of its batch.

What it gives has not been measured yet.

    python main.py --config=configs/digits_flow_ot.py
    python main.py --config=configs/digits_flow_ot.py --mode=sample --num_samples=500 --overwrite
    python -m score_sde.evaluation.digit_quality runs/digits_flow_ot/samples.npz
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("digits_flow")
    config.objective.flow_matching.coupling = "optimal_transport"
    return config
