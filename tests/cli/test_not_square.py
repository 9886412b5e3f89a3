"""Images of any height and width, through the command line: train, sample, evaluate, inpaint."""

import json

import numpy as np
import pytest
from PIL import Image

from score_sde import cli

pytestmark = pytest.mark.slow

TINY = (
    "--config=configs/digits_vp.py",
    "--config.data.name=folder",
    "--config.model.channels=4",
    "--config.model.channel_mult=(1,)",
    "--config.model.attn_resolutions=()",
    "--config.model.num_res_blocks=1",
    "--config.training.batch_size=4",
    "--config.training.steps=2",
    "--config.training.steps_per_call=1",
    "--config.training.log_every=1",
    "--config.training.eval_every=2",
    "--config.training.sample_every=2",
    "--config.training.checkpoint_every=2",
    "--config.sampling.num_samples=4",
    "--config.sampling.batch_size=4",
    "--config.sampling.steps=3",
    "--config.evaluation.batch_size=4",
    "--config.evaluation.metrics=('loss_by_time','fid')",
    "--config.evaluation.loss_by_time.points=2",
    "--config.evaluation.samples.num_samples=4",
)


@pytest.mark.parametrize(("height", "width", "channels"), [(10, 14, 3)])
def test_images_that_are_not_square(tmp_path, monkeypatch, quick_compile, height, width, channels):
    """What is known of an inpainted image stays; nothing is cropped or turned."""
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(40):
        pixels = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
        picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        picture.save(tmp_path / "images" / f"{number:02d}.png")
    workdir = tmp_path / "run"
    arguments = (
        *TINY,
        f"--config.data.dir={tmp_path / 'images'}",
        f"--workdir={workdir}",
    )

    def main(*more):
        assert cli.main(["main.py", *arguments, *more]) == 0

    main()
    picture = Image.open(workdir / "samples" / "2.png")
    enlarged = round(32 / height)
    assert picture.size == tuple(2 * (enlarged * side + 2) + 2 for side in (width, height))
    main("--mode=sample")
    assert np.load(workdir / "samples.npz")["samples"].shape == (4, height, width, channels)
    main("--mode=evaluate")
    assert set(json.loads((workdir / "evaluation.json").read_text())) == {"loss_by_time", "fid"}
    main("--mode=sample", "--task=inpaint", "--mask=top")
    answer = np.load(workdir / "inpaint.npz")
    known = slice(height // 2, None)
    np.testing.assert_array_equal(answer["samples"][:, known], answer["image"][:, known])
    assert (answer["samples"][:, : height // 2] != answer["image"][:, : height // 2]).any()
