"""The normalised text whose words the word and n-gram signals count (filter specification, normalised line).

Per line: some control characters go, full-width punctuation becomes half-width, ASCII punctuation becomes a space,
lower case, NFKC. White space is left as found: it only separates words. NFKC comes last and may bring capitals and
punctuation back, as in the release.
"""

import string
import unicodedata

import numpy as np

from opencoder_lib.quality import kernels
from opencoder_lib.quality.codepoints import NUM_CODE_POINTS, CodePoints, running_total

_DELETED = [*range(0x00, 0x08), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x202C]
_HALF_WIDTH = dict(zip("。、《》“”【】「」‘’￥", '.,""""[]' + "''''" + "¥", strict=True))
_FULL_WIDTH = {chr(ord(char) + 0xFEE0): char for char in string.punctuation}
_table = np.zeros(NUM_CODE_POINTS, np.uint32)


def _character_map() -> dict[int, str | None]:
    """Deletions, half-width forms, and every ASCII punctuation sign (also those just made) to a space."""
    table: dict[int, str | None] = dict.fromkeys(_DELETED)
    table |= {0x2009: " ", 0x200B: " "}
    table |= {ord(char): " " for char in string.punctuation}
    for char, half in (_HALF_WIDTH | _FULL_WIDTH).items():
        table[ord(char)] = " " if half in string.punctuation else half
    return table


_MAP = _character_map()


def normalise(text: str) -> str:
    """The text as its words are read: slow and plain, for the texts that the table cannot do."""
    return unicodedata.normalize("NFKC", text.translate(_MAP).lower())


def normalised_lines(text: str) -> list[str]:
    """The normalised lines exactly as the release makes them, for tokenizers that see white space."""
    lines = text.translate(_MAP).lower().split("\n")
    return [unicodedata.normalize("NFKC", " ".join(line.split())) for line in lines]


def _entry(char: str) -> int:
    """What becomes of a character, with a flag where that depends on its neighbours."""
    mapped = _MAP.get(ord(char), char)
    if mapped is None:
        return kernels.KNOWN | kernels.DELETED
    lower = mapped.lower()
    # A capital sigma at the end of a word has a lower case of its own; some capitals become two characters.
    if len(lower) != 1 or mapped == "Σ":
        return kernels.KNOWN | kernels.HARD
    return kernels.KNOWN | (kernels.CHECK if _may_change(lower) else 0) | ord(lower)


def _may_change(char: str) -> bool:
    """Whether NFKC may change a text for this character's sake: it changes the character itself, or joins it to the one
    before, which it does to marks and to the vowels and final consonants of Hangul and Kirat Rai only."""
    if char.isascii():
        return False
    joins = "\u1100" <= char <= "\u11ff" or "\U00016d40" <= char <= "\U00016d7f"
    return joins or unicodedata.category(char)[0] == "M" or unicodedata.normalize("NFKC", char) != char


def normalised(chars: CodePoints) -> CodePoints:
    """The normalised texts of a shard. ASCII and most other text by one table look-up a character."""
    for code in kernels.unknown_codes(chars.codes, _table).tolist():
        _table[code] = _entry(chr(code))
    codes, offsets, flags = kernels.translate(chars.codes, chars.offsets, _table)
    found = CodePoints(codes, offsets)
    redone = {}
    for index in np.flatnonzero(flags & (kernels.CHECK | kernels.HARD)).tolist():
        text = found.text(index)
        if flags[index] & kernels.HARD:
            redone[index] = _mended(text, chars.text(index))
        elif not unicodedata.is_normalized("NFKC", text):
            redone[index] = _mended(text)
    return _replaced(found, redone) if redone else found


def _mended(mapped: str, original: str | None = None) -> str:
    """A text mapped by the table, in NFKC; where `original` is given, mapped anew. Line by line: no rule looks across a
    line feed, and most lines are ASCII and right already."""
    lines = mapped.split("\n")
    if original is None:
        return "\n".join(line if line.isascii() else unicodedata.normalize("NFKC", line) for line in lines)
    pairs = zip(lines, original.split("\n"), strict=True)
    return "\n".join(line if found.isascii() else normalise(found) for line, found in pairs)


def _replaced(chars: CodePoints, texts: dict[int, str]) -> CodePoints:
    """`chars` with some of its texts exchanged."""
    fresh = CodePoints.of(list(texts.values()))
    new = dict(zip(texts, np.split(fresh.codes, fresh.offsets[1:-1]), strict=True))
    parts = [
        new.get(index, chars.codes[chars.offsets[index] : chars.offsets[index + 1]])
        for index in range(len(chars.offsets) - 1)
    ]
    return CodePoints(np.concatenate(parts), running_total(np.array([len(part) for part in parts])))
