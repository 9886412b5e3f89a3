"""CIFAR-10 in 20 minutes of one GPU: EDM, a U-Net of 20,131,011 parameters, bfloat16.

Not measured: no GPU could be used. The steps are those that 20 minutes of an H100 should be enough
for, by the 3,800 images/s of cifar_vp on an H200 and this network's 46 % of its work; where
they are not, give fewer with --config.training.steps: the learning rate comes to 0 at the last.

    python -m score_sde.data prepare cifar10        # once; needs pip install -e ".[prepare]"
    python main.py --config=configs/cifar_fast.py
    python main.py --config=configs/cifar_fast.py --mode=sample --num_samples=10000
    python -m score_sde.evaluation.ema runs/cifar_fast --lengths=0.03,0.05,0.10

Two power-function averages with snapshots: the last command finds the length that is best, with
the Inception weights (see --mode=evaluate). Several lengths cost no training.
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("cifar_vp")
    config.sde.name = "edm"
    config.sde.beta_min = None
    config.sde.beta_max = None
    config.objective.t_min = None
    config.model.parametrization = "edm"
    config.model.noise_label = "log_sigma"
    config.model.channels = 96
    config.model.channel_mult = (1, 2, 2)
    config.model.num_res_blocks = 3
    config.model.dropout = 0.0
    config.model.dtype = "bfloat16"
    config.objective.denoising.weighting = "edm"
    config.objective.denoising.times = "log_normal"
    config.objective.stratified = True
    config.training.batch_size = 256
    config.training.steps = 30_000
    config.training.steps_per_call = 10
    config.training.ema_decays = (0.9995,)
    config.training.ema_profiles = (0.05, 0.10)
    config.training.ema_snapshot_every = 3_000
    config.training.eval_every = 0
    config.training.sample_every = 0
    config.training.checkpoint_every = 3_000
    config.training.keep_every = 0
    config.optim.learning_rate = 1e-3
    config.optim.warmup = 500
    config.optim.decay = "cosine"
    config.sampling.sampler = "dpmpp_2m"
    config.sampling.grid = "karras"
    config.sampling.steps = 20
    config.sampling.batch_size = 1000
    config.evaluation.metrics = ("fid",)
    return config
