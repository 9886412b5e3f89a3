"""The network of LLaDA 8B (Nie et al. 2025, arXiv 2502.09992), of 8,015,581,184 parameters.

It reads no time, 4,096 tokens at once, and is drawn from in blocks of the surest first. Nothing of
it was trained here: this is text_masked.py at its size, with the options that split it over devices
(docs/scaling.md).

    python -m score_sde.data prepare texts --texts=FOLDER --tokenizer=tokenizer.json \
        --length=4096 --data_dir=data/texts
    python main.py --config=configs/llada_8b.py --config.data.dir=data/texts

Released weights, a folder with the same tokenizer.json, become a run by --mode=import
--checkpoint=LLaDA-8B-Base --workdir=runs/llada --config.model.dtype=bfloat16; that draws texts, and
with --init_from=runs/llada the second command begins with them.
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("token_transformer")
    config.data.name = "encoded"
    config.space.name = "tokens"
    config.sde.name = "masked"
    config.objective.name = "masked"

    config.model.rows = 126_464
    config.model.channels = 4096
    config.model.depth = 32
    config.model.heads = 32
    config.model.mlp_ratio = 4.5  # SwiGLU of 12,288
    config.model.norm_eps = 1e-5
    config.model.rope_base = 500_000.0
    config.model.dtype = "bfloat16"
    config.model.remat = True

    config.training.batch_size = 1280
    config.training.steps = 440_000  # 2.3T tokens
    config.training.sample_every = 0
    config.optim.learning_rate = 4e-4
    config.optim.warmup = 2000

    config.sampling.sampler = "blocks"
    config.sampling.blocks.block = 32
    config.sampling.steps = 1024
    config.sampling.temperature = 0.0

    config.evaluation.metrics = ("token_bound",)
    config.evaluation.token_bound.draws = 128
    return config
