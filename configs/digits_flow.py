r"""Handwritten digits, 8x8, flow matching on straight paths, a U-Net of 582,265 parameters.

What it gives, measured on 2 cores of an AMD EPYC on 2026-11-26 (JAX 0.10.2): 2,500 steps at about
430 images/s, beside other work. Over three sets of 500 samples of one training, against the 1,297
training and 500 held-out images, by ipndm of order 3 on the uniform grid:

    evaluations                                     10              5
    Fréchet distance over that of held-out images   0.93 +- 0.06    1.28 +- 0.04
    distance to nearest training image, the same    1.02            1.00    (medians)
    smallest share of a class, of all sets          7.0 %           7.0 %

After 1,000 of the steps, before the learning rate had fallen, 10 evaluations gave 1.05 +- 0.03, ten
steps of euler 1.47 +- 0.03, and one step 46.

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
    config.training.steps = 2500
    config.training.eval_every = 500
    config.training.sample_every = 500
    config.optim.decay = "cosine"
    config.sampling.sampler = "ipndm"
    config.sampling.ipndm.order = 3
    config.sampling.grid = "uniform"
    config.sampling.steps = 10
    return config
