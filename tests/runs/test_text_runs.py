"""A run that is trained on the captions of its data, and asked for pictures of prompts."""

import itertools
import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image
from program import called

import score_sde
from score_sde import fields, images
from score_sde.cli import prompts
from score_sde.errors import UserError
from score_sde.fields import ABOUT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "deep blue": (0, 0, 99)}
SMALL = (
    "--config=configs/small_images.py:arrays",
    "--config.conditions.fields=('text',)",
    "--config.conditions.text.dropout=0.1",
    "--config.conditions.text.features=8",
    "--config.conditions.text.depth=1",
    "--config.conditions.text.words=5",
    "--config.conditions.text.rows=64",
    "--config.model.channels=4",
    "--config.model.channel_mult=(1,)",
    "--config.model.num_res_blocks=1",
    "--config.model.attn_resolutions=(8,)",
    "--config.model.init_scale=1.0",  # else a young network says nothing
    "--config.optim.warmup=0",
    "--config.training.batch_size=8",
    "--config.training.log_every=2",
    "--config.training.checkpoint_every=4",
    "--config.training.sample_every=0",
    "--config.training.eval_every=4",
    "--config.sampling.steps=25",
    "--config.guidance.scale=2.0",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a few steps."""
    top = tmp_path_factory.mktemp("text")
    texts = np.array([f"{name} square" for name in COLOURS] * 8)
    colours = np.array([*COLOURS.values()] * 8, np.uint8)
    squares = np.broadcast_to(colours[:, None, None], (24, 8, 8, 3))
    halves = np.where(np.arange(8)[:, None, None] < 4, 255, 1).astype(np.uint8)
    sketches = np.broadcast_to(halves, (24, 8, 8, 1))
    arrays = {"image": squares, "sketch": sketches, "text": texts}
    named = {f"{split}_{n}": a for split in ("train", "test") for n, a in arrays.items()}
    np.savez(top / "squares.npz", **named)
    command = (*SMALL, f"--config.data.dir={top / 'squares.npz'}", f"--workdir={top / 'run'}")
    result = called(*command, "--config.training.steps=4", "--config.optim.decay=constant")
    assert result.returncode == 0, result.stderr
    shutil.move(top / "squares.npz", top / "elsewhere.npz")  # the folder is all that is needed
    return top / "run", top / "elsewhere.npz"


class Killed(BaseException):
    """What nothing answers."""


def test_prompts_are_drawn_by_the_program(trained, eight_devices, tmp_path, monkeypatch):
    """A PNG each, which says what it is of; not changed by what stands beside it, nor where.

    A program that was killed as soon as it had written a picture goes on.
    """
    folder, _ = trained
    asked = (f"--workdir={folder}", "--mode=sample", "--prompt=red square", "--num_samples=2")
    result = called(*asked, "--prompt=a blue sky", f"--out={tmp_path / 'four'}")
    assert result.returncode == 0, result.stderr
    assert "50 function evaluations a picture" in result.stdout  # guided
    one_by_one = (*asked, "--config.sampling.batch_size=1", f"--out={tmp_path / 'two'}")
    write = prompts._write

    def killed(*arguments):
        write(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(prompts, "_write", killed)
        with pytest.raises(Killed):
            called(*one_by_one)
    first = tmp_path / "two/000000.png"
    before = first.stat().st_mtime_ns
    for there, more in ((1, True), (2, False)):
        result = called(*one_by_one)
        assert result.returncode == 0, result.stderr
        assert f"{there} of 2 pictures are there already, in {first.parent}" in result.stdout
        assert ("drawing 1 picture of" in result.stdout) == ("two.png" in result.stdout) == more
        assert first.stat().st_mtime_ns == before
    for other, named in (("steps=24", "steps"), ("tile=8", "settings")):
        result = called(*one_by_one, f"--config.sampling.{other}")
        assert result.returncode == 2
        assert f"000000.png exists, drawn with other {named}: give another" in result.stderr
    more = ("--num_samples=4", "--config.sampling.fsdp=2", f"--out={tmp_path / 'eight'}")
    asked = [word for word in asked if "num_samples" not in word]
    code, printed = eight_devices.run("python", "main.py", *asked, "--prompt=a blue sky", *more)
    assert code == 0, printed
    assert "8 x cpu (mesh: data 4, fsdp 2, tensor 1)" in printed
    for i, folder in itertools.product(range(2), ("two", "eight")):
        names = (tmp_path / n / f"{i:06d}.png" for n in ("four", folder))
        one, other = (np.asarray(images.read(name), int) for name in names)
        assert np.abs(one - other).max() <= 1
    assert b"a blue sky" in (tmp_path / "four/000002.png").read_bytes()


SPLIT = """
import unittest.mock
import numpy as np, score_sde
from score_sde.models import placing
with unittest.mock.patch.object(placing, "SMALLEST_SPLIT", 128):  # the network is small
    run = score_sde.load(FOLDER, fsdp=4)
large = {n: a for n, a in run.params.items() if a.size >= 128 and any(s % 4 == 0 for s in a.shape)}
assert len(large) > 5
for array in large.values():
    assert len({str(s.index) for s in array.addressable_shards}) == 4
    assert array.addressable_shards[0].data.nbytes * 4 == array.nbytes
found = run.generate(["red square"] * 8, steps=1, guidance=2.0)
assert len({str(s.index) for s in found.x.addressable_shards}) == 8
np.save(OUT, found.x)
"""


def test_a_run_is_split_over_devices(trained, eight_devices, tmp_path):
    """No device has more than its share of a large array; the pictures are the same."""
    folder, out = str(trained[0]), tmp_path / "x.npy"
    expected = score_sde.load(folder).generate(["red square"] * 8, steps=1, guidance=2.0)
    code = SPLIT.replace("FOLDER", repr(folder)).replace("OUT", repr(str(out)))
    eight_devices.execute(code, "split")
    np.testing.assert_allclose(np.load(out), expected.x, atol=2e-5)
    with pytest.raises(UserError, match=r"sampling.fsdp=3 must divide the number of devices, 1"):
        score_sde.load(folder, fsdp=3)


def test_a_script_draws_what_its_prompts_say(trained):
    """The field itself is what the network is told; "" leads away, if nothing else is said."""
    opened = score_sde.load(trained[0])
    told = opened.text(["Red square", ""])
    np.testing.assert_array_equal(told["text"], fields.encode_texts(["Red square", ""], 16))
    key, prompt = jax.random.key(3), ["red square", "green square"]
    found = opened.generate(prompt, guidance=3.0, steps=2, key=key)
    assert found.images.shape == (2, 8, 8, 3)
    assert found.nfe == 4
    named = opened.generate(prompt, "", guidance=3.0, steps=2, key=key)
    np.testing.assert_array_equal(named.images, found.images)
    away = opened.generate(prompt, "deep blue", guidance=3.0, steps=2, key=key)
    assert np.abs(away.x - found.x).max() > 1e-6
    never = opened.generate(prompt, guidance=3.0, interval=(0.0, 0.0), steps=2, key=key)
    alone = opened.generate(prompt, guidance=1.0, steps=2, key=key)
    np.testing.assert_allclose(never.x, alone.x, atol=1e-5)


@pytest.fixture(scope="module")
def controlled(trained, tmp_path_factory):
    """A ControlNet of four steps beside it, which was interrupted in their middle."""
    workdir = tmp_path_factory.mktemp("control") / "run"
    own = [word for word in SMALL if "eval_every" not in word]  # the loss itself is the same
    command = (*own, f"--config.data.dir={trained[1]}", f"--workdir={workdir}")
    command += ("--config.training.control.field=sketch", "--config.training.ema_decays=(0.5,)")
    command += ("--config.optim.decay=constant", "--config.training.eval_every=0")
    for steps in (2, 4):
        begin = [f"--init_from={trained[0]}"] if steps == 2 else []
        result = called(*command, f"--config.training.steps={steps}", *begin)
        assert result.returncode == 0, result.stderr
    assert "going on from step 2" in result.stdout
    return workdir


def test_a_controlnet_is_trained_beside_a_run_whose_weights_stay(trained, controlled, tmp_path):
    """And steers by the image of a file, for all prompts or by a column of theirs."""
    base, steered = score_sde.load(trained[0]), score_sde.load(controlled)
    for path, array in (base.params | base.constants).items():
        np.testing.assert_array_equal(steered.constants[path], array)
    assert {path.partition("/")[0] for path in steered.params} == {"control"}
    key, prompt = jax.random.key(3), ["red square", "green square"]
    plain, without = (one.generate(prompt, steps=2, key=key) for one in (base, steered))
    np.testing.assert_allclose(without.x, plain.x, atol=1e-5)
    sketch = np.full((8, 8, 1), 255, np.uint8)
    found = steered.generate(prompt, steps=2, key=key, conditions={"sketch": sketch})
    assert np.abs(found.x - plain.x).max(axis=(1, 2, 3)).min() > 1e-5
    Image.fromarray(sketch[..., 0]).save(tmp_path / "white.png")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "black.png")
    rows = [
        ("prompt", "sketch"),
        *(("red square", f"{tmp_path}/{n}.png") for n in ("white", "black")),
    ]
    (tmp_path / "asked.csv").write_text("".join(f"{','.join(row)}\n" for row in rows))
    drawn = {}
    for workdir, name in ((controlled, "steered"), (trained[0], "plain")):
        prompts = str(tmp_path / "asked.csv") if name == "steered" else "red square"
        result = called(
            f"--workdir={workdir}", "--mode=sample", f"--prompt={prompts}",
            "--config.sampling.steps=2", f"--out={tmp_path / name}",
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        paths = sorted((tmp_path / name).glob("*.png"))
        drawn[name] = [np.asarray(images.read(path), int) for path in paths]
    assert b"white.png" in (tmp_path / "steered/000000.png").read_bytes()
    assert np.abs(drawn["steered"][1] - drawn["plain"][0]).max() <= 1
    with pytest.raises(UserError, match=r"sketch is \(8, 8, 3\): give \(8, 8, 1\)"):
        steered.generate("red", conditions={"sketch": np.zeros((8, 8, 3), np.uint8)})
    with pytest.raises(UserError, match="text is none of what this model is told beside texts"):
        steered.generate("red", conditions={"text": "red"})


def test_what_cannot_steer_is_one_line(trained, controlled, tmp_path):
    train = (*SMALL, f"--config.data.dir={trained[1]}", f"--workdir={tmp_path / 'new'}")
    option, begin = "--config.training.control.field=", f"--init_from={trained[0]}"
    sample = (f"--workdir={controlled}", "--mode=sample", "--prompt=red")
    for command, said in (
        ([*train, f"{option}sketch"], "adapts the weights of a run: give its folder as"),
        ([*train, f"{option}image", begin], "an image of the data beside the one that is drawn"),
        ([*train, f"{option}text", begin], "an image of the data beside the one that is drawn"),
        ([*train, f"{option}sketsch", begin], "sketsch"),
        (
            [*train, f"{option}sketch", begin, "--config.training.lora.rank=2"],
            "config.training.lora.rank=2 and config.training.control.field=sketch: train one",
        ),
        ([*sample, "--condition=sketch=none.png"], "none.png"),
        ([*sample, "--condition=sketsch=none.png"], "this model is told text, sketch"),
    ):
        result = called(*command)
        assert result.returncode == 2
        assert said in result.stderr, result.stderr
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


# The program evaluates, and no device has more than its share of a large array.
EVALUATED = """
import unittest.mock
from score_sde import cli
from score_sde.runs import evaluate
from score_sde.models import placing
subject, found = evaluate.subject, []
def made(*arguments):
    found.append(subject(*arguments))
    return found[0]
with (
    unittest.mock.patch.object(placing, "SMALLEST_SPLIT", 128),
    unittest.mock.patch.object(evaluate, "subject", made),
):
    assert cli.main(["main.py", *ARGUMENTS]) == 0
split = [a for a in found[0].weights[0].values() if not a.is_fully_replicated]
assert len(split) > 5, len(split)
assert all(a.addressable_shards[0].data.nbytes * 4 == a.nbytes for a in split)
"""


def test_without_a_prompt_captions_are_the_data_s(trained, eight_devices, tmp_path):
    """And --condition=text= is one for all; the file says which. Evaluation borrows them too.

    It is the same where the arrays are split over devices.
    """
    folder, data = trained
    asked = (f"--workdir={folder}", "--mode=sample", "--num_samples=4", "--config.sampling.steps=2")
    where = f"--config.data.dir={data}"
    result = called(*asked, where, f"--out={tmp_path / 'some'}")
    assert result.returncode == 0, result.stderr
    result = called(*asked, "--condition=text=green square", f"--out={tmp_path / 'green'}")
    assert result.returncode == 0, result.stderr
    found = {}
    for name in ("some", "green"):
        with np.load(tmp_path / f"{name}.npz") as arrays:
            found[name] = fields.decode_texts(arrays["text"])
            assert json.loads(str(arrays[ABOUT]))["nfe"] == 4
    assert {text.removesuffix(" square") for text in found["some"]} <= COLOURS.keys()
    assert found["green"] == ["green square"] * 4
    measured = called(
        f"--workdir={folder}", "--mode=evaluate", where, "--config.evaluation.batch_size=8",
        "--config.evaluation.metrics=('loss_by_time',)", "--config.evaluation.num_examples=8",
    )  # fmt: skip
    assert measured.returncode == 0, measured.stderr
    again = shutil.copytree(folder, tmp_path / "again", ignore=lambda *_: ["evaluation.json"])
    asked = [f"--workdir={again}", *measured.args[1:], "--config.sampling.fsdp=4"]
    eight_devices.execute(EVALUATED.replace("ARGUMENTS", repr(asked)), "evaluated")
    curves = (json.loads((one / "evaluation.json").read_text()) for one in (folder, again))
    one, split = (curve["loss_by_time"]["curve"]["loss"] for curve in curves)
    np.testing.assert_allclose(split, one, rtol=1e-4)


def test_what_cannot_be_told_is_refused(trained):
    """One line each: too many bytes, too many words, another size, more prompts than there are."""
    folder, _ = trained
    for more, said in (
        (["--prompt=a square that is red"], "has 20 bytes: a text can have 16 here"),
        (["--prompt=a b c d e f"], "has 6 words and signs: this model reads 5"),
        (["--prompt=red", "--height=16"], "x is (1, 16, 8, 3)"),
        (["--condition=text=a square that is red"], "a text can have 16 here"),
    ):
        result = called(f"--workdir={folder}", "--mode=sample", *more)
        assert result.returncode == 2
        assert said in result.stderr, result.stderr
        assert result.stderr.count("\n") == 1
    with pytest.raises(UserError, match="2 prompts, and 1 encoders"):
        score_sde.load(folder).text(["a"], ["b"])
