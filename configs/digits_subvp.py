r"""Handwritten digits, 8x8, sub-VP SDE, a U-Net of 582,265 parameters.

What it gives, measured on 2 cores of an AMD EPYC on 2026-11-21 (JAX 0.10.2, Python 3.11; the cores
were busy with other work too, so the time is an upper bound): 1000 steps in 3 min 32 s, compilation
included; 500 samples in 40 s. Of these 500 samples, against the 1,297 training and 500 held-out
images:

    smallest share of a class            7.4 %   (by a classifier fitted to the training images)
    Fréchet distance in pixel space      1.38 times that of the held-out images
    distance to nearest training image   1.18 times that of the held-out images (medians)

    python main.py --config=configs/digits_subvp.py
    python main.py --config=configs/digits_subvp.py --mode=sample --num_samples=500 --overwrite \
        --config.sampling.sampler=predictor_corrector --config.sampling.steps=250
    python -m score_sde.evaluation.digit_quality runs/digits_subvp/samples.npz

Everything but the process is as in digits_vp.py.
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("digits_vp")
    config.sde.name = "subvp"
    return config
