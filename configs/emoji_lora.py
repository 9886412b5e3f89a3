"""Emoji by captions in another style, 32x32: low-rank factors on a run of configs/emoji_text.py.

What it gives in the end is not measured yet.

    npm pack @iconify-json/noto
    python -m score_sde.data prepare emoji --data_dir=styles --styles=iconify-json-noto-1.2.9.tgz
    python main.py --config=configs/emoji_text.py
    python main.py --config=configs/emoji_lora.py --init_from=runs/emoji_text
    python main.py --workdir=runs/emoji_lora --mode=sample --prompt=held_out.csv
    python main.py --config=configs/emoji_styles.py
    python -m score_sde.evaluation.classified runs/emoji_styles runs/emoji_lora/prompts
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config(style: str = "noto") -> ConfigDict:
    """The recipe.

    Args:
        style: which of the data set's.
    """
    config = recipes.get("emoji_text")
    config.data.dir = "styles"
    config.data.only = (f"style={style}",)
    config.training.lora.rank = 8
    config.training.steps = 600
    config.optim.warmup = 50
    return config
