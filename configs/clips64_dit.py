r"""Clips of 16 frames of 64x64 pixels by a space-time DiT-XL/4: 822,566,064 parameters.

DiT-XL (Peebles and Xie 2022, arXiv 2212.09748, Table 1) at patches of 4x4 pixels, of which each
block is followed by attention over the frames, as the space-time networks of Ho et al. (2022, arXiv
2204.03458) and Blattmann et al. (2023, arXiv 2304.08818) have it. Rectified flow. Nothing of it was
trained here; a test builds it.

The clips are an .npy file of uint8 [n, 16, 64, 64, 3], which is mapped and may be larger than the
memory. A run of the images of such clips by the network dit, with the same options, begins it:
--init_from=RUN, which takes all of its weights, and the attention over frames begins with zeros.

    python main.py --config=configs/clips64_dit.py --config.data.dir=CLIPS.npy
    python main.py --config=configs/clips64_dit.py --config.data.dir=CLIPS.npy \
        --mode=sample --num_samples=16

With :latents the same network, at 2x2, draws latents of an autoencoder of images, frame by frame:
of 8x8 here, and of clips of 256x256 pixels of 32x32. It is any run that has one of four channels,
such as an imported one:

    python main.py --config=configs/clips64_dit.py:latents --config.data.dir=CLIPS.npy \
        --config.space.video_latents.autoencoder=RUN

On a GPU or TPU, --config.model.dtype=bfloat16 is faster; on several, add --config.training.fsdp=8.
Where memory is short, add --config.training.accumulate=8 or --config.model.remat=True.
"""

from ml_collections import ConfigDict

from score_sde.errors import UserError
from score_sde.runs.config import default


def get_config(of: str = "pixels") -> ConfigDict:
    """The recipe.

    Args:
        of: what is modelled, "pixels" or "latents".

    Raises:
        UserError: it is neither.
    """
    if of not in ("pixels", "latents"):
        raise UserError(f"clips64_dit:{of}: give pixels or latents")
    config = default("video_dit")
    config.data.name = "arrays"
    config.space.name = "video" if of == "pixels" else "video_latents"

    config.sde.name = "rectified_flow"

    config.model.parametrization = "velocity"
    config.model.noise_label = "time"
    config.model.size = "XL/4" if of == "pixels" else "XL/2"

    config.training.batch_size = 128
    config.training.steps = 400_000
    config.training.ema_decays = (0.9999,)
    config.training.keep_every = 50_000
    config.optim.learning_rate = 1e-4
    config.optim.warmup = 5000

    config.sampling.sampler = "dpmpp_2m"
    config.sampling.steps = 50
    config.sampling.num_samples = 16
    config.sampling.batch_size = 16
    return config
