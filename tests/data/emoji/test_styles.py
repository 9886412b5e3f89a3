"""Styles of packages: what is found by which names, and what is refused."""

import pytest

from score_sde.data.base import DataError
from score_sde.data.emoji import names, styles
from score_sde.data.emoji.names import parse

HAND, CAT = parse("1F44B-1F3FD"), parse("1F408")


@pytest.mark.parametrize("kind", ["a-folder", "a.tgz"])
def test_files_named_by_code_points(package, square, kind):
    about = {"name": "@mine/svg", "version": "1.2.3", "license": "CC0-1.0"}
    files = {"1f44b-1f3fd.svg": square(), "sub/emoji_u1f408.svg": square(), "nothing.svg": square()}
    (style,) = styles.read([package(kind, {"package.json": about, "LICENSE": b"", **files})])
    assert (style.name, style.drawing, style.others) == ("mine-svg", "mine", 1)
    assert set(style.svgs) == {HAND, CAT}
    assert style.art == "@mine/svg 1.2.3, CC0-1.0"
    assert style.svgs[HAND][0] == square()


def test_names_in_place_of_code_points(package, square):
    (style,) = styles.read([package("plain", {"Cat.svg": square(), "Waving Hand Medium.svg": b""})])
    assert (style.name, set(style.svgs)) == ("plain", {HAND, CAT})


def iconify(prefix, icons, chars, **sides):
    about = {name: {"body": f'<path d="{name}"/>'} for name in icons}
    info = {"name": "Some Emoji", "author": {"name": "Somebody"}, "license": {"title": "MIT"}}
    return {
        "icons.json": {"prefix": prefix, "icons": about, **sides},
        "chars.json": chars,
        "info.json": info,
    }


def test_names_of_iconify(package):
    """By chars.json where it says anything, else by the names of CLDR."""
    files = iconify("noto", ["kitty", "waving-hand-medium", "xyz"], {"1f408": "kitty"}, width=128)
    (style,) = styles.read([package("noto.tgz", files)])
    assert (style.name, set(style.svgs), style.others) == ("noto", {HAND, CAT}, 1)
    assert style.art == "Some Emoji by Somebody, MIT"
    svg = style.svgs[CAT][0].decode()
    assert 'viewBox="0 0 128 16"' in svg
    assert '<path d="kitty"/>' in svg


def test_code_points_of_another_package_count_where_there_are_none(package):
    """Fluent's packages have the same names, of which one says no code points."""
    bare = package("one", iconify("fluent-emoji", ["kitty"], {}))
    told = package("two", iconify("fluent-emoji-flat", ["kitty"], {"1f408": "kitty"}))
    assert [set(style.svgs) for style in styles.read([bare, told])] == [{CAT}, {CAT}]
    assert {style.drawing for style in styles.read([bare, told])} == {"fluent"}
    with pytest.raises(DataError, match="has no drawing of an emoji"):
        styles.read([bare])


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"README.json": {}}, "has no drawing of an emoji: its files must be named by code points"),
        ({"a/1f408.svg": b"", "b/1f408.svg": b""}, "both cat: give the folder of one style"),
        ({"icons.json": b"{"}, "icons.json of .* cannot be read"),
        ({"icons.json": b"[]"}, "no JSON object"),
        ({"icons.json": {"prefix": "x", "icons": {"cat": {}}}}, "not as Iconify writes it"),
        ({"icons.json": {"prefix": 3, "icons": {}}}, "not as Iconify writes it"),
    ],
)
def test_a_package_that_is_none_of_emoji(package, files, says):
    with pytest.raises(DataError, match=says) as failure:
        styles.read([package("bad", files)])
    assert "\n" not in str(failure.value)


def test_what_is_no_package(tmp_path):
    (tmp_path / "text.tgz").write_text("text")
    for path, says in {"none": "No such file", "text.tgz": "is no folder and no .tgz"}.items():
        with pytest.raises(DataError, match=says):
            styles.read([tmp_path / path])


def test_a_cut_archive_is_refused(package, square):
    path = package("whole.tgz", {"1f408.svg": square(inside="<g/>" * 9999)})
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"whole\.tgz"):
        styles.read([path])


def test_openmoji_draws_nearly_all(openmoji):
    assert len(openmoji.svgs) > 0.99 * len(names.known())
    assert openmoji.others > 300  # its own, of no code point of Unicode
    assert "CC BY-SA 4.0" in openmoji.art
