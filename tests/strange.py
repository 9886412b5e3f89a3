"""Strings that nobody types."""

PIECES = (
    *"abcdefghij    ,.!?'\"()[]{}:;<>&#0123456789ABCDEF_-|\\\t\n\r\0\x1f\x7f",
    *"é½²ﬁ①Ａ（\u3000\xa0\u200b\u200d\u0301\u0308\u2581\ufeff\ufffd가각한글कि写真ﷺ𝒳🦊",
    *("&amp;", "&lt", "&#x41;", "&#0;", "'ll", "<|endoftext|>", "</s>", "<extra_id_7>", "BREAK"),
    *("(a:1.3)", ":1.2)", "((", "\\(", "\ud83d", "\udc4d", "é".encode().decode("latin-1")),
)


def strings(rng, number):
    """So many, by a random.Random; a character in ten is any at all, a surrogate too."""
    for _ in range(number):
        size = rng.choice((1, 5, 30, 100))
        yield "".join(
            chr(rng.randrange(0x110000)) if rng.random() < 0.1 else rng.choice(PIECES)
            for _ in range(rng.randrange(size + 1))
        )
