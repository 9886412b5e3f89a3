"""`python -m score_sde.data`: one line and exit status 2 for bad input."""

import re
import sys

import pytest

from score_sde.data import words
from score_sde.data.__main__ import main


def test_prepare_then_info(tmp_path, capfd):
    assert main(["prepare", "digits", f"--data_dir={tmp_path}"]) == 0
    out, err = capfd.readouterr()
    assert (out, err) == (f"digits is ready in {tmp_path}\n", "")
    assert main(["info", "digits", f"--data_dir={tmp_path}", "--split=test"]) == 0
    out, err = capfd.readouterr()
    assert (
        "size: 500\nfields:\n  image: kind image, shape (8, 8, 1), dtype uint8, values 17\n" in out
    )
    assert "\n  label: kind label, dtype int32, values 10, names ('0', '1'" in out
    assert err == ""


def test_what_is_read_as_it_is(tmp_path, capfd, monkeypatch):
    """`prepare` looks whether it is there, and says where from; nothing is written."""
    path = tmp_path / "list"
    path.write_text("some\nwords\n")
    assert main(["prepare", "words", f"--data_dir={path}"]) == 0
    monkeypatch.setattr(words, "USUAL", str(path))
    assert main(["prepare", "words"]) == 0
    assert main(["prepare", "moons"]) == 0
    said = "needs no preparation: it is read as it is"
    assert capfd.readouterr() == (f"words {said} from {path}\n" * 2 + f"moons {said}\n", "")
    assert main(["info", "words", f"--data_dir={path}"]) == 0
    out = capfd.readouterr().out
    assert f"\nplace: {path}\n" in out
    assert ", names '\\n', a, b, c, d, ... z\n" in out  # of which one is a line end
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["info", "mnist"], "run `python -m score_sde.data prepare mnist --data_dir="),
        (["info", "cifar11"], "did you mean cifar10"),
        (["prepare", "cifar11"], "did you mean cifar10"),
        (["prepare", "furniture_point"], "did you mean furniture_points, furniture_depth?"),
        (["info", "backbone"], "did you mean backbone64?"),
        (["prepare", "note"], "did you mean notes?"),
        (["prepare", "folder"], "no PNG, JPEG or WebP image"),
        (["prepare", "moons", "--from=x"], "moons is read as it is: leave out source (--from)"),
        (
            ["prepare", "words", "--from=x"],
            "of the path that is data_dir (--data_dir=PATH): leave out",
        ),
        (["prepare", "bach"], "unknown data set 'bach': `python -m score_sde.data prepare --help`"),
        (["prepare", "words"], "apt-get install wamerican"),
        (["prepare", "chorales"], "pip download --no-deps music21"),
        (["info", "folder", "--image_size=x"], "invalid int value"),
        (["fetch", "mnist"], "invalid choice"),
        ([], "required"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, arguments, says, capfd):
    if arguments:
        arguments = [*arguments, f"--data_dir={tmp_path}"]
    try:
        status = main(arguments)
    except SystemExit as exit_:
        status = exit_.code
    out, err = capfd.readouterr()
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_help_names_all_sets_and_what_each_is_made_of(capfd):
    with pytest.raises(SystemExit):
        main(["prepare", "--help"])
    out, _ = capfd.readouterr()
    said = dict(re.findall(r"^  (\w+) {2,}(\S.*)$", out.partition("sets, and what")[2], re.M))
    made = ("notes", "furniture_points", "furniture_depth", "qm9", "backbone64", "speech")
    bundled = ("digits", "digits_video", "moons")
    assert said.keys() >= {*made, *bundled, "words", "chorales", "texts", "sounds", "emoji"}
    assert said["furniture_depth"].startswith("apt-get install sweethome3d-furniture, or --from=")
    assert said["qm9"].startswith("pip install qm9pack, or")
    assert all("install" in said[name] for name in made)
    assert all(said[name].startswith("nothing more") for name in bundled)


def test_missing_tensorflow_is_said_before_any_download(tmp_path, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["prepare", "mnist", f"--data_dir={tmp_path}"]) == 2
    assert 'needs TensorFlow (reading it does not): pip install "score_sde[prepare]"' in (
        capfd.readouterr().err
    )


def test_module_runs_as_a_command(tmp_path, python):
    run = python("-m", "score_sde.data", "info", "cifar10", f"--data_dir={tmp_path}")
    _, err = run.communicate(timeout=60)
    assert run.returncode == 2
    assert err.startswith("error: cifar10 is not prepared in ")
    assert err.count("\n") == 1
