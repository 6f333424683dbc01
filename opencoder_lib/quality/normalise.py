"""The normalised text whose words the word and n-gram signals count (filter specification, normalised line)."""

import string
import unicodedata
from collections.abc import Sequence

_DELETED = [*range(0x00, 0x08), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x202C]
_HALF_WIDTH = dict(zip("。、《》“”【】「」‘’￥", '.,""""[]' + "''''" + "¥", strict=True))
_FULL_WIDTH = {chr(ord(char) + 0xFEE0): char for char in string.punctuation}


def _table() -> dict[int, str | None]:
    """Deletions, half-width forms, and every ASCII punctuation sign (also those just made) to a space."""
    table: dict[int, str | None] = dict.fromkeys(_DELETED)
    table |= {0x2009: " ", 0x200B: " "}
    table |= {ord(char): " " for char in string.punctuation}
    for char, half in (_HALF_WIDTH | _FULL_WIDTH).items():
        table[ord(char)] = " " if half in string.punctuation else half
    return table


_TABLE = _table()
_ASCII_DELETED = bytes(code for code in _DELETED if code < 128)
_ASCII = bytes(ord((_TABLE.get(code) or chr(code)).lower()) if code < 128 else code for code in range(256))


def normalise(text: str) -> str:
    """Half-width, punctuation as spaces, lower case, NFKC; line feeds stay, so lines can be joined.

    The order matters: NFKC comes last and may bring capitals and punctuation back, as in the release.
    """
    if text.isascii():
        return text.encode().translate(_ASCII, _ASCII_DELETED).decode()
    return unicodedata.normalize("NFKC", text.translate(_TABLE).lower())


def normalise_all(texts: Sequence[str]) -> list[str]:
    """Each text normalised."""
    return [normalise(text) for text in texts]
