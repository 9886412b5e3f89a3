"""What is measured of backbones whose shape is known."""

import numpy as np
import pytest
from made_subject import made_source, subject_of

from score_sde import fields
from score_sde.evaluation.metrics.backbones import Backbones, judged
from score_sde.processes import RectifiedFlow
from score_sde.report import facts
from score_sde.spaces import Backbones as Space
from score_sde.structures import chains

FIELD = fields.points(16, 3)


def helix(n=16):
    angle = np.deg2rad(100) * np.arange(n)
    return np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(n)], axis=1)


def strand(n=16):
    return np.stack([3.3 * np.arange(n), 0.95 * (-1.0) ** np.arange(n), np.zeros(n)], axis=1)


def turned(x, seed):
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return x @ (matrix * np.linalg.det(matrix)).T + seed


def test_by_hand():
    """Three helices and a strand; how they are turned and where they lie is nothing to it."""
    x = np.stack([turned(helix(), 1), turned(helix(), 2), helix(), turned(strand(), 3)])
    found = judged(x, np.stack([turned(strand(), 4), strand() + 0.1]))
    values = {name: entry["value"] for name, entry in found.items()}
    assert (values["helix"], values["strand"]) == (0.75, 0.25)
    assert (values["fold_helices"], values["fold_strands"], values["fold_both"]) == (0.75, 0.25, 0)
    assert (values["cis"], values["clashes"]) == (0, 0)
    each = chains.lengths(x).mean(axis=1)
    assert values["bond_length"] == pytest.approx(each.mean())
    assert found["bond_length"]["standard_error"] == pytest.approx(each.std(ddof=1) / 2)
    radii = [np.sqrt(np.mean(np.sum((one - one.mean(0)) ** 2, axis=1))) for one in x]
    assert values["radius"] == pytest.approx(np.mean(radii))
    assert values["nearest"] > 5  # the median is of the helices, and all training is strands
    known = judged(x, np.stack([strand(), turned(helix(), 9)]))
    assert known["nearest"]["value"] < 1e-4
    assert judged(x[[0, 3, 3]], strand()[None])["nearest"]["value"] < 0.01  # the median


def test_neighbours_by_hand():
    """Of six pairs one is cis; the deviation is of all, and the error of the means of chains."""
    lengths = np.array([[3.8, 2.9, 3.9], [3.7, 3.8, 3.7]])
    x = np.zeros((2, 4, 3))
    x[:, 1:, 0] = lengths.cumsum(axis=1)
    found = judged(x, x)
    assert found["cis"]["value"] == pytest.approx(1 / 6)
    assert found["clashes"]["value"] == 0
    assert found["bond_length"]["value"] == pytest.approx(lengths.mean())
    assert found["bond_spread"]["value"] == pytest.approx(lengths.std())
    assert found["cis"]["standard_error"] == pytest.approx(1 / 6)


def subject(folder, field=FIELD, **changes):
    drawn = np.stack([helix(), strand()] * 4).astype(np.float32)

    def draw(batch_size, number, first, on_progress):
        for start in range(first, number, batch_size):
            yield drawn[start : min(start + batch_size, number)], 7

    shape = (6, *field.shape)
    real = np.stack([strand()] * 6).astype(np.float32) if field == FIELD else np.zeros(shape)
    source = made_source({field.name: real}, [field])
    given = {"draw": draw, "training": lambda: source, **changes}
    return subject_of(folder, RectifiedFlow(), None, Space.of(FIELD), source, **given)[0]


def test_entries(tmp_path):
    """Beside those of real examples, with what determines the samples."""
    found = Backbones(num_samples=8, most_real=4).prepare(subject(tmp_path))()
    assert (found["helix"]["value"], found["helix"]["of_real_examples"]["value"]) == (0.5, 0)
    assert found["fold_strands"]["of_real_examples"]["value"] == 1
    assert found["nearest"]["of_real_examples"]["value"] < 1e-4
    units = {name: entry["unit"] for name, entry in found.items()}
    assert (units["nearest"], units["cis"], units["fold_both"]) == (
        *("angstroms", "of neighbours", "of chains"),
    )
    assert facts.of_value(found["radius"]).split("; ")[0].endswith(" angstroms")
    assert (found["cis"]["nfe"], found["cis"]["protocol"]["n"]) == (7, 8)


@pytest.mark.parametrize("field", [fields.points(16, 4), fields.points(3, 3), fields.vector(3)])
def test_only_of_chains(tmp_path, field):
    with pytest.raises(ValueError, match="it is of chains of C-alphas"):
        Backbones().prepare(subject(tmp_path, field))
