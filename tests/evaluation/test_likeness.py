"""Whether reference statistics are of a run's examples: noted in the protocol, and said."""

import dataclasses

import pytest
from made_model import REAL, REFERENCE, subject, training

from score_sde.data import DataError
from score_sde.evaluation import extractors, likeness, statistics
from score_sde.evaluation.judgement import SampleOptions, prepare
from score_sde.evaluation.metrics.fid import FID
from score_sde.evaluation.reference import save


def made(values=REAL, split="train"):
    """Statistics as the command makes them, but for the moments."""
    about = statistics.protocol(training(values), "image", extractors.pixels)
    return dataclasses.replace(REFERENCE, n=len(values), protocol=about | {"split": split})


def marked(tmp_path, real, **changes):
    what, said = subject(tmp_path, **changes)
    return likeness.marked(real, what).protocol["examples"], said


def test_the_runs_own_examples_are_no_news(tmp_path):
    assert marked(tmp_path, made()) == ("train", [])


@pytest.mark.parametrize(
    ("real", "said"),
    [
        (made(REAL[::-1]), "other values, as another crop or background gives"),
        (made(REAL[:-1]), "n 119, not 120"),
        (made(REAL[:-1], "all"), 'split "all", not "train"; n 119, not 120'),
    ],
)
def test_others_are_said_to_be(tmp_path, real, said):
    found, lines = marked(tmp_path, real)
    assert found == "others"
    assert lines == [
        f"note: the reference statistics are not of this run's examples: {said}. Make them with "
        "python -m score_sde.evaluation.statistics and the run's data options, such as --crop"
    ]


def test_what_nobody_can_say_is_said_too(tmp_path):
    """Files of other projects hold no digest; an imported run has no images."""
    found, (line,) = marked(tmp_path, REFERENCE)
    assert (found, line[-32:]) == ("unknown", "do not say of which examples they are"[-32:])

    def none():
        raise DataError("there are none")

    found, (line,) = marked(tmp_path, made(), training=none)
    assert found == "unknown"
    assert line.endswith("cannot be compared with this run's examples: there are none")


def test_it_stands_in_the_protocol_of_a_metric(tmp_path):
    save(tmp_path / "real.npz", dataclasses.replace(made(REAL[::-1]), cov=REFERENCE.cov))
    options = SampleOptions(num_samples=90, features="pixels", reference=str(tmp_path / "real.npz"))
    entry = prepare(subject(tmp_path)[0], options, {"fid": FID()})()["fid"]
    assert entry["protocol"]["reference"]["examples"] == "others"
