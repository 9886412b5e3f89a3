"""CIFAR-10, unconditional, sub-VP SDE, DDPM++ (continuous): 61,804,419 parameters.

What it gives: FID 2.61, IS 9.56 with the Euler-Maruyama predictor; 3.02 bits/dim and FID 3.16 with
the probability-flow ODE. These are the paper's claims (Song et al. 2021, arXiv 2011.13456, Tables
2 and 3), for 1.3 million steps of batch 128; they have not been measured here.

    python -m score_sde.data prepare cifar10        # once; needs pip install -e ".[prepare]"
    python main.py --config=configs/cifar_subvp.py
    python main.py --config=configs/cifar_subvp.py --mode=sample --num_samples=64

Everything but the process is as in cifar_vp.py.
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("cifar_vp")
    config.sde.name = "subvp"
    return config
