"""Images of one's own, 16 to 64 pixels, of a folder or an array; VP SDE, 1.8 million parameters.

    python main.py --config=configs/small_images.py --config.data.dir=PATH

Images of a folder are cropped and resized to 32x32 or to config.data.image_size. Those of an .npz
or .npy file are taken as they are: small_images.py:arrays in place of small_images.py.

What it costs: 5,000 steps of 32 colour images, measured as processor time on 2 cores of an AMD EPYC
on 2026-11-26 (JAX 0.10.2), which were busy with other work; the hours are half of it, two cores'.

    pixels     a step    5,000 steps on two cores    memory
    16x16       0.6 s    0.5 hours                   1.4 GB
    32x32       2.1 s    1.4 hours                   1.9 GB
    64x64       8.2 s    5.7 hours                   3.7 GB

Compiling takes 45 s of processor time once. The sides of an image must be multiples of 4. Where a
mirror image is as good, add --config.space.pixels.flip=True.
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config(data: str = "folder") -> ConfigDict:
    """The recipe.

    Args:
        data: "folder", whose images are cropped and resized to 32x32 pixels unless
            config.data.image_size says another size; or "arrays", a file with images as they are.
    """
    config = default()
    config.data.name = data
    config.data.image_size = 32 if data == "folder" else 0

    config.sde.name = "vp"

    config.model.parametrization = "v"
    config.model.noise_label = "time"
    config.model.channels = 32
    config.model.channel_mult = (1, 2, 2)
    config.model.num_res_blocks = 2
    config.model.attn_resolutions = tuple(range(8, 16))  # below 64 pixels one level is of these
    config.model.dropout = 0.1

    config.training.batch_size = 32
    config.training.steps = 5_000
    config.objective.stratified = True
    config.training.ema_decays = (0.999,)
    config.training.log_every = 50
    config.training.eval_every = 500
    config.training.sample_every = 500
    config.training.checkpoint_every = 500
    config.optim.learning_rate = 1e-3
    config.optim.warmup = 200
    config.optim.decay = "cosine"

    # 25 evaluations of the network; the reverse SDE needs hundreds.
    config.sampling.sampler = "dpmpp_2m"
    config.sampling.steps = 25
    config.sampling.num_samples = 36
    config.sampling.batch_size = 36

    config.evaluation.batch_size = 64
    config.evaluation.num_examples = 256
    config.evaluation.bits_per_dim.rtol = 1e-4
    config.evaluation.bits_per_dim.atol = 1e-4
    config.evaluation.samples.features = "pixels"
    config.evaluation.samples.num_samples = 256
    return config
