"""evaluation.json, and --mode=evaluate: going on after SIGKILL, and bad input."""

import contextlib
import dataclasses
import errno
import io
import json
import shutil

import numpy as np
import pytest
from made_subject import made_subject
from program import ROOT, SIGKILL, called, run_until
from untrained import untrained_run

import score_sde
from score_sde import analytic, cli
from score_sde.errors import UserError
from score_sde.evaluation.asked import Asked, EvaluationOptions
from score_sde.evaluation.engine import evaluate, read
from score_sde.evaluation.judgement import SampleOptions
from score_sde.evaluation.metrics import METRICS
from score_sde.objectives import CLASSIFIER
from score_sde.report.document import write
from score_sde.runs import config as configs

pytestmark = pytest.mark.slow

QUICK = (
    "--mode=evaluate",
    "--config.evaluation.samples.features=pixels",
    "--config.evaluation.samples.num_samples=16",
    "--config.evaluation.variational_bound.steps=5",
    "--config.evaluation.loss_by_time.points=3",
    "--config.evaluation.num_examples=24",
    "--config.evaluation.batch_size=8",
    "--config.evaluation.bits_per_dim.rtol=1e-3",
    "--config.evaluation.bits_per_dim.atol=1e-3",
)

INPAINT = ["--mode=sample", "--task=inpaint", "--num_samples=1"]

TWO = "--config.evaluation.metrics=('fid','bits_per_dim')"


def subject(folder):
    sde, level = score_sde.VP(), np.random.default_rng(0).integers(0, 17, (10, 2, 2, 1))
    denoise = analytic.gaussian(sde, np.zeros((2, 2, 1)), 0.6)
    return made_subject(folder, sde, denoise, level, 17)[0]


def asked(*metrics, **options):
    """These metrics, with their defaults but for what is quick."""
    quick = {"variational_bound": {"steps": 5}, "loss_by_time": {"points": 3}} | options
    found = {name: METRICS[name](**quick.get(name, {})) for name in metrics}
    return Asked(EvaluationOptions(metrics=metrics), SampleOptions(), found)


def test_the_file_keeps_what_others_measured(tmp_path):
    """Before, and in the meantime: two evaluations of a run side by side, of different metrics."""
    (tmp_path / "evaluation.json").write_text('{"kid": {"value": 1.1}}')

    def another(said):
        (tmp_path / "evaluation.json").write_text('{"kid": {"value": 1.1}, "fid": {"value": 2.2}}')

    what = dataclasses.replace(subject(tmp_path), say=another)
    found = evaluate(what, asked("variational_bound"), True)
    assert found.keys() == {"variational_bound"}
    values = read(tmp_path / "evaluation.json")
    assert values == {"kid": {"value": 1.1}, "fid": {"value": 2.2}, **found}


def test_another_process_writes(tmp_path):
    found = evaluate(subject(tmp_path), asked("loss_by_time", "variational_bound"), False)
    assert list(found) == ["loss_by_time", "variational_bound"]
    assert not (tmp_path / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (("variational_bound", "log_likelihood"), {}, "log_likelihood: it is of continuous data"),
        (("bits_per_dim",), {"bits_per_dim": {"t_min": 2.0}}, "bits_per_dim: t_min=2.0: times mus"),
        (("accuracy",), {}, "metrics: accuracy is of a classifier, and .* holds a denoiser"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(tmp_path, names, options, message):
    with pytest.raises(UserError, match=f"^config.evaluation.{message}"):
        evaluate(subject(tmp_path), asked(*names, **options), True)
    assert not (tmp_path / "evaluation").exists()


@pytest.mark.parametrize("name", ["bits_per_dim", "fid"])
def test_a_classifier_has_no_density_and_no_samples(tmp_path, name):
    what = dataclasses.replace(subject(tmp_path), trains=CLASSIFIER)
    with pytest.raises(UserError, match=f"{name} is of a denoiser, and .* holds a classifier"):
        evaluate(what, asked(name), True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no table of metrics: it is not JSON"),
        ("[]", "it is not a JSON object"),
        ('{"a":' * 2000, "it is nested more than 64 times"),
        ('{"fid": {"value": 9.545, "sha256": "0123456789abcdef"}}', "fid was changed since it was"),
    ],
)
def test_a_file_that_is_no_table_is_found_first(tmp_path, text, message):
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(UserError, match=message):
        evaluate(subject(tmp_path), asked("variational_bound"), True)
    assert not (tmp_path / "evaluation").exists()


def test_a_folder_that_cannot_be_written_is_found_first(tmp_path, monkeypatch):
    """Root can write everywhere, so the system's answer is made up."""

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("score_sde.files._partial", refuse)
    with pytest.raises(UserError, match=r"cannot write to .*: Read-only file system"):
        evaluate(subject(tmp_path), asked("variational_bound"), True)
    assert not any(tmp_path.iterdir())


def test_a_number_that_was_changed_is_not_believed(tmp_path):
    found = evaluate(subject(tmp_path), asked("loss_by_time"), True)
    path = tmp_path / "evaluation.json"
    assert read(path) == json.loads(json.dumps(found))
    text, value = path.read_text(), repr(found["loss_by_time"]["value"])
    assert text.count(value) == 1
    path.write_text(text.replace(value, value[:-1]))
    with pytest.raises(UserError, match="loss_by_time was changed since it was written"):
        read(path)


@pytest.fixture
def arguments(finished, small, tmp_path, monkeypatch):
    """Evaluate a copy of the finished run."""
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path / "cache"))
    shutil.copytree(finished[0], tmp_path / "run")
    return (*small, f"--workdir={tmp_path / 'run'}", *QUICK)


def entries(folder):
    return json.loads((folder / "evaluation.json").read_text())


def test_evaluation_goes_on_after_a_kill(arguments, eight_devices, tmp_path, quick_compile):
    """Killed while it solves ODEs, and of its samples a part is missing, as from a kill before.

    The numbers are those without. The parameters, the step and the data are written down.
    """
    folder = tmp_path / "run"

    def solved():
        rows = folder.glob("evaluation/bits_per_dim-*.jsonl")
        return any(path.read_bytes().count(b"\n") >= 2 for path in rows)

    code, printed = run_until(solved, SIGKILL, *arguments, TWO)
    assert code == -SIGKILL, printed
    assert set(entries(folder)) == {"fid"}
    *_, last = sorted(folder.glob("evaluation/samples-*/*.npz"))
    last.unlink()
    result = called(*arguments, TWO)
    assert result.returncode == 0, result.stderr
    assert "8 of 16 samples are there from before" in result.stdout
    assert "of 24 log-likelihoods are there from before" in result.stdout
    killed = entries(folder)
    for name, entry in killed.items():
        shown = f"{name}: {entry['value']:.4f} +- {entry['standard_error']:.4f}"
        assert shown in result.stdout
        assert f"<td>{entry['value']:.6g}</td>" in (folder / "report.html").read_text()
    shutil.rmtree(folder / "evaluation")
    # Eight devices, another batch size.
    more = "--config.evaluation.batch_size=16"
    cache = f"import os; os.environ['SCORE_SDE_CACHE'] = {str(tmp_path / 'cache')!r}"
    eight_devices.execute(cache, "cache")
    code, printed = eight_devices.run("python", "main.py", *arguments, TWO, more)
    assert code == 0, printed
    for name, whole in entries(folder).items():
        assert whole["value"] == pytest.approx(killed[name]["value"], rel=1e-3), name
        assert whole["protocol"] == killed[name]["protocol"]
    protocol = killed["bits_per_dim"]["protocol"]
    assert protocol["weights"] == "ema 0.995"
    assert protocol["step"] == 12
    assert protocol["levels"] == 17
    assert protocol["data"]["examples"] == 24
    assert killed["fid"]["protocol"]["reference"]["n"] > 1000


def test_every_metric(arguments, tmp_path, quick_compile, capsys):
    """One set of samples for those that judge it; the report takes every entry."""
    names = "kid", "precision_recall", "variational_bound", "loss_by_time"
    folder = tmp_path / "run"
    with contextlib.chdir(ROOT):
        assert cli.main(["main.py", *arguments, f"--config.evaluation.metrics={names}"]) == 0
    found = entries(folder)
    assert set(found) == {"kid", "precision", "recall", "variational_bound", "loss_by_time"}
    printed = capsys.readouterr().out
    for name, entry in found.items():
        assert f"{name}: {entry['value']:.4f} +- {entry['standard_error']:.4f}" in printed
    assert len(list((folder / "evaluation").glob("samples-*"))) == 1
    assert (folder / "evaluation" / "loss_by_time.png").exists()
    write(folder)
    report = (folder / "report.html").read_text()
    assert "variational bound" in report
    assert "loss_by_time by t" in report  # the curve


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.evaluation.metrics=('bits',)", "did you mean 'bits_per_dim'?"),
        ("--config.evaluation.samples.features=inception", "no Inception weights at"),
        ("--config.evaluation.metrics=('bits_per_dim','inception_score')", "gives logits"),
        ("--config.evaluation.samples.keep=file", "did you mean 'files'?"),
        (
            "--config.evaluation.variational_bound.variance=no",
            "variational_bound.variance 'no': did you mean 'small'",
        ),
        ("--config.evaluation.loss_by_time.points=1", "points=1 must be at least 2"),
        ("--config.sampling.sampler=P100", "did you mean 'P1000'?"),
        (
            "--config.evaluation.num_examples=-1",
            "config.evaluation.num_examples=-1 must be at least 0",
        ),
        (
            "--config.evaluation.bits_per_dim.dequantization=normal",
            "unknown config.evaluation.bits_per_dim.dequantization 'normal'",
        ),
        ("--config.evaluation.bits_per_dim.probes=0", "probes=0 must be at least 1"),
        ("--config.evaluation.bits_per_dim.prbes=2", "config.evaluation.bits_per_dim.probes"),
        ("--config.evaluation.bits_per_dim.t_min=3.", "t_min=3.0: times must satisfy"),
        ("--config.evaluation.metrics=('accuracy',)", "accuracy is of a classifier, and"),
        ("--config.evaluation.split=tset", "test"),
        ("--config.training.batch_size=32", "was trained with another config"),
        ("--weights=best", "choose from ema, raw"),
        ("--workdir=nowhere", "no run in"),
        ("--config=configs/digits_classifier.py", "--config is given 2 times"),
    ],
)
def test_bad_input_is_one_line(finished, small, argument, message, monkeypatch, tmp_path):
    """Found before anything is measured."""
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path))
    errors = io.StringIO()
    line = ["main.py", *small, f"--workdir={finished[0]}", *QUICK, TWO, argument]
    with (
        contextlib.chdir(ROOT),
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        assert cli.main(line) == 2, errors.getvalue()
    (only,) = errors.getvalue().splitlines()
    assert only.startswith("error: ")
    assert message in only
    assert not (finished[0] / "evaluation").exists()


def refused(*line):
    """The message of a command that ends with exit code 2."""
    errors = io.StringIO()
    with (
        contextlib.chdir(ROOT),
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        assert cli.main(["main.py", *line]) == 2, errors.getvalue()
    return errors.getvalue()


def test_the_recipe_of_other_images_is_refused(finished, small):
    """Where images are of the same shape nothing else would tell that they are others."""
    _, *rest = small
    recipe = "--config=configs/digits_rgb_vp.py"
    message = refused(recipe, *rest, f"--workdir={finished[0]}", *QUICK, TWO)
    assert message.startswith(f"error: {finished[0]} was trained with another config: ")
    assert message.endswith("config.data.name was digits and is digits_rgb\n")


def test_no_metric_is_a_mistake(finished, small):
    nothing = "--config.evaluation.metrics=()"
    message = refused(*small, f"--workdir={finished[0]}", "--mode=evaluate", nothing)
    assert message.startswith("error: config.evaluation.metrics is empty: name some of bits_per_di")


def test_examples_that_mean_something_else_are_refused(tmp_path):
    """Images in gray, other classes, none: for evaluation, and for what a sampler is told."""
    from PIL import Image

    def folder(name, mode, *classes):
        for number in range(20):
            path = tmp_path / name / classes[number % len(classes)] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (8, 8)).save(path)
        return str(tmp_path / name)

    own = folder("own", "RGB", "cat", "dog")
    fields = {"data.name": "folder", "data.dir": own, "data.image_size": 8}
    fields["conditions.fields"] = ("label",)
    config = configs.default()
    config.model.update(channels=4, channel_mult=(1,), num_res_blocks=1, attn_resolutions=())
    workdir = untrained_run(tmp_path / "run", config, **fields)
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        "from score_sde.runs import config\n"
        "def get_config():\n"
        "    found = config.default()\n"
        f"    for path, value in {fields}.items():\n"
        "        config.set_field(found, path, value)\n"
        "    return found\n"
    )
    wrong = {
        folder("gray", "L", "cat", "dog"): ("image of 8x8x3", "image of 8x8x1"),
        folder("five", "RGB", *"abcde"): ("label of 2 classes", "label of 5 classes"),
        folder("names", "RGB", "cat", "cow"): (
            "label whose class 1 is 'dog'",
            "label whose class 1 is 'cow'",
        ),
    }
    own = (f"--config={recipe}", f"--workdir={workdir}")
    for other, (ours, theirs) in wrong.items():
        for who, asked in ((workdir, ["--mode=evaluate"]), ("the model", INPAINT)):
            message = refused(*own, f"--config.data.dir={other}", *asked)
            assert message == (
                f"error: {who} was trained on {ours}, and the test examples of folder have "
                f"{theirs}\n"
            )
    message = refused(*own, f"--config.data.dir={folder('none', 'RGB', '')}", "--mode=evaluate")
    assert message == "error: folder has no field 'label': did you mean 'image'? it has image\n"
