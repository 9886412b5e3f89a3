r"""Handwritten digits, 8x8, in one evaluation: MeanFlow, a U-Net of 598,681 parameters.

What it gives has not been measured yet. The same network, begun as a flow and trained so for 1,500
steps, gave with one evaluation a Fréchet distance in pixel space of 2.0 times that of held-out
images (500 samples, 2026-11-26). Two things decide here, where its paper has networks of other
sizes: told 999 t, as digits_flow is, the network has derivatives by the time that drown what is
regressed, and the ratio was 38; and with errors weighed by their size (power = 1) digits are drawn
towards the mean of all, of which the ratio was 2.9.

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
    config.model.noise_label = "sigma"
    config.model.embedding = "fourier"
    config.model.fourier_scale = 0.5  # small: what is regressed has a derivative by the time
    config.objective.name = "mean_flow"
    config.objective.mean_flow.share = 0.5
    config.objective.mean_flow.power = 0.0
    # Wide: the jump from t = 1 to 0 is learnt where the two times are near these.
    config.objective.mean_flow.time_mean = 0.0
    config.objective.mean_flow.time_std = 1.6
    config.training.steps = 3000
    config.training.ema_decays = (0.998,)
    config.sampling.sampler = "jump"
    config.sampling.steps = 1
    return config
