"""Lines of pictures against the drawings that they were asked by."""

import json

import numpy as np

from score_sde.evaluation import lines
from score_sde.spaces.pictures import save_png

# Four squares of 4x4 pixels, each with a dark column of its own on white; drawn, with a dark row.
COLUMNS = np.full((4, 4, 4, 3), 255, np.uint8)
for column in range(4):
    COLUMNS[column, :, column] = (127, 127, 127)
SKETCHES = COLUMNS[..., :1].copy()
SKETCHES[:, 0] = 0


def test_the_share_that_both_have_of_what_either_has():
    found = lines.measure(COLUMNS, SKETCHES)
    assert found == {"n": 4, "iou": 0.5714, "standard_error": 0.0, "others": 0.1}  # 4/7, 1/10
    assert lines.measure(COLUMNS, COLUMNS)["iou"] == 1
    grey = np.full((1, 1, 2, 3), (127, 127, 127), np.uint8)
    grey[0, 0, 1] = 128
    np.testing.assert_array_equal(lines.dark(grey), [[[True, False]]])
    white = np.full((2, 4, 4, 1), 255, np.uint8)
    assert lines.measure(white, white)["iou"] == 1


def test_the_command_measures_folders_beside_the_data(tmp_path, capsys):
    arrays = {"image": COLUMNS, "sketch": SKETCHES, "text": np.array(["a", "b", "c", "d"])}
    splits = ("train", "test")
    np.savez(tmp_path / "a.npz", **{f"{s}_{n}": a for s in splits for n, a in arrays.items()})
    for i in range(4):
        save_png(tmp_path / "asked" / f"{i}.png", SKETCHES[i])
        said = {"prompt": "abcd"[i]}
        save_png(tmp_path / "alone" / f"{i}.png", COLUMNS[i], {"parameters": json.dumps(said)})
        said |= {"conditions": {"sketch": str(tmp_path / "asked" / f"{i}.png")}}
        save_png(tmp_path / "out" / f"{i}.png", COLUMNS[3 - i], {"parameters": json.dumps(said)})
    command = ["arrays", f"--data_dir={tmp_path / 'a.npz'}"]
    assert lines.main([*command, str(tmp_path / "out")]) == 0
    real, drawn = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (real["pictures"], real["iou"], drawn["iou"]) == ("arrays, test", 0.5714, 0.1)
    out, alone = str(tmp_path / "out"), str(tmp_path / "alone")
    assert lines.main([*command, alone, f"--asked={out}"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[1])["iou"] == 0.5714
    for wrong, said in (
        ([*command, str(tmp_path / "asked")], "0.png does not say what sketch it was asked by"),
        ([*command, str(tmp_path)], "has no picture: draw some first"),
        ([*command, out, "--field=image2"], "did you mean 'image'?"),
        ([*command, alone], "0.png does not say what sketch it was asked by"),
        ([*command, str(tmp_path / "asked"), f"--asked={out}"], "0.png is not of the prompt of"),
        ([*command, alone, f"--asked={tmp_path / 'none'}"], "none/0.png cannot be opened"),
    ):
        assert lines.main(wrong) == 2
        assert said in capsys.readouterr().err
