"""Runs that a run teaches: students take steps, are sampled as they were taught, keep pairs."""

import json
import shutil

import numpy as np
import pytest
from program import called
from untrained import untrained_run

import score_sde
from score_sde.errors import UserError
from score_sde.runs import config as configs
from score_sde.runs import pairs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

FIELDS = {
    "data.name": "gaussians",
    "space.name": "vectors",
    "space.vectors.standardise": False,
    "model.channels": 16,
    "model.depth": 1,
    "training.ema_decays": (0.9,),
    "training.batch_size": 8,
    "training.steps": 2,
    "training.steps_per_call": 1,
    "training.log_every": 1,
    "training.checkpoint_every": 1,
    "training.eval_every": 0,
    "training.sample_every": 0,
    "sampling.sampler": "ddim",
    "sampling.steps": 4,
    "sampling.num_samples": 4,
    "sampling.batch_size": 4,
}
FOUR, TWO = ({"objective.progressive.steps": steps} for steps in (4, 2))
TOLD = {"conditions.fields": ("label",), "conditions.label.dropout": 0.1}


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """Folders of runs without training: told the class, and told nothing."""
    top = tmp_path_factory.mktemp("teachers")
    return {
        name: untrained_run(top / name, configs.default("mlp"), **FIELDS, **fields)
        for name, fields in (("told", TOLD), ("plain", {}))
    }


def student(teacher, workdir, objective, **fields):
    """Train one with two steps."""
    of = f"objective.{objective}"
    changes = {**FIELDS, "objective.name": objective, f"{of}.teacher": str(teacher), **fields}
    return score_sde.train(config=configs.default("mlp"), workdir=workdir, changes=changes)


@pytest.fixture(scope="module")
def chain(teachers, tmp_path_factory):
    """The folder of a student of four steps, and the run of its own student, of two."""
    top = tmp_path_factory.mktemp("chain")
    four = student(teachers["plain"], top / "four", "progressive", **FOUR).workdir
    return four, student(four, top / "two", "progressive", **TWO)


def test_a_student_of_guidance_is_told_the_scale_where_it_is_sampled(teachers, tmp_path):
    """One evaluation a step, and other samples for another scale; other models refuse the rule."""
    of = {"objective.name": "guidance_distillation"}
    of["objective.guidance_distillation.teacher"] = str(teachers["told"])
    run = untrained_run(tmp_path / "run", configs.default("mlp"), **FIELDS, **TOLD, **of)
    drawn = {}
    for scale in (1, 3):
        guided = ("--config.guidance.name=distilled", f"--config.guidance.scale={scale}")
        result = called(f"--workdir={run}", "--mode=sample", "--overwrite", *guided)
        assert result.returncode == 0, result.stderr
        with np.load(run / "samples.npz") as arrays:
            assert json.loads(str(arrays["about"]))["nfe"] == 4
            drawn[scale] = arrays["samples"]
    assert np.abs(drawn[3] - drawn[1]).max() > 1e-3
    result = called(f"--workdir={teachers['told']}", "--mode=sample", *guided)
    assert result.returncode == 2
    assert "this model was not taught to be told a scale: use config.guidance.name" in result.stderr


def test_a_student_of_guidance_takes_steps(teachers, tmp_path):
    """Of a teacher that is told something, and of no other."""
    assert student(teachers["told"], tmp_path / "run", "guidance_distillation", **TOLD).step == 2
    with pytest.raises(UserError, match="it is told no condition to be guided to"):
        student(teachers["plain"], tmp_path / "no", "guidance_distillation", **TOLD)


def test_students_teach_those_of_half_their_steps(chain, tmp_path):
    """A chain of two; who has no more steps, is of another process or told nothing is refused."""
    four, two = chain
    assert two.step == 2
    with pytest.raises(UserError, match=r"progressive.teacher=.*four: it is a student of steps=4"):
        student(four, tmp_path / "no", "progressive", **{"objective.progressive.steps": 1})
    with pytest.raises(UserError, match=r"progressive.teacher=.* is of the process VP"):
        student(four, tmp_path / "no", "progressive", **TWO, **{"sde.name": "ve"})
    assert not (tmp_path / "no").exists()


def test_a_run_goes_on_with_the_weights_that_it_began_to_learn_from(teachers, chain, tmp_path):
    """The teacher has trained on since; another run in its place is refused."""
    teacher, run = chain
    began = json.loads((run.workdir / "config.json").read_text())["run"]["teacher"]
    assert began["step"] == 2
    aside = teacher.rename(tmp_path / "aside")
    student(teachers["plain"], teacher, "progressive", **FOUR, seed=1)
    with pytest.raises(UserError, match=r"teacher=.*four has other weights at step 2 than when"):
        score_sde.train(workdir=run.workdir, steps=3)
    shutil.rmtree(teacher)
    aside.rename(teacher)
    assert score_sde.train(workdir=teacher, steps=3).step == 3
    assert score_sde.train(workdir=run.workdir, steps=3).step == 3
    assert json.loads((run.workdir / "config.json").read_text())["run"]["teacher"] == began


def test_a_run_goes_on_with_the_pairs_that_it_keeps(teachers, tmp_path):
    """Without its teacher; and they are not of models that are told something."""
    kept = {"objective.flow_matching.pairs": 40, "sde.name": "rectified_flow"}
    run = student(teachers["plain"], tmp_path / "run", "flow_matching", **kept)
    found = pairs.read(run.workdir, 40, run.space.shape)
    gone = teachers["plain"].rename(tmp_path / "gone")
    again = score_sde.train(workdir=run.workdir, steps=3)
    assert again.step == 3
    np.testing.assert_array_equal(pairs.read(run.workdir, 40, run.space.shape).eps, found.eps)
    gone.rename(teachers["plain"])
    with pytest.raises(UserError, match="pairs=40: pairs that are kept are of no condition"):
        student(teachers["told"], tmp_path / "no", "flow_matching", **kept, **TOLD)
