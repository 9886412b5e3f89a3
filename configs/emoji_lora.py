"""Emoji by captions in another style, 32x32: low-rank factors on a run of configs/emoji_text.py.

Measured on one core of an Intel Xeon on 2026-11-27 (JAX 0.10.2, Python 3.11), beside other work:
600 steps in 20 minutes. The classifier takes 90.4 % of the 386 pictures for Noto's, of the run that
it began from 11.7 %. Of these pictures the right caption is the first of 50 for 0.168 +- 0.019, of
Noto's own held-out ones for 0.217 +- 0.022, by towers that evaluation.retrieval trained on both
styles (--data_dir=styles) and measured in this one (--data_dir=styles --only=style=noto).

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
