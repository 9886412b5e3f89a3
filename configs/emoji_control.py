"""Emoji by captions and line drawings, 32x32: a ControlNet beside a run of configs/emoji_text.py.

What it gives in the end is not measured yet.

    python main.py --config=configs/emoji_text.py
    python main.py --config=configs/emoji_control.py --init_from=runs/emoji_text
    python -m score_sde.evaluation.retrieval captions emoji --field=sketch --out=drawn.csv
    python main.py --workdir=runs/emoji_control --mode=sample --prompt=drawn.csv
    python -m score_sde.evaluation.lines emoji runs/emoji_control/prompts
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("emoji_text")
    config.training.control.field = "sketch"
    config.training.steps = 1_000
    config.optim.learning_rate = 1e-3
    config.optim.warmup = 50
    return config
