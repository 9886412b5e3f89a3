"""Notes: the score that is written, what a program makes of it, and what is said if it cannot."""

import itertools
import os
import stat
import sys

import numpy as np
import pytest

from score_sde import data, fields
from score_sde.data import DataError, notes
from score_sde.data.__main__ import main
from score_sde.data.notes import instruments, render
from score_sde.sound import pitch

KNOWN = {
    instruments.text(program, number): (number, program // 8)
    for program, number in itertools.product(range(128), instruments.PITCHES)
}
# Stands for fluidsynth: it reads the score by itself and plays sines; program 2 is silent.
PLAYS = f"""#!{sys.executable}
import sys
import numpy as np
if "fail" in sys.argv[-2]:
    sys.exit("fluidsynth: no such font\\nmore")
content = open(sys.argv[-1], "rb").read()
assert content[:8] == b"MThd\\0\\0\\0\\6" and content[8:12] == b"\\0\\0\\0\\1"
per_second = 2 * int.from_bytes(content[12:14], "big")
assert content[14:18] == b"MTrk" and int.from_bytes(content[18:22], "big") == len(content) - 22
place, now, events = 22, 0, []
while True:
    delta = 0
    while True:
        delta, last = delta << 7 | content[place] & 127, content[place] < 128
        place += 1
        if last:
            break
    now += delta
    if content[place] == 0xFF:
        break
    size = 2 if content[place] >> 4 == 0xC else 3
    events.append((now / per_second, *content[place : place + size]))
    place += size
assert content[place:] == b"\\xff\\x2f\\0"
rate = int(sys.argv[sys.argv.index("-r") + 1])
sound, begun = np.zeros(round(now / per_second * rate)), {{}}
for time, status, *rest in events:
    if status == 0xC0:
        program = rest[0]
    elif status == 0x90:
        begun[rest[0]] = time
    elif status == 0x80 and program != 2:
        first, last = round(begun[rest[0]] * rate), round(time * rate)
        t = np.arange(last - first) / rate
        sound[first:last] = 0.5 * np.sin(2 * np.pi * 440 * 2 ** ((rest[0] - 69) / 12) * t)
both = np.stack([sound, sound], 1) * 32767
open(sys.argv[sys.argv.index("-F") + 1], "wb").write(both.astype("<i2").tobytes())
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program named fluidsynth, the only one that there is; and a font."""
    path = tmp_path / "bin" / "fluidsynth"
    path.parent.mkdir()
    path.write_text(PLAYS)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(path.parent))
    font = tmp_path / "a.sf2"
    font.write_bytes(b"RIFF\0\0\0\0sfbk")
    return font


def test_names_are_those_of_general_midi():
    assert (len(instruments.INSTRUMENTS), len(instruments.FAMILIES)) == (128, 16)
    assert len(set(instruments.INSTRUMENTS)) == 128
    for program, name in {
        0: "acoustic grand piano",
        40: "violin",
        73: "flute",
        127: "gunshot",
    }.items():
        assert instruments.INSTRUMENTS[program] == name
    assert instruments.text(40, 69) == "violin, A4"
    assert len(KNOWN) == 128 * 36
    assert KNOWN["violin, A4"] == (69, 5)


def test_each_note_is_heard_at_its_pitch(program):
    """An instrument, one second a note; the notes begin where they are cut."""
    (sounds,) = render.rendered(render.check(program), program, [40])
    assert sounds.shape == (36, render.SAMPLES)
    found = pitch.numbers(pitch.frequencies(sounds, render.RATE))
    np.testing.assert_allclose(found, instruments.PITCHES, atol=0.05)
    assert (np.abs(sounds[:, :200]).max(1) > 0.1).all()
    assert not sounds[:, int(0.76 * render.RATE) :].any()


def test_the_data_set_by_the_command(program, tmp_path, monkeypatch, capfd):
    """Silent notes are left out, a tenth is held out, and its fields say what each example is."""
    monkeypatch.setattr(notes, "INSTRUMENTS", instruments.INSTRUMENTS[:12])  # as fast
    command = ["prepare", "notes", f"--data_dir={tmp_path}", f"--from={program}"]
    assert main(command) == 0
    out = capfd.readouterr().out
    assert "left out, silent: 36" in out
    train, test = (data.load("notes", split, data_dir=tmp_path) for split in ("train", "test"))
    assert len(train) + len(test) == 11 * 36
    assert len(test) == pytest.approx(40, abs=4 * np.sqrt(40))
    assert train.info["signal"] == fields.signal(16_000, 16_000)
    assert train.info["family"].names[5] == "strings"
    assert train.note == "rendered by fluidsynth from a.sf2"
    for source in (train, test):
        rows = source.gather(np.arange(0, len(source), 10))
        texts = fields.decode_texts(rows["text"])
        np.testing.assert_array_equal(rows["pitch"], [KNOWN[t][0] for t in texts])
        np.testing.assert_array_equal(rows["family"], [KNOWN[t][1] for t in texts])
        heard = pitch.numbers(pitch.frequencies(rows["signal"], 16_000))
        np.testing.assert_allclose(heard, rows["pitch"], atol=0.05)
    before = os.stat(tmp_path / "notes" / "notes.json").st_mtime_ns
    assert main(command[:3]) == 0  # it is there
    assert os.stat(tmp_path / "notes" / "notes.json").st_mtime_ns == before


def test_what_is_missing_is_said_with_the_command_that_gets_it(program, tmp_path, monkeypatch):
    def refusal(source):
        with pytest.raises(DataError) as error:
            data.prepare("notes", data_dir=tmp_path, **({"source": source} if source else {}))
        assert "\n" not in str(error.value)
        assert not (tmp_path / "notes").exists()
        return str(error.value)

    assert "pip download --no-deps pretty_midi" in refusal(None)
    assert "cannot read" in refusal(tmp_path / "missing.sf2")
    os.mkfifo(tmp_path / "pipe.sf2")
    assert "cannot read" in refusal(tmp_path / "pipe.sf2")
    other = tmp_path / "other.sf2"
    other.write_bytes(b"not a font")
    assert "is no sound font" in refusal(other)
    other.write_bytes(b"RIFF\xe8\x03\0\0sfbk")
    assert refusal(other).endswith("other.sf2 ends early (12 of 1,008 bytes): get it again")
    with monkeypatch.context() as patch:
        patch.setattr(notes, "INSTRUMENTS", instruments.INSTRUMENTS[:3])
        patch.setattr(notes.render, "heard", lambda sounds: np.zeros(len(sounds), bool))
        assert "has 0 notes that can be heard, too few" in refusal(program)
    failing = tmp_path / "fail.sf2"
    failing.write_bytes(program.read_bytes())
    assert refusal(failing).endswith("fail.sf2 (fluidsynth: no such font)")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(program).endswith("sudo apt-get install fluidsynth")
    with pytest.raises(DataError, match=r"not prepared in .*notes: run python -m score_sde.data"):
        data.load("notes", data_dir=tmp_path)
    with pytest.raises(DataError, match="leave out styles"):
        data.prepare("notes", data_dir=tmp_path, styles=())
