"""What --smoke shares between the studies: digits, a small network, and half a minute to train it.

Numbers that come out say that a study runs from end to end, and nothing about the paper's.
"""

from typing import Any

Changes = dict[str, Any]

SMALL: Changes = {
    "model.channels": 16,
    "model.num_res_blocks": 1,
    "training.steps": 100,
    "training.eval_every": 0,
    "training.sample_every": 0,
    "training.checkpoint_every": 100,
    "sampling.num_samples": 100,
    "sampling.batch_size": 100,
}
NOTE = (
    "This is the study in small: digits and a network trained for half a minute. It shows that the "
    "study runs; the published numbers beside it are of CIFAR-10."
)
THOUSAND = 50  # steps in place of 1000

VP: Changes = {"config": "configs/digits_vp.py"}
SUBVP: Changes = {"config": "configs/digits_subvp.py"}
VE: Changes = {"config": "configs/digits_ve.py"}
# With as many noise levels as THOUSAND, so that P2000 steps between them here too.
DDPM: Changes = VP | {
    "sde.name": "ddpm",
    "sde.scales": THOUSAND,
    "model.parametrization": "level_eps",
    "objective.denoising.times": "discrete",
}
SMLD: Changes = VE | {
    "sde.name": "smld",
    "sde.scales": THOUSAND,
    "model.parametrization": "scaled_score",
    "model.noise_label": "level",
    "model.embedding": "positional",
    "model.scale_by_sigma": False,
    "objective.denoising.times": "discrete",
}

# The paper's networks, at the width of SMALL.
DDPM_NET: Changes = {"model.resblock": "ddpm", "model.skip_rescale": False}
DDPMPP: Changes = {"model.resblock": "biggan"}
NCSNPP: Changes = {
    "model.resblock": "biggan",
    "model.fir": True,
    "model.progressive_input": "residual",
}
DEEP: Changes = {"model.num_res_blocks": 2}
