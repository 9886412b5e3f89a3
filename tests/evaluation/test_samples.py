"""A model's samples: going on after a kill, which set is which, and keeping them."""

import json

import numpy as np
import pytest
from made_model import subject

from score_sde.evaluation import extractors
from score_sde.evaluation.samples import draw, protocol


def features(folder, number, keep="none", **changes):
    """What is drawn, and what was said."""
    what, said = subject(folder, **changes)
    return draw(what, extractors.pixels, number, keep), [line.split(",")[0] for line in said]


def test_drawing_goes_on_after_a_kill(tmp_path):
    """At a part that was not finished, with another batch size: no sample twice, none missing."""
    everything, _ = features(tmp_path, 90)
    (parts,) = (tmp_path / "evaluation").iterdir()
    assert sorted(path.name for path in parts.glob("*.npz")) == [
        f"{start:08d}.npz" for start in (0, 32, 64)
    ]
    (parts / "00000032.npz").unlink()
    (parts / "00000032.npz.1.partial").write_bytes(b"half a file")
    again, said = features(tmp_path, 90, batch_size=25)
    assert said[0] == "32 of 90 samples are there from before"
    assert said[1:] == ["90/90 samples"]
    np.testing.assert_array_equal(again.features, everything.features)
    assert again.nfe == 30
    again, said = features(tmp_path, 90)
    assert said == ["90 of 90 samples are there from before"]
    np.testing.assert_array_equal(again.features, everything.features)


def test_a_larger_set_begins_with_the_smaller_one(tmp_path):
    """Going from 40 samples to 90 draws 50, and going back none; samples that are kept too."""
    smaller, first = features(tmp_path, 40, "npz")
    larger, then = features(tmp_path, 90, "npz")
    assert first == ["40/40 samples"]
    assert then == ["40 of 90 samples are there from before", "90/90 samples"]
    whole, _ = features(tmp_path / "other", 90, "npz")
    np.testing.assert_array_equal(larger.features, whole.features)
    again, said = features(tmp_path, 40, "npz")
    assert said == ["40 of 40 samples are there from before"]
    for drawn, number in ((smaller, 40), (larger, 90), (again, 40)):
        np.testing.assert_array_equal(drawn.features, larger.features[:number])
        with np.load(drawn.kept) as file:
            assert len(file["samples"]) == number


def test_a_coupled_set_is_its_own(tmp_path):
    """The batches of another number are others, and so are their samples."""
    for number in (40, 90):
        _, said = features(tmp_path, number, coupling="it averages")
        assert not any("before" in line for line in said)


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def put_other_arrays(path):
    np.savez(path, x=np.zeros(3))


def change_a_number(path):
    with np.load(path) as part:
        arrays = dict(part)
    arrays["features"][0] += 0.5
    np.savez(path, **arrays)


def take_the_one_before(path):
    path.write_bytes((path.parent / "00000000.npz").read_bytes())


@pytest.mark.parametrize(
    ("damage", "start"),
    [(cut, 0), (put_other_arrays, 0), (change_a_number, 32), (take_the_one_before, 32)],
)
def test_a_damaged_part_is_set_aside_and_drawn_again(tmp_path, damage, start):
    whole, _ = features(tmp_path, 70)
    (path,) = (tmp_path / "evaluation").glob(f"*/{start:08d}.npz")
    damage(path)
    damaged = path.read_bytes()
    again, said = features(tmp_path, 70)
    assert said[0].startswith(f"warning: {path} is damaged (")
    there = [f"{start} of 70 samples are there from before"] * (start > 0)
    assert said[1:] == [*there, "70/70 samples"]
    np.testing.assert_array_equal(again.features, whole.features)
    assert path.with_name(path.name + ".damaged").read_bytes() == damaged
    assert features(tmp_path, 70)[1] == ["70 of 70 samples are there from before"]


def test_whatever_changes_the_samples_is_another_set(tmp_path):
    """And a batch size changes them where the sampler couples a batch."""

    def text(extractor=extractors.pixels, number=90, **changes):
        return json.dumps(protocol(subject(tmp_path, **changes)[0], extractor, number))

    coupled = {"coupling": "it averages the norms of a batch"}
    assert text() == text(batch_size=5)
    assert "it averages the norms of a batch; batch_size 32" in text(**coupled)
    found = [
        text(),
        text(number=10),
        text(sampling_seed=1),
        text(conditions=("label",)),
        text(identity={"step": 8}),
        text(extractor=np.mean),
        text(**coupled),
        text(batch_size=5, **coupled),
    ]
    assert len(set(found)) == len(found)


def test_another_seed_is_another_set(tmp_path):
    one, other = (features(tmp_path, 10, sampling_seed=seed)[0] for seed in (0, 1))
    assert (one.features != other.features).any()


def test_samples_are_kept(tmp_path):
    """In one file, or in a file each as the space saves them."""
    from PIL import Image

    drawn, _ = features(tmp_path, 10, "npz", batch_size=4)
    with np.load(drawn.kept) as file:
        samples, about = file["samples"], json.loads(str(file["about"]))
    assert about["sampling_seed"] == 0
    assert (about["n"], about["nfe"]) == (10, 30)
    np.testing.assert_allclose(samples.reshape(10, 4) / 255, drawn.features, atol=1e-6)
    drawn, _ = features(tmp_path, 10, "files", batch_size=4)
    assert len(list(drawn.kept.iterdir())) == 10
    assert json.loads(drawn.kept.with_name(drawn.kept.name + ".json").read_text()) == about
    for number, image in enumerate(samples):
        png = np.asarray(Image.open(drawn.kept / f"{number:06d}.png"))
        np.testing.assert_array_equal(png, image[..., 0])
