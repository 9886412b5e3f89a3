"""The real program samples: what it writes, and what it leaves that is there."""

import contextlib
import json
import os
import shlex

import numpy as np
import pytest
from PIL import Image
from program import called, files, refused

from score_sde.runs import held

pytestmark = pytest.mark.slow


def about(path):
    return json.loads(str(np.load(path)["about"]))


def test_sample_writes_images_and_a_picture(finished, small):
    workdir, _ = finished
    arguments = (*small, f"--workdir={workdir}", "--mode=sample", "--num_samples=20", "--overwrite")
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    report = (workdir / "report.html").read_text()
    assert "Drawn last with --mode=sample" in report
    assert "20 samples; step 12, ema 0.995 weights; DPMpp2M, 5 evaluations" in report
    assert "16 of 1,297 train examples of digits" in report  # real ones beside them
    samples = np.load(workdir / "samples.npz")["samples"]
    assert samples.shape == (20, 8, 8, 1)
    assert samples.dtype == np.uint8
    assert Image.open(workdir / "samples.png").size[0] > 100
    assert "5 function evaluations" in result.stdout
    assert called(*arguments, "--weights=raw").returncode == 0
    raw = np.load(workdir / "samples.npz")["samples"]
    assert (raw != samples).any()
    assert called(*arguments, "--config.sampling.seed=1").returncode == 0
    assert (np.load(workdir / "samples.npz")["samples"] != samples).any()


def test_the_command_that_a_run_ends_with_works(finished, tmp_path):
    """As printed: all the rest is the run's own, also how it samples, and flags are on top."""
    command = shlex.split(finished[1].splitlines()[-1].split("Next: python main.py ")[1])
    result = called(*command, "--num_samples=2", f"--out={tmp_path / 'a'}")
    assert result.returncode == 0, result.stderr
    assert "5 function evaluations" in result.stdout  # the recipe has 250
    more = called(*command, "--num_samples=2", "--config.sampling.steps=30", "--overwrite")
    assert "30 function evaluations" in more.stdout, more.stderr


def test_a_recipe_says_how_to_sample_and_the_run_what(finished, tmp_path):
    """What it says of the network is not used, and a note says so; a flag that does is refused."""
    arguments = ("--config=configs/digits_vp.py", f"--workdir={finished[0]}", "--mode=sample")
    more = ("--num_samples=2", "--config.sampling.steps=30", f"--out={tmp_path / 'a'}")
    result = called(*arguments, *more)
    assert result.returncode == 0, result.stderr
    (note,) = [line for line in result.stdout.splitlines() if line.startswith("note: ")]
    assert note == (
        f"note: {finished[0]} was trained with another config, which counts: "
        "config.model.attn_resolutions was [] and is [4]"
    )
    message = refused(*arguments, "--config.model.num_res_blocks=3")
    assert "config.model.num_res_blocks was 1 and is 3" in message


def test_samples_say_what_they_are_and_are_not_overwritten(finished, small, tmp_path):
    """Of the same command there is nothing to do; of another, one line and nothing drawn."""
    arguments = (*small, f"--workdir={finished[0]}", "--mode=sample", f"--out={tmp_path / 'a.npz'}")
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    assert f"Wrote {tmp_path / 'a.npz'} and a.png" in result.stdout
    before = files(tmp_path)
    assert [path.name for path in before] == ["a.npz", "a.png"]
    said = about(tmp_path / "a.npz")
    assert said["sampler"]["name"] == "DPMpp2M"
    assert said["sampler"]["steps"] == said["nfe"] == 5
    assert (said["step"], said["weights"], said["of"], said["shown"]) == (12, "ema 0.995", 16, 16)
    assert (said["run"], said["run_seed"], said["sampling_seed"]) == ("finished", 0, 0)
    assert json.loads(Image.open(tmp_path / "a.png").text["score_sde"]) == said
    again = called(*arguments)
    assert again.returncode == 0
    assert "5 function evaluations an example" in again.stdout
    assert f"{tmp_path / 'a.npz'} holds these samples" in again.stdout
    ignored = called(*arguments, "--config.sampling.rk45.rtol=0.1")
    note, held = ignored.stdout.splitlines()[-2:]
    assert note.startswith("note: ")
    assert "rtol" in note
    assert held.endswith("a.npz holds these samples")
    message = refused(*arguments, "--config.sampling.seed=1")
    assert (
        "a.npz holds other samples (config.sampling.seed: 0 there, 1 asked for): --out=FILE puts"
        in message
    )
    assert "other samples (number of samples: 16 there, 17 asked for)" in refused(
        *arguments, "--num_samples=17"
    )
    assert "goes with --mode=sample" in refused(*small, "--overwrite")
    assert files(tmp_path) == before
    message = refused(*arguments, f"--out={tmp_path / ('x' * 250)}")  # before they are drawn
    assert message.endswith(": File name too long. Give another --out")
    message = refused(*arguments, f"--out={tmp_path / 'a.npz' / 'b'}")
    assert message.startswith(f"error: cannot write to {tmp_path / 'a.npz'}: ")
    assert message.endswith(". Give another --out")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:-30])
    assert "a.png cannot be decoded" in (message := refused(*arguments))
    assert message.endswith(": --overwrite draws it again")
    (tmp_path / "a.png").write_bytes(whole)
    whole = bytearray((tmp_path / "a.npz").read_bytes())
    whole[300] ^= 4  # in the middle of the samples
    (tmp_path / "a.npz").write_bytes(whole)
    assert "a.npz holds what does not say what it is: --out=FILE puts" in refused(*arguments)
    (tmp_path / "a.npz").write_text("thesis")
    assert "a.npz holds what does not say what it is: --out=FILE puts" in refused(*arguments)
    assert called(*arguments, "--overwrite").returncode == 0
    assert about(tmp_path / "a.npz") == said


def test_two_programs_that_draw_into_one_place(finished, tmp_path, monkeypatch):
    """The second is told; and what another has finished meanwhile stays, as it does before."""
    more = ("--mode=sample", "--num_samples=2", f"--out={tmp_path / 'a'}")
    arguments = (f"--workdir={finished[0]}", *more)
    drawing = held.drawing
    with drawing(tmp_path / "a.npz"):
        message = refused(*arguments)
        assert f"a.npz is being drawn by process {os.getpid()} on" in message
        assert message.endswith(": wait for it, stop it, or give another --out")
    assert files(tmp_path) == {}

    @contextlib.contextmanager
    def after_another(arrays, *, of=arguments):
        monkeypatch.setattr(held, "drawing", drawing)
        assert called(*of).returncode == 0
        with drawing(arrays):
            yield

    monkeypatch.setattr(held, "drawing", after_another)
    result = called(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("sampling 2 examples") == 0
    assert "a.npz holds these samples" in result.stdout
    before = files(tmp_path)
    assert [path.name for path in before] == ["a.npz", "a.png"]
    for path in before:
        path.unlink()
    monkeypatch.setattr(held, "drawing", after_another)
    assert "a.npz holds other samples (config.sampling.seed: 0 there, 1 asked for)" in refused(
        *arguments, "--config.sampling.seed=1"
    )
    assert files(tmp_path) == before
