"""Bits/dim of a data set: exact models, every image once, no trace of batches or kills."""

import dataclasses
import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from made_subject import made_source, made_subject, subject_of
from scipy import stats

import score_sde
from score_sde import analytic, fields
from score_sde.errors import UserError
from score_sde.evaluation import per_example
from score_sde.evaluation.journal import Journal
from score_sde.evaluation.metrics.bits_per_dim import BitsPerDim, bits_per_dim
from score_sde.spaces import Vectors

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

# It ends in its prior to 1e-5 nats.
SDE = score_sde.VP(beta_max=50.0)
MEAN, STD, SHAPE = -0.2, 0.5, (2, 2, 1)
EXACT = BitsPerDim(divergence="exact")


class Denoisers:
    """Makes the exact denoiser of N(MEAN, STD^2) as a network's is made; can be made to fail."""

    fail = False

    def __call__(self, params, constants):
        gaussian = analytic.gaussian(SDE, np.full(SHAPE, MEAN), STD)
        return (lambda x, t, cond=None: gaussian(x * jnp.nan, t)) if self.fail else gaussian


def subject(folder, batch_size=4, images=0, levels=17, seed=0, **changes):
    level = np.random.RandomState(images).randint(0, levels, (10, *SHAPE))
    what, said = made_subject(folder, SDE, None, level, levels, batch_size, tiled=True, seed=seed)
    return dataclasses.replace(what, **({"make": Denoisers()} | changes)), level, said


def exact_bits(level, levels, mean=MEAN):
    """-log2 P(k) / D of each image, for the tiles of [-1, 1]."""
    edges = -1 + 2 * np.stack([level, level + 1]) / levels
    alpha, sigma = (float(c(np.float64(SDE.t_min))) for c in (SDE.alpha, SDE.sigma))
    std = math.sqrt((alpha * STD) ** 2 + sigma**2)
    mass = np.diff(stats.norm.cdf(edges, alpha * mean, std), axis=0)[0]
    return -np.log2(mass).reshape(len(level), -1).mean(1)


@pytest.mark.parametrize("levels", [17, 256])
def test_bits_of_an_exact_model(tmp_path, levels):
    """256 levels are so fine that one draw is enough (5e-3); for 17, 30 draws are (1e-2)."""
    what, level, _ = subject(tmp_path, levels=levels, batch_size=300)
    draws = 30 if levels == 17 else 1
    entry = bits_per_dim(what, dataclasses.replace(EXACT, draws=draws, repeats=2))
    expected = exact_bits(level, levels)
    assert abs(entry["value"] - expected.mean()) < (1e-2 if levels == 17 else 5e-3)
    error = expected.std(ddof=1) / math.sqrt(10)
    np.testing.assert_allclose(entry["standard_error"], error, rtol=0.05)
    assert np.mean(entry["of_each_repeat"]) == pytest.approx(entry["value"])
    assert entry["examples"] == 10


def test_more_draws_tighten_the_bound(tmp_path):
    """Wide intervals and one draw: the bound is loose by more than what 30 draws leave."""
    loose, tight = (
        bits_per_dim(
            subject(tmp_path, levels=3, batch_size=300)[0],
            dataclasses.replace(EXACT, draws=draws, repeats=3),
        )["value"]
        for draws in (1, 30)
    )
    exact = exact_bits(subject(tmp_path, levels=3)[1], 3).mean()
    assert abs(tight - exact) < 0.02 < loose - exact


def labelled(what, labels):
    """The same images with labels, 0 or 1, for a model whose mean is -0.6 or 0.6."""
    gaussian, means = analytic.gaussian(SDE, np.zeros(SHAPE), STD), jnp.array([-0.6, 0.6])

    def denoise(x, t, cond):
        shift = means[cond["label"]][:, None, None, None]
        moved = gaussian(x - SDE.alpha(t)[:, None, None, None] * shift, t)
        return moved._replace(x0=moved.x0 + shift)

    arrays = what.source.gather(np.arange(10)) | {"label": labels}
    source = made_source(arrays, [what.source.info["image"], fields.label(2)])
    told = {"source": source, "conditions": ("label",)}
    return dataclasses.replace(what, make=lambda params, constants: denoise, **told)


def test_a_conditional_model_is_told_the_label_of_each_image(tmp_path):
    """5e-3; the labels, by how bright an image is, matter by more than a hundred times as much."""
    what, level, _ = subject(tmp_path, levels=256)
    exact = np.stack([exact_bits(level, 256, mean) for mean in (-0.6, 0.6)])
    labels, rows = (level.mean((1, 2, 3)) > level.mean()).astype(np.int32), np.arange(10)
    assert exact[1 - labels, rows].mean() - exact[labels, rows].mean() > 0.5
    entry = bits_per_dim(labelled(what, labels), EXACT)
    assert abs(entry["value"] - exact[labels, rows].mean()) < 5e-3
    assert entry["protocol"]["conditions"] == ["label"]

    def measure(denoise, space, keys, batch):
        return {"label": batch["label"], "mean": batch["image"].astype(float).mean((1, 2, 3))}

    found = per_example.of_examples(labelled(what, labels), "labels", {}, measure)
    np.testing.assert_array_equal(found["label"], labels)
    images = what.source.gather(rows)["image"]
    np.testing.assert_allclose(found["mean"], images.mean((1, 2, 3)), rtol=1e-6)


def test_numbers_depend_on_neither_batch_size_nor_order(tmp_path):
    """Batches of 3 leave a remainder of 1, which is filled up and not counted twice."""
    small, large = (
        bits_per_dim(subject(tmp_path / str(size), batch_size=size)[0], BitsPerDim(repeats=2))
        for size in (3, 20)
    )
    np.testing.assert_allclose(small["value"], large["value"], rtol=1e-5)
    np.testing.assert_allclose(small["standard_error"], large["standard_error"], rtol=1e-4)
    assert small["protocol"] == large["protocol"]
    assert (small["nfe_mean"], small["nfe_max"]) == (large["nfe_mean"], large["nfe_max"])


def test_a_killed_evaluation_goes_on(tmp_path):
    """After a cut in the second row, one row is kept; nothing is redone, nothing counted twice."""
    what, _, said = subject(tmp_path, batch_size=4)
    whole = bits_per_dim(what, BitsPerDim())
    (journal,) = (tmp_path / "evaluation").iterdir()
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    # With another batch size: the four that are there stay, six remain.
    again, _, said = subject(tmp_path, batch_size=5)
    entry = bits_per_dim(again, BitsPerDim())
    assert entry["value"] == pytest.approx(whole["value"], rel=1e-6)
    assert said[0] == "4 of 10 log-likelihoods are there from before"
    rows = [json.loads(line) for line in journal.read_bytes().splitlines()[1:]]
    indices = [index for row in rows for _, _, index in row["triples"]]
    assert sorted(indices) == list(range(10))
    said.clear()
    assert bits_per_dim(again, BitsPerDim()) == entry
    assert said == ["10 of 10 log-likelihoods are there from before"]


def test_whatever_changes_the_numbers_is_another_journal(tmp_path):
    """Batch size and devices change none; the images, the weights, the seed, every option do."""

    def path(options=EXACT, weights=1.0, **changes):
        what = subject(tmp_path, **changes)[0]
        what.identity["weights_sha256"] = str(weights)
        protocol = options.protocol(what, options.process(SDE))
        return Journal(tmp_path, "bits_per_dim", protocol).path

    assert path() == path(batch_size=5)
    others = {"dequantization": "truncated_normal", "divergence": "hutchinson", "t_min": 1e-2}
    others |= {"probe": "gaussian", "rtol": 1e-3, "atol": 1e-3}
    counts = ("dequantization_steps", "draws", "repeats", "probes", "max_steps")
    others |= dict.fromkeys(counts, 7)
    assert others.keys() == dataclasses.asdict(EXACT).keys()
    paths = [path(dataclasses.replace(EXACT, **{name: value})) for name, value in others.items()]
    paths += [path(), path(seed=1), path(number=9), path(levels=256), path(weights=2.0)]
    paths += [path(images=1)]  # another folder of as many images
    assert len(set(paths)) == len(paths)


def test_the_first_image_alone(tmp_path):
    """It has no standard error."""
    entry = bits_per_dim(subject(tmp_path, number=1)[0], BitsPerDim())
    assert entry["examples"] == 1
    assert entry["standard_error"] is None


def test_t_min_is_an_option(tmp_path):
    assert BitsPerDim(t_min=1e-2).process(SDE) == dataclasses.replace(SDE, t_min=1e-2)
    assert BitsPerDim().process(SDE) is SDE
    with pytest.raises(ValueError, match=r"t_min=2.0: times must satisfy"):
        BitsPerDim(t_min=2.0).prepare(subject(tmp_path)[0])


def test_continuous_data_have_none(tmp_path):
    field = fields.vector(2)
    source = made_source({"vector": np.zeros((3, 2), np.float32)}, [field])
    what, _ = subject_of(tmp_path, SDE, None, Vectors.of(field), source)
    with pytest.raises(ValueError, match=r"it is of discrete data, .*: use log_likelihood"):
        BitsPerDim().prepare(what)


def test_a_solver_that_gives_up_is_one_line(tmp_path):
    broken = Denoisers()
    broken.fail = True
    with pytest.raises(UserError, match=r"^the ODE was not solved") as caught:
        bits_per_dim(subject(tmp_path, make=broken)[0], BitsPerDim())
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "evaluation").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"^cannot write to \S+: .*Give another --workdir$"):
        bits_per_dim(subject(tmp_path)[0], BitsPerDim())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dequantization": "unifrom"}, "did you mean 'uniform'"),
        ({"draws": 0}, "draws=0 must be at least 1"),
        ({"atol": -1.0}, "atol=-1.0 must be above 0"),
        ({"divergence": "trace"}, "unknown divergence 'trace'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        BitsPerDim(**options)
