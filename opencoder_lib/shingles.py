"""What two files are compared by: the set of their n-grams. One definition for planting, hashing and measuring.

The paper says "5-gram" and no more (section 2.1.1); the token below is our assumption, declared in paper.toml, and
chapter 03 measures what another choice would change.
"""

import re
from collections.abc import Sequence

from opencoder_lib.errors import ConfigError, did_you_mean

# A token is a longest run of the bytes that join; for `character`, each character by itself. Bytes above ASCII are the
# letters of other scripts in UTF-8, and some of their punctuation.
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_ABOVE_ASCII = frozenset(range(128, 256))
JOINING_BYTES = {
    "word": _WORD,
    "any_script": _WORD | _ABOVE_ASCII,
    "space": frozenset(range(256)) - frozenset(b"\t\n\v\f\r "),
    "character": frozenset(range(256)),
}
UNITS = tuple(JOINING_BYTES)
PATTERNS = {
    "word": re.compile(r"[A-Za-z0-9_]+"),
    "any_script": re.compile(r"[A-Za-z0-9_\x80-\U0010ffff]+"),
    "space": re.compile(r"[^\t\n\v\f\r ]+"),
    "character": re.compile(r"(?s)."),
}
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def check_unit(unit: str) -> None:
    """Raise ConfigError when there is no such unit."""
    if unit not in UNITS:
        raise ConfigError(f"unit={unit!r} is not a unit of shingles.{did_you_mean(str(unit), UNITS)}")


def tokens(text: str, unit: str = "word", fold_case: bool = False) -> list[str]:
    """The tokens of a text in order.

    unit: `word`, runs of ASCII letters, digits and underscore; `any_script`, the same with everything above ASCII;
    `space`, what stands between white space; `character`. fold_case: ASCII capitals count as small letters.
    """
    check_unit(unit)
    return PATTERNS[unit].findall(text.translate(_LOWER) if fold_case else text)


def ngrams(words: Sequence[str], ngram: int = 5) -> set[str]:
    """The distinct runs of `ngram` tokens, each joined by one space; of fewer tokens one run of what there is."""
    if len(words) < ngram:
        return {" ".join(words)} if words else set()
    return set(map(" ".join, zip(*(words[start:] for start in range(ngram)), strict=False)))


def shingles(text: str, ngram: int = 5, unit: str = "word", fold_case: bool = False) -> set[str]:
    """The distinct runs of `ngram` tokens of a text, each joined by one space.

    A text with fewer tokens is one shingle of what it has; one without any token has no shingle. With the unit `word`
    layout and punctuation do not count, and neither do letters outside ASCII.
    """
    return ngrams(tokens(text, unit, fold_case), ngram)


def jaccard(one: set, other: set) -> float:
    """Size of the intersection over size of the union; 0 when both sets are empty: nothing says they are alike."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0
