"""Pictures of furniture by their depth, 32x32: a ControlNet beside a run of :pictures.

The shapes of furniture_points, drawn with their colours from several sides. What it draws is
measured by how well the silhouettes agree with the depth that was asked: intersection over union
0.816 +- 0.007 for 256 held-out shapes, after 262 s and 191 s of processor time for the two (JAX
0.10.2, 2026-11-28). Real pictures have 0.993, samples with the depths of other shapes 0.361.

    apt-get install sweethome3d-furniture
    python -m score_sde.data prepare furniture_depth
    python main.py --config=configs/furniture_depth.py:pictures --workdir=runs/furniture_pictures
    python main.py --config=configs/furniture_depth.py --init_from=runs/furniture_pictures
    python main.py --config=configs/furniture_depth.py --mode=evaluate
    python -m score_sde.data info furniture_depth --picture=runs/furniture.png
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config(part: str = "control") -> ConfigDict:
    """The recipe.

    Args:
        part: "pictures", told their names; or "control", what is told the depth beside it.
    """
    config = recipes.get("emoji_text")
    config.data.name = "furniture_depth"
    config.data.field = "image"
    config.data.image_size = 0  # the size that they have
    config.space.pixels.flip = False
    config.model.channels = 32
    config.training.steps = 1_200
    config.guidance.scale = 2.0
    if part == "control":
        config.training.control.field = "depth"
        config.training.steps = 600
        config.optim.learning_rate = 1e-3
        config.optim.warmup = 50
        config.sampling.told_of = "test"
        config.evaluation.metrics = ("silhouettes",)
    return config
