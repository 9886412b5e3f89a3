"""The section `evaluation`: its fields, the metrics that it asks for, and mistakes in it."""

import dataclasses
import typing

import pytest

from score_sde import sections
from score_sde.errors import UserError
from score_sde.evaluation.asked import EvaluationOptions, read, schema
from score_sde.evaluation.judgement import SampleOptions
from score_sde.evaluation.metric import (
    AUTOENCODER,
    CLASSIFIER,
    DENOISER,
    SAMPLES,
    TOKEN_PREDICTOR,
)
from score_sde.evaluation.metrics import METRICS
from score_sde.evaluation.metrics.fid import FID


def section(**changes):
    """The defaults, but for fields by their dotted paths with __ for the dots."""

    def values(entries):
        return {
            name: entry.default if isinstance(entry, sections.Entry) else values(entry)
            for name, entry in entries.items()
        }

    found = values(schema())
    for path, value in changes.items():
        *parts, name = path.split("__")
        at = found
        for part in parts:
            at = at[part]
        assert name in at
        at[name] = value
    return found


def test_what_is_asked_for():
    """Options of the metrics that are named, in their order."""
    asked = read(section(metrics=("fid", "accuracy"), fid__groups=5, seed=3))
    assert list(asked.metrics) == ["fid", "accuracy"]
    assert asked.metrics["fid"] == FID(groups=5)
    assert asked.options == EvaluationOptions(metrics=("fid", "accuracy"), seed=3)
    assert asked.samples == SampleOptions()


def test_every_option_has_a_type_and_a_plain_default():
    """None only where the type says so, as a config's field needs one."""
    for name, entries in schema().items():
        for option, entry in entries.items() if isinstance(entries, dict) else [(name, entries)]:
            assert entry.annotation is not None, (name, option)
            if entry.default is None:
                assert type(None) in typing.get_args(entry.annotation), (name, option)
            else:
                assert isinstance(entry.default, int | float | str | bool | tuple), (name, option)


def test_every_metric_says_what_it_needs():
    for name, cls in METRICS.items():
        assert cls.NEEDS in (DENOISER, CLASSIFIER, AUTOENCODER, TOKEN_PREDICTOR, SAMPLES), name
        assert dataclasses.is_dataclass(cls)
        assert cls.__dataclass_params__.frozen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ("bits",)}, "unknown config.evaluation.metrics 'bits': did you mean 'bits_pe"),
        ({"metrics": ()}, "config.evaluation.metrics is empty: name some of bits_per_dim, log_lik"),
        ({"num_examples": -1}, "config.evaluation.num_examples=-1 must be at least 0"),
        ({"batch_size": 0}, "config.evaluation.batch_size=0 must be at least 1"),
        ({"fid__groups": 1}, "config.evaluation.fid: groups=1 must be at least 2"),
        ({"samples__keep": "png"}, "config.evaluation.samples: unknown keep 'png'"),
        (
            {"bits_per_dim__probes": 0},
            "config.evaluation.bits_per_dim: probes=0 must be at le",
        ),
    ],
)
def test_mistakes_are_named(changes, message):
    """Also in the section of a metric that is not asked for."""
    with pytest.raises(UserError) as info:
        read(section(**changes))
    assert str(info.value).startswith(message)
