"""What emoji are called: captions, and which of them show the same.

The names are the English ones of Unicode's CLDR, as the package `emoji` has them: those of
`unicodedata` change with Python's version, which may not know an emoji yet, and say nothing of
sequences. That package writes `:woman_firefighter_medium_skin_tone:`; a caption is CLDR's "woman
firefighter: medium skin tone".
"""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Mapping

# The code points of an emoji, without variation selectors, which fonts and files leave out at will.
Code = tuple[int, ...]

_VARIATION = 0xFE0F
_INDICATORS = range(0x1F1E6, 0x1F200)  # regional indicators, two of which are a flag
_TAGS = range(0xE0020, 0xE0080)  # of the flags of England, Scotland and Wales
_LISTED = (1, 2)  # of the package's states: components and what is fully qualified
_TONE = re.compile(r"\b((?:medium-)?(?:light|dark)|medium) skin tone\b")
_WHO = r"(?:man|woman|person|men|women|people|boy|girl|adult|child)"
# What a name that ends so lists after its first words.
_LISTS = re.compile(rf"(family|kiss|couple with heart) ({_WHO}(?: {_WHO})*)")
_HAIR = re.compile(rf"({_WHO}) (beard|bald|(?:blond|red|curly|white) hair)")
# Words of a name that leave what is shown nearly the same.
_VARIES = re.compile(rf"\b(?:{_WHO}|facing right)\b")
_CODE = re.compile(
    r"(?:emoji_?)?u?\+?([0-9a-f]{2,6}(?:[-_ ](?:u\+?)?[0-9a-f]{2,6})*)", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class Emoji:
    """One emoji.

    Attributes:
      code: its code points.
      caption: its name, skin tones included.
      concept: its name without them.
      family: of the concepts that differ in sex or direction alone, one name.
    """

    code: Code
    caption: str
    concept: str
    family: str


def bare(code: Code) -> Code:
    """Code points without variation selectors."""
    return tuple(point for point in code if point != _VARIATION)


def parse(text: str) -> Code | None:
    """The code points that a name of a file says: 1F44B-1F3FD, 1f44b_1f3fd, emoji_u1f44b_1f3fd.

    Returns:
      None if it says none.
    """
    found = _CODE.fullmatch(text)
    if found is None:
        return None
    return bare(tuple(int(point.lstrip("uU+"), 16) for point in re.split("[-_ ]", found[1])))


def write(code: Code) -> str:
    """1F44B-1F3FD: what `parse` reads."""
    return "-".join(f"{point:04X}" for point in code)


@functools.cache
def known() -> Mapping[Code, Emoji]:
    """All emoji that the package `emoji` knows, in the order of their code points."""
    import emoji

    found = {}
    for text, about in emoji.EMOJI_DATA.items():
        if about["status"] in _LISTED:
            code = bare(tuple(map(ord, text)))
            found[code] = named(code, about["en"])
    return dict(sorted(found.items()))


@functools.cache
def concepts() -> tuple[str, ...]:
    """The names of all concepts, whatever styles draw them, in the order of their numbers."""
    return tuple(sorted({emoji.concept for emoji in known().values()}))


def named(code: Code, name: str) -> Emoji:
    """The emoji that the package `emoji` calls so.

    Args:
      code: its code points.
      name: such as ":woman_firefighter_medium_skin_tone:".
    """
    words = name.strip(":").replace("_", " ").replace("’", "'")
    tones = [found[0] for found in _TONE.finditer(words)]
    concept = _punctuated(code, " ".join(_TONE.sub("", words).split()))
    if not concept:  # a patch of skin
        return Emoji(code, words, "skin tone", "skin tone")
    parts = [concept, ", ".join(tones)] if tones else [concept]
    family = " ".join(_VARIES.sub("", concept).split()).strip(" :,")
    return Emoji(code, (", " if ": " in concept else ": ").join(parts), concept, family or "person")


def _punctuated(code: Code, words: str) -> str:
    """CLDR's colons and commas, which the package leaves out."""
    if code and (code[0] in _INDICATORS or code[-1] in _TAGS):
        return f"flag: {words}"
    if found := _LISTS.fullmatch(words):
        return f"{found[1]}: {', '.join(found[2].split())}"
    if found := _HAIR.fullmatch(words):
        return f"{found[1]}: {found[2]}"
    return re.sub(r"^keycap (?=.)| (?=facing right$)", lambda m: f"{m[0].strip()}: ", words)


@functools.cache
def by_slug() -> Mapping[str, Code]:
    """Emoji by their names as those of files have them: waving-hand-medium-skin-tone.

    Also as Fluent has them, waving-hand-medium, and flags by their countries.
    """
    found: dict[str, Code] = {}
    for code, emoji in known().items():
        name = slug(emoji.caption)
        for one in (name, name.removeprefix("flag-"), name.replace("-skin-tone", "")):
            found.setdefault(one, code)
    return found


def slug(name: str) -> str:
    """A name in the letters a to z and digits, with dashes between its words."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("'", "").replace(".", ""))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
