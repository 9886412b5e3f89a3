"""Towers learn which text is of which image, and the right ranks follow from their vectors."""

import csv
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import fields, images, parts
from score_sde.evaluation import restored, retrieval, towers
from score_sde.evaluation.metrics.fid import frechet_distance
from score_sde.evaluation.towers import Captions
from score_sde.spaces.pictures import save_png

pytestmark = pytest.mark.slow

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}
PLACES = ["left", "right", "top", "bottom", "middle"]
SMALL = {"widths": (8, 16), "features": 16, "depth": 1, "heads": 2, "rows": 256, "words": 4}


def square(colour, place):
    image = np.full((8, 8, 3), 255, np.uint8)
    rows, columns = {
        "left": (slice(None), slice(0, 3)), "right": (slice(None), slice(5, 8)),
        "top": (slice(0, 3), slice(None)), "bottom": (slice(5, 8), slice(None)),
        "middle": (slice(2, 6), slice(2, 6)),
    }[place]  # fmt: skip
    image[rows, columns] = COLOURS[colour]
    return image


PAIRS = [(f"{colour} {place}", square(colour, place)) for colour in COLOURS for place in PLACES]
TEXTS = [text for text, _ in PAIRS]
IMAGES = np.stack([image for _, image in PAIRS])


def train():
    texts = fields.encode_texts(TEXTS, 16)
    how = {"steps": 200, "batch_size": 20, "learning_rate": 1e-2, "seed": 0, "options": SMALL}
    return towers.train(IMAGES, texts, **how)


@pytest.fixture(scope="module")
def arrays():
    """Of towers that were trained on the pairs."""
    return train()


@pytest.fixture
def trained(arrays, tmp_path):
    """The file of them."""
    parts.save(tmp_path / "towers.safetensors", towers.KIND, SMALL, *arrays)
    return tmp_path / "towers.safetensors"


def test_the_loss_is_the_mean_cross_entropy_of_rows_and_columns():
    """With a caption that occurs twice; equal scores of n different ones give log n."""
    scores = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    texts = jnp.asarray(fields.encode_texts(["a", "b", "a"], 4))
    right = np.array([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]])
    each = [
        -(right * (s - np.log(np.exp(s).sum(1, keepdims=True)))).sum(1) for s in (scores, scores.T)
    ]
    np.testing.assert_allclose(towers.loss(jnp.asarray(scores), texts), np.mean(each), rtol=1e-5)
    different = jnp.asarray(fields.encode_texts(["a", "b", "c"], 4))
    np.testing.assert_allclose(towers.loss(jnp.zeros((3, 3)), different), np.log(3), rtol=1e-6)


def test_ranks_are_places_of_the_right_caption():
    """Of known vectors against all; of some of them, by the seed; ties go against it."""
    pool = Captions([*"abcd"], np.eye(4, dtype=np.float32))
    own = Captions(["b", "z"], np.array([[0, 1, 0, 0], [0, 0, 0, 0.5]], np.float32))
    images = np.array([[0.9, 0.5, 0.1, 0.5], [0.3, 0.1, 0.2, 0.4]], np.float32)
    assert towers.ranks(images, own, pool, 4, 0)[0] == 3
    assert towers.ranks(images[1:], Captions(*(a[1:] for a in own)), pool, 5, 0).tolist() == [4]
    images, own = np.tile(images, (50, 1)), Captions(own.texts * 50, np.tile(own.vectors, (50, 1)))
    some = [towers.ranks(images, own, pool, 2, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(some[0], some[1])
    assert (some[0] != some[2]).any()
    # One other of three, two of which score as well: 2/3 of 50, to 4 standard errors.
    assert abs((some[0][::2] == 2).mean() - 2 / 3) < 4 * np.sqrt(2 / 9 / 50)


def test_pairs_are_learnt_and_shuffled_captions_are_chance(trained, tmp_path):
    """Every picture finds its caption; with those of others, one in five does."""
    network = parts.load(trained)
    pool = retrieval.captions(network, TEXTS)
    found = retrieval.measure(network, IMAGES, TEXTS, pool, 20, 0)
    assert (found["first"], found["mean_rank"], found["n"]) == (1, 1, 20)
    many = np.random.default_rng(0).integers(20, size=(2, 2000))
    others = [TEXTS[i] for i in many[1]]
    found = retrieval.measure(network, IMAGES[many[0]], others, pool, 5, 0)
    assert abs(found["first"] - 0.2) < 4 * found["standard_error"]
    assert found["chance"] == 0.2


def test_training_is_a_function_of_its_arguments(arrays):
    for one, other in zip(arrays, train(), strict=True):
        for name, array in one.items():
            np.testing.assert_array_equal(other[name], array)


def test_the_command_measures_folders_and_files(trained, tmp_path, capsys):
    """Beside the real pictures; the captions are a file of prompts; bad input is one line."""
    named = {
        f"{s}_{n}": a
        for s in ("train", "test")
        for n, a in (("image", IMAGES), ("text", np.array(TEXTS)), ("sketch", IMAGES[..., :1]))
    }
    np.savez(tmp_path / "pairs.npz", **named)
    for i, (text, image) in enumerate(PAIRS):
        said = {"parameters": json.dumps({"prompt": text})}
        save_png(tmp_path / "prompts" / f"{i:06d}.png", image, said)
    np.savez(tmp_path / "samples.npz", samples=IMAGES[::-1], text=fields.encode_texts(TEXTS, 20))
    data = ["arrays", f"--data_dir={tmp_path / 'pairs.npz'}"]
    places = [str(tmp_path / name) for name in ("prompts", "samples.npz")]
    measure = ["measure", *data, str(trained), *places]
    assert retrieval.main([*measure, "--candidates=20"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["first"] for row in rows] == [1, 1, 0]
    assert [row["pictures"] for row in rows] == ["arrays, test", *places]
    assert retrieval.main(["captions", *data, "--number=7", f"--out={tmp_path / 'some.csv'}"]) == 0
    lines = (tmp_path / "some.csv").read_text().splitlines()
    table = list(csv.DictReader(lines))
    assert len({*TEXTS} & {row["prompt"] for row in table}) == len(table) == 7
    assert [row["seed"] for row in table] == [str(i) for i in range(7)]
    drawn = tmp_path / "drawn.csv"
    assert retrieval.main(["captions", *data, "--field=sketch", f"--out={drawn}"]) == 0
    rows = list(csv.DictReader(drawn.read_text().splitlines()))
    assert {row["prompt"] for row in rows} == {*TEXTS}
    for row in rows:
        sketch = np.asarray(images.read(Path(row["sketch"])))
        np.testing.assert_array_equal(sketch, IMAGES[TEXTS.index(row["prompt"]), ..., 0])
    assert retrieval.main(["captions", *data, "--field=sketch", f"--out={drawn}"]) == 2
    capsys.readouterr()
    (tmp_path / "empty").mkdir()
    for wrong, said in (
        ([*measure, "--candidates=21"], "arrays has 20 captions in its split test"),
        (["measure", *data, str(tmp_path / "pairs.npz")], "is not a safetensors file"),
        ([*measure[:4], str(tmp_path / "empty"), "--candidates=20"], "has no picture"),
        (["train", *data, f"--out={trained}"], "exists: give another --out"),
        (["train", *data, "--out=a", "--steps=0"], "--steps must be at least 1"),
    ):
        assert retrieval.main(wrong) == 2
        errors = capsys.readouterr().err.strip().splitlines()
        assert len(errors) == 1
        assert said in errors[0], errors


def test_restored_images_are_measured_beside_what_was_known(trained, tmp_path, capsys):
    """The real images themselves are right in all; darker ones in nothing."""
    real = IMAGES
    about = json.dumps({"asked": {"task": "superres", "factor": 2}})
    rows = {}
    for name, images_ in (("same", real), ("darker", real // 2), ("mirrored", real[:, ::-1])):
        path = tmp_path / f"{name}.npz"
        np.savez(path, samples=images_, image=real, observed=real, about=np.array(about))
        assert restored.main([str(path), str(trained)]) == 0
        rows[name], bicubic = map(json.loads, capsys.readouterr().out.splitlines())
    assert rows["same"]["consistency"] == 0
    assert rows["same"]["psnr"] > 99 > rows["mirrored"]["psnr"]
    assert rows["same"]["frechet"] == pytest.approx(0, abs=1e-2)
    features = [towers.of_images(parts.load(trained), a) for a in (real // 2, real)]
    means, covariances = zip(*((a.mean(0), np.cov(a.T)) for a in features), strict=True)
    distance = frechet_distance(means[0], covariances[0], means[1], covariances[1])
    assert rows["darker"]["frechet"] == pytest.approx(1000 * distance, rel=1e-3)
    flat = np.broadcast_to(real[:, :1, :1], real.shape)
    np.testing.assert_array_equal(restored.bicubic(flat, 2), flat)
    off = restored.means(real // 2, 2) - restored.means(real, 2)
    assert rows["darker"]["consistency"] == round(float(np.sqrt(np.mean(off**2))), 3) > 1
    assert bicubic["images"] == "what was known"
    flat = np.repeat(np.repeat(real[:, ::2, ::2], 2, axis=1), 2, axis=2)
    np.testing.assert_array_equal(restored.means(flat, 2), real[:, ::2, ::2])
    observed, left = real.copy(), real.copy()
    observed[:, :, 4:], left[:, :, :4] = 128, 0
    for task, drawn, consistent in (
        ("inpaint", observed, True),  # another right half
        ("inpaint", left, False),
        ("colorize", real[..., ::-1], True),
        ("colorize", left, False),
    ):
        shown = observed if task == "inpaint" else real
        about = np.array(json.dumps({"asked": {"task": task, "factor": 2}}))
        np.savez(tmp_path / "task.npz", samples=drawn, image=real, observed=shown, about=about)
        assert restored.main([str(tmp_path / "task.npz"), str(trained)]) == 0
        ours, alone = map(json.loads, capsys.readouterr().out.splitlines())
        assert (ours["consistency"] == 0) is consistent, task
        assert alone["consistency"] == 0
    about = np.array(json.dumps({"asked": {"task": "class"}}))
    np.savez(tmp_path / "class.npz", samples=real, about=about)
    about = np.array(json.dumps({"asked": {"task": "superres", "factor": 3}}))
    np.savez(tmp_path / "odd.npz", samples=real, image=real, observed=real, about=about)
    for wrong, said in (
        (str(trained), "is not"),
        (str(tmp_path / "class.npz"), "none of the tasks"),
        (str(tmp_path / "odd.npz"), "its factor, 3, is not that of its images"),
        (str(tmp_path / "no.npz"), "draw some first"),
    ):
        assert restored.main([wrong, str(trained)]) == 2
        assert said in capsys.readouterr().err
