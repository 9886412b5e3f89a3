"""CIFAR-10, unconditional, straight paths with noise assigned to the data, the network of cifar_vp.

61,804,419 parameters. Not trained here, and not measured. The assignment of 128 images takes about
a millisecond of one host thread (Tong et al. 2023, arXiv 2302.00482).

    python -m score_sde.data prepare cifar10        # once; needs pip install -e ".[prepare]"
    python main.py --config=configs/cifar_flow_ot.py
    python main.py --config=configs/cifar_flow_ot.py --mode=sample --num_samples=64
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("cifar_vp")
    config.sde.name = "rectified_flow"
    config.sde.beta_min = None
    config.sde.beta_max = None
    config.model.parametrization = "velocity"
    config.objective.name = "flow_matching"
    config.objective.flow_matching.coupling = "optimal_transport"
    config.objective.t_min = None
    config.training.steps = 400_000
    config.sampling.sampler = "euler"
    config.sampling.grid = "uniform"
    config.sampling.steps = 100
    return config
