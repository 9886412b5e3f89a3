"""Words by masked diffusion: what is lost where many letters are drawn by one prediction."""

from collections.abc import Mapping, Sequence
from typing import Any

from score_sde.sweep import SAMPLE, Metric, Plot, Point, Program, Study, axis, product

Changes = dict[str, Any]

STEPS = (1, 2, 4, 8, 13, 16, 32)  # a word has 13 places
SAMPLERS: dict[str, Changes] = {
    "ancestral": {"sampling.sampler": "unmasking"},
    "confidence": {"sampling.sampler": "ordered", "sampling.ordered.by": "confidence"},
    "entropy": {"sampling.sampler": "ordered", "sampling.ordered.by": "entropy"},
    "remasking": {"sampling.sampler": "remasking"},
    "first hitting": {"sampling.sampler": "first_hitting"},
}
MEASURE = Program(
    ("{python}", "experiments/unmasking/measure.py", "{run}"), collect="drawn", sections=()
)
# Of the 3,000 words that are held out, by `python -m score_sde.evaluation.ngrams words --end=0`.
HELD_OUT = 21.92
METRICS = [
    Metric("steps taken", "sampling.nfe", 0),
    Metric("% words of the list", "drawn.words", 1),
    Metric("% held-out words", "drawn.held_out", 2),
    Metric("% distinct", "drawn.distinct", 1),
    Metric("bits by 5-grams", "drawn.bits", 2),
]
PLOTS = [
    Plot("words", "steps taken", "% words of the list", along="steps", log_x=True),
    Plot(
        "bits",
        "steps taken",
        "bits by 5-grams",
        along="steps",
        log_x=True,
        levels={"held-out words": HELD_OUT},
    ),
]


def points(samplers: Mapping[str, Changes], steps: Sequence[int]) -> list[Point]:
    """Every sampler with every number of steps."""
    return product(
        axis("sampler", samplers),
        axis("steps", {str(number): {"sampling.steps": number} for number in steps}),
    )


def study() -> Study:
    """One network, 2,000 words of each."""
    return Study(
        title="Words: quality of masked diffusion by steps in parallel",
        note=(
            "The network of configs/words_masked.py. 2,000 words each: the share that stands in "
            "the list (60,540 words), of them those that were held out (3,000), what is no "
            "repetition, and mean bits a word by 5-grams of the training words: the fewer, the "
            "likelier is a word among them (dashed: held-out words). ancestral: letters are drawn "
            "at random times, some in each step; first hitting: as many in each step, at random; "
            "confidence, entropy: as many, where the network is surest of the letter it drew, or "
            "of its distribution; remasking: ancestral, and drawn letters are hidden again."
        ),
        points=points(SAMPLERS, STEPS),
        base={"config": "configs/words_masked.py", "sampling.num_samples": 2000},
        evaluate=[SAMPLE, MEASURE],
        metrics=METRICS,
        plots=PLOTS,
    )


def smoke() -> Study:
    """Two samplers, three numbers of steps, of a network trained for 100 steps."""
    return Study(
        title="Words in small: quality of masked diffusion by steps in parallel",
        note="The network is trained for 100 steps: this shows that the study runs.",
        points=points({name: SAMPLERS[name] for name in ("ancestral", "first hitting")}, STEPS[:3]),
        base={
            "config": "configs/words_masked.py",
            "training.steps": 100,
            "training.eval_every": 0,
            "training.sample_every": 0,
            "training.checkpoint_every": 100,
            "sampling.num_samples": 200,
        },
        evaluate=[SAMPLE, MEASURE],
        metrics=METRICS,
        plots=PLOTS,
    )
