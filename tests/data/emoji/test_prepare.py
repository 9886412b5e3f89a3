"""The command `prepare emoji`, of few emoji: what it says, and what bad input gets."""

import dataclasses
import errno
import importlib.util

import pytest

from score_sde import data
from score_sde.data import emoji
from score_sde.data.__main__ import main
from score_sde.data.emoji import builder


@pytest.fixture(autouse=True)
def few(monkeypatch, openmoji):
    """Of OpenMoji a few, with skin tones among them."""
    svgs = {code: svg for code, svg in openmoji.svgs.items() if code[0] in range(0x1F446, 0x1F44C)}
    assert len(svgs) == 36
    monkeypatch.setattr(emoji, "openmoji", lambda: dataclasses.replace(openmoji, svgs=svgs))


def prepare(capfd, *arguments):
    status = main(["prepare", "emoji", *map(str, arguments)])
    out, err = capfd.readouterr()
    return status, out, err


def test_prepare_then_info(tmp_path, capfd, package, square):
    path = package("mine.tgz", {"1f44b.svg": square(), "package.json": {"name": "mine"}})
    flags = (f"--data_dir={tmp_path / 'tfds'}", "--size=16", f"--styles={path}")
    status, out, err = prepare(capfd, *flags)
    assert (status, err) == (0, "")
    assert out.startswith("drawing 37 pictures of 16 pixels\nleft out, of no emoji: openmoji ")
    assert "\nart: openmoji: All emojis designed by OpenMoji" in out
    assert out.endswith(f"emoji is ready in {tmp_path / 'tfds'}\n")
    again = prepare(capfd, *flags)
    assert again == (0, f"emoji is ready in {tmp_path / 'tfds'}\n", "")

    assert main(["info", "emoji", flags[0]]) == 0
    out, _ = capfd.readouterr()
    assert "  image: kind image, shape (16, 16, 3), dtype uint8, values 256\n" in out
    assert "  style: kind label, dtype int32, values 2, names ('openmoji', 'mine')\n" in out
    assert "  concept: kind label, dtype int32, values 19" in out
    assert "\ntext, the first: backhand index pointing" in out or " hand" in out
    assert "\nlicense: openmoji: All emojis designed by OpenMoji" in out

    other = prepare(capfd, flags[0])
    assert other[0] == 2
    assert (
        "1.0.0 has emoji of 16 pixels in openmoji, mine, not of 32 in openmoji: remove it"
        in (other[2])
    )
    source = data.load("emoji", data_dir=tmp_path / "tfds")
    assert source[0]["image"].shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--size=7"], "size is 7: give a number of pixels from 8 to 1024"),
        (["--size=4096"], "size is 4096"),
        (["--size=big"], "no whole number"),
        (["--styles=none"], "cannot read none (No such file or directory): give a folder of SVG"),
        (["--styles=a,,b"], "no path between its commas"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, capfd, arguments, says, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = prepare(capfd, *arguments, f"--data_dir={tmp_path}")
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_a_damaged_svg_is_an_error_or_left_out(tmp_path, capfd, package, square):
    files = {"1f44b.svg": square(), "1f408.svg": b"<svg", "1f600.svg": square("white")}
    flags = (f"--styles={package('mine', files)}", f"--data_dir={tmp_path / 'tfds'}")
    status, _, err = prepare(capfd, *flags)
    assert status == 2
    assert "1f408.svg of mine cannot be drawn" in err
    assert err.endswith("remove or repair it, or give --skip_damaged\n")
    assert not (tmp_path / "tfds" / "emoji").exists()
    status, out, _ = prepare(capfd, *flags, "--skip_damaged")
    assert status == 0
    assert "\nleft out, white on white: 1\n" in out
    assert "\nleft out, damaged: 1, the first: 1f408.svg of mine cannot be drawn" in out


def test_a_style_of_which_nothing_is_left(tmp_path, capfd, package):
    path = package("mine", {"1f44b.svg": b"<svg"})
    _, _, err = prepare(capfd, f"--styles={path}", f"--data_dir={tmp_path}", "--skip_damaged")
    assert err == "error: nothing of mine can be drawn\n"


def test_a_style_that_is_given_twice(tmp_path, capfd, package, square):
    path = package("mine", {"1f44b.svg": square()})
    _, _, err = prepare(capfd, f"--styles={path},{path}", f"--data_dir={tmp_path}")
    assert "the style mine is given twice" in err


def test_missing_packages_are_named(tmp_path, capfd, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "resvg_py" else find(name)
    )
    status, _, err = prepare(capfd, f"--data_dir={tmp_path}")
    assert status == 2
    assert err == (
        "error: drawing emoji needs resvg-py (reading them does not): "
        'pip install "score_sde[emoji]", or pip install -e ".[emoji]" in a checkout\n'
    )


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, capfd, monkeypatch):
    def full(self, pictures):
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    monkeypatch.setattr(builder._Emoji, "_generate_examples", full)
    status, _, err = prepare(capfd, f"--data_dir={tmp_path}")
    assert status == 2
    assert f"cannot write emoji to {tmp_path} (No space left on device): give a folder" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("emoji/1.0.0"))


def test_a_file_in_the_place_of_the_folder(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    status, _, err = prepare(capfd, f"--data_dir={tmp_path / 'file'}")
    assert status == 2
    assert err.count("\n") == 1


def test_options_of_other_sets_are_refused(capfd, tmp_path):
    assert main(["prepare", "digits", "--size=16", f"--data_dir={tmp_path}"]) == 2
    assert "digits is prepared as it is: leave out size" in capfd.readouterr().err


def test_what_is_not_prepared_says_how(tmp_path, capfd):
    assert main(["info", "emoji", f"--data_dir={tmp_path}"]) == 2
    said = f"run `python -m score_sde.data prepare emoji --data_dir={tmp_path}`\n"
    assert capfd.readouterr().err.endswith(said)
