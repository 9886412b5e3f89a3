"""The bound in continuous time: of the exact denoiser of known levels it is their entropy."""

import numpy as np
import pytest
from made_subject import made_source, subject_of

from score_sde import analytic, fields
from score_sde.evaluation.metrics.continuous_bound import ContinuousBound
from score_sde.processes import DDPM, VP
from score_sde.spaces import Pixels

pytestmark = pytest.mark.usefixtures("quick_compile")

P = np.array([0.5, 0.3, 0.2])
N = 600


def subject(folder, sde, weights=P, **options):
    """Of images of one pixel with three levels, in their exact shares, and a model of others."""
    space = Pixels((1, 1, 1), 3, **options)
    levels = np.repeat([0, 128, 255], (P * N).astype(int)).astype(np.uint8)
    field = fields.image((1, 1, 1), 3)
    source = made_source({field.name: levels.reshape(N, 1, 1, 1)}, [field])
    means = np.asarray(Pixels((1, 1, 1), 3).values).reshape(3, 1, 1, 1)
    model = analytic.gaussian_mixture(sde, means, np.zeros(3), weights)
    return subject_of(folder, sde, model, space, source, batch_size=N)[0]


def test_of_the_exact_denoiser_it_is_the_entropy(tmp_path, x64):
    """To four standard errors; prior and decoder cost next to nothing here."""
    entry = ContinuousBound(draws=1024).prepare(subject(tmp_path, VP()))()["continuous_bound"]
    entropy = -(P * np.log2(P)).sum()
    assert abs(entry["value"] - entropy) < 4 * entry["standard_error"]
    assert entry["standard_error"] < 0.03
    assert entry["terms"]["prior"] < 1e-3
    assert entry["terms"]["decoder"] < 1e-9
    assert entry["nfe"] == 1024


def test_of_another_denoiser_it_is_the_cross_entropy(tmp_path, x64):
    """The model of Q has -log Q of each level, and costs KL(P || Q) more."""
    q = np.array([0.2, 0.2, 0.6])
    what = subject(tmp_path, VP(), q)
    entry = ContinuousBound(draws=1024).prepare(what)()["continuous_bound"]
    assert abs(entry["value"] + (P * np.log2(q)).sum()) < 4 * entry["standard_error"]


@pytest.mark.parametrize(
    ("sde", "options", "said"),
    [
        (VP(), {"dequantize": True}, "use bits_per_dim"),
        (DDPM(), {}, "continuous time"),
    ],
)
def test_what_it_is_not_for(sde, options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        ContinuousBound().prepare(subject(tmp_path, sde, **options))
