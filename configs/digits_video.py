r"""Moving digits by a text, 8 frames of 16x16 pixels, told as "a 3 moves left"; VP SDE.

A small U-Net at patches of 2 x 2 pixels whose attention over each frame is followed by one over
time, 881,188 parameters. It predicts v. A tenth of the training examples are told no text, so that
the model guides itself.

After 8 minutes on two cores (JAX 0.10.2, 2026-11-28) the motion is right in 60.2 +- 2.2 % of 500
clips, the digit in 19.4 +- 1.8 %: what moves changes its shape from frame to frame.

    python main.py --config=configs/digits_video.py
    python main.py --workdir=runs/digits_video --mode=sample --num_samples=500
    python -m score_sde.evaluation.clip_quality runs/digits_video/samples.npz
    python main.py --workdir=runs/digits_video --mode=evaluate

The future of held-out clips, given their first two frames; and what is between the first and last:

    python main.py --workdir=runs/digits_video --mode=sample --task=inpaint --mask=future
    python main.py --workdir=runs/digits_video --mode=sample --task=inpaint --mask=between

With :frames the network is told the first two frames too, of three in ten examples none, and
continues those of held-out clips, or of an animated PNG or WebP:

    python main.py --config=configs/digits_video.py:frames --workdir=runs/digits_frames
    python main.py --config=configs/digits_video.py:frames --workdir=runs/digits_frames \
        --mode=sample --config.sampling.told_of=test
    python main.py --config=configs/digits_video.py:frames --workdir=runs/digits_frames \
        --mode=sample --condition=first_frames=CLIP.png --condition=text="a 3 moves left" \
        --num_samples=8 --out=runs/continued
"""

from ml_collections import ConfigDict

from score_sde.errors import UserError
from score_sde.runs.config import default


def get_config(told: str = "text") -> ConfigDict:
    """The recipe.

    Args:
        told: "text"; or "frames", the first two frames too.

    Raises:
        UserError: it is neither.
    """
    if told not in ("text", "frames"):
        raise UserError(f"digits_video:{told}: give text or frames")
    config = default("video_unet")
    config.data.name = "digits_video"
    config.space.name = "video"
    config.conditions.fields = ("text",)
    config.conditions.text.dropout = 0.1  # so that it knows no text too
    config.conditions.text.words = 8
    config.conditions.text.features = 32
    config.conditions.text.rows = 512

    if told == "frames":
        config.data.first_frames = 2
        config.conditions.fields = ("text", "first_frames")
        config.conditions.video.dropout = 0.3

    config.sde.name = "vp"

    config.model.parametrization = "v"
    config.model.noise_label = "time"
    config.model.patch = 2
    config.model.channels = 32
    config.model.channel_mult = (1, 2)
    config.model.num_res_blocks = 1
    config.model.attn_resolutions = (4, 8)
    config.model.dropout = 0.0

    config.training.batch_size = 32
    config.training.steps = 1800
    config.training.steps_per_call = 10
    # Of v, not of the noise: what it is of is settled where there is much noise.
    config.objective.denoising.weighting = "uniform"
    config.objective.denoising.quantity = "v"
    config.objective.stratified = True
    config.training.ema_decays = (0.995,)
    config.training.log_every = 50
    config.training.eval_every = 500
    config.training.sample_every = 500
    config.training.checkpoint_every = 500
    config.optim.learning_rate = 2e-3
    config.optim.warmup = 100
    config.optim.decay = "cosine"

    config.guidance.scale = 2.0
    config.sampling.sampler = "dpmpp_2m"
    config.sampling.steps = 25
    config.sampling.num_samples = 100
    config.sampling.batch_size = 100

    config.evaluation.batch_size = 100
    config.evaluation.num_examples = 200
    config.evaluation.bits_per_dim.rtol = 1e-4
    config.evaluation.bits_per_dim.atol = 1e-4
    config.evaluation.metrics = ("bits_per_dim", "clips")
    config.evaluation.samples.features = "pixels"
    config.evaluation.samples.num_samples = 500
    return config
