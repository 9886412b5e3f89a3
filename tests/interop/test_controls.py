"""Single files of ControlNets as controls."""

import shutil

import numpy as np
import pytest

from score_sde import cli
from score_sde.formats import torch_writer
from score_sde.interop import containers
from score_sde.interop.components import folder, original, original_unet
from score_sde.runs import kept

pytestmark = pytest.mark.slow


def imported(checkpoint, workdir, *flags):
    flags = [f"--checkpoint={checkpoint}", f"--workdir={workdir}", *flags]
    return cli.main(["main.py", "--mode=import", *flags])


@pytest.fixture(scope="module")
def file(shared, tmp_path_factory):
    """A released ControlNet's arrays under their authors' names, beside those of a U-Net."""
    arrays = folder.arrays(shared / "golden" / "latent" / "controlnet" / "sd15")
    names = original.inverse(original_unet.modules(2, (True, True, True, False)))
    found = {f"control_model.{n}": a for n, a in original.renamed(arrays, names).items()}
    path = tmp_path_factory.mktemp("file") / "control.pth"
    other = {"model.diffusion_model.out.2.bias": np.zeros(4, np.float32)}
    torch_writer.save(path, {"state_dict": found | other})
    return path


def test_a_file_is_what_its_folder_is(shared, file, tmp_path):
    """Bit for bit, where a config.json says what shapes do not."""
    source = shared / "golden" / "latent" / "controlnet" / "sd15"
    assert imported(source, tmp_path / "folder") == 0
    assert imported(file, tmp_path / "file", f"--components={source}") == 0
    ours, theirs = (kept.control(tmp_path / name) for name in ("file", "folder"))
    assert ours[:2] == theirs[:2]
    assert ours[2].fingerprint == theirs[2].fingerprint


def test_shapes_say_what_its_image_is(file):
    """And of the features of each size."""
    arrays = original.within(containers.arrays(file), "control_model.")
    about = original_unet.config(arrays)
    assert about["conditioning_channels"] == 3
    assert about["conditioning_embedding_out_channels"] == [4, 8, 12, 16]
    short = {n: a for n, a in arrays.items() if not n.startswith("input_hint_block.8.")}
    with pytest.raises(ValueError, match="not all layers of its input_hint_block"):
        original_unet.config(short)


def test_what_does_not_fit_is_one_line(shared, file, tmp_path, capsys):
    """An array that a config has no place for; a folder, which says all about itself."""
    source = shared / "golden" / "latent" / "controlnet" / "sd15"
    other = tmp_path / "other"
    shutil.copytree(source, other, copy_function=shutil.copyfile)
    (other / "config.json").chmod(0o644)
    about = (other / "config.json").read_text().replace("24\n", "32\n")
    (other / "config.json").write_text(about)
    for checkpoint, components, message in (
        (file, other, "the config does not fit the checkpoint, first at"),
        (source, other, "says all about itself: leave out --components"),
    ):
        assert imported(checkpoint, tmp_path / "run", f"--components={components}") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
        assert not (tmp_path / "run" / "parts").exists()
