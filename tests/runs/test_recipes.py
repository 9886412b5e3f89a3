"""A recipe is found by its path or its name, wherever one is."""

import pytest
from program import ROOT

from score_sde.errors import UserError
from score_sde.runs import recipes


def test_a_name_is_that_of_a_recipe_that_comes_with_the_code(tmp_path, monkeypatch):
    """In another folder too; also with an argument. A config is a new one each time."""
    monkeypatch.chdir(tmp_path)
    assert recipes.find("digits_vp") == ROOT / "configs" / "digits_vp.py"
    assert recipes.get("paper:ve/ncsn/cifar10").model.name == "ncsn"
    config = recipes.get("digits_likelihood")
    assert config.model.channels == recipes.get("digits_vp").model.channels == 24
    config.model.channels = 8
    assert recipes.get("digits_likelihood").model.channels == 24


def test_a_recipe_of_ones_own_folder_comes_first(tmp_path, monkeypatch):
    """A path is a path; a name is looked up in configs/ of this folder, then of the code."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    own = tmp_path / "configs" / "digits_vp.py"
    own.write_text(
        "from score_sde.runs import recipes\n"
        "def get_config():\n"
        "    config = recipes.get('digits_ve')\n"
        "    config.training.steps = 7\n"
        "    return config\n"
    )
    config = recipes.get("digits_vp")
    assert (config.sde.name, config.training.steps) == ("ve", 7)
    assert recipes.get(str(ROOT / "configs" / "digits_vp.py")).sde.name == "vp"
    assert recipes.find("configs/digits_vp.py").samefile(own)


@pytest.mark.parametrize(
    ("here", "recipe", "hint"),
    [
        (False, "digit_vp", "did you mean digits_vp?"),
        (False, "configs/digits_vp.py", "did you mean digits_vp?"),
        (True, "configs/digit_vp.py", "did you mean configs/digits_vp.py?"),
        (False, "qqq", "there are: bach_masked, backbone64, "),
    ],
)
def test_a_slip_is_one_line_with_what_is_nearest(here, recipe, hint, tmp_path, monkeypatch):
    """By its path where that is here, else by its name."""
    monkeypatch.chdir(ROOT if here else tmp_path)
    with pytest.raises(UserError) as refusal:
        recipes.find(recipe)
    assert str(refusal.value).startswith(f"no config file {recipe}; {hint}")
    assert "\n" not in str(refusal.value)
