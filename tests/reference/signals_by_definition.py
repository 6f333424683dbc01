"""Signals as the specification words them: slow, obvious, and only to hold the fast ones against."""

import math
import re
import string
import unicodedata
from collections import Counter

DELETED = {chr(i) for i in [*range(8), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x202C]}
HALF_WIDTH = {"。": ".", "、": ",", "《": '"', "》": '"', "“": '"', "”": '"', "【": "[", "】": "]"}
HALF_WIDTH |= {"「": "'", "」": "'", "‘": "'", "’": "'", "￥": "¥"}
HALF_WIDTH |= {chr(ord(char) + 0xFEE0): char for char in string.punctuation}


def lines(text: str) -> list[str]:
    """Pieces that end after each line feed; the last one may lack it."""
    pieces = text.split("\n")
    return [piece + "\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def normalised_line(line: str) -> str:
    line = "".join(" " if char in "\u2009\u200b" else char for char in line if char not in DELETED)
    line = "".join(HALF_WIDTH.get(char, char) for char in line)
    line = "".join(" " if char in string.punctuation else char for char in line)
    line = re.sub(r"\s+", " ", line.lower().strip())
    return unicodedata.normalize("NFKC", line)


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]+", text)


def words(text: str) -> list[str]:
    """The words of all normalised lines."""
    return [word for line in lines(text) for word in tokens(normalised_line(line))]


def ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    found = words(text)
    return [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]


def frac_chars_top_ngrams(text: str, n: int) -> float:
    grams = ngrams(text, n)
    if not grams:
        return 0.0
    # Counter keeps the order of first occurrence and most_common is stable, so the first wins a tie.
    gram, count = Counter(grams).most_common(1)[0]
    if count == 1:
        return 0.0
    return round(sum(map(len, gram)) * count / sum(map(len, words(text))), 8)


def frac_chars_dupe_ngrams(text: str, n: int) -> float:
    found, grams = words(text), ngrams(text, n)
    if not grams:
        return 0.0
    count = Counter(grams)
    covered = {i + k for i, gram in enumerate(grams) if count[gram] > 1 for k in range(n)}
    return round(sum(len(found[i]) for i in covered) / sum(map(len, found)), 8)


def entropy_unigram(text: str) -> float | None:
    count = Counter(words(text))
    total = sum(count.values())
    return round(-sum(c / total * math.log(c / total) for c in count.values()), 8) if total else None


def share(part: float, whole: float, empty: float | None) -> float | None:
    return round(part / whole, 8) if whole else empty


def dupe_lines(code_lines: list[str]) -> float | None:
    """Over code lines without white space: copies of lines that occur more than once, short ones left out."""
    bare = [re.sub(r"[^\S\x1c-\x1f]", "", line) for line in code_lines]
    repeated = sum(count for line, count in Counter(bare).items() if count > 1 and len(line) != 1 and line != "},")
    return share(repeated, len(code_lines), None)


def num_returns(code: str) -> int:
    """The release's pattern as it stands, which takes quadratic time on blank lines."""
    return len(re.findall(r"^\s*return(\s+.+)?\s*$", code, re.MULTILINE))


def all_of(text: str, english: bool = True) -> dict[str, float | None]:
    """The signals of a text file that follow from characters, lines and words."""
    found, raw, raw_lines = words(text), [t for line in lines(text) for t in tokens(line)], lines(text)
    visible = re.sub(r"\s", "", text)
    stripped = [line.strip() for line in raw_lines if line.strip()]
    count = Counter(stripped)
    letters = share(sum(char.isalpha() for char in visible), len(visible), 0.0)
    result = {
        "num_words": float(len(found)),
        "num_chars": float(len(text)),
        "num_lines": float(len(raw_lines)),
        "mean_word_length": share(sum(map(len, found)), len(found), None),
        "frac_words_unique": share(len(set(found)), len(found), None),
        "entropy_unigram": entropy_unigram(text),
        "frac_chars_alphabet": letters if english or not visible else None,
        "frac_chars_digital": share(sum(char.isdigit() for char in visible), len(visible), 1.0),
        "frac_chars_whitespace": share(len(re.findall(r"\s", text)), len(text), 1.0),
        "frac_chars_replacement_symbols": share(text.count("\ufffd"), len(text), None),
        "frac_words_all_caps": share(sum(word.isupper() for word in raw), len(raw), None),
        "frac_words_full_bracket": share(sum(word in "【】" for word in raw), len(raw), None),
        "frac_lines_dupe_lines": share(sum(c for c in count.values() if c > 1), len(stripped), None),
        "frac_chars_dupe_lines": share(
            sum(c * len(line) for line, c in count.items() if c > 1), sum(map(len, stripped)), None
        ),
        "num_sentences": float(len(re.findall(r"\b[^.!?。！？؟]+[.!?。！？؟]*", text))),
    }
    result |= {f"frac_chars_top_{n}grams": frac_chars_top_ngrams(text, n) for n in (2, 3, 4)}
    return result | {f"frac_chars_dupe_{n}grams": frac_chars_dupe_ngrams(text, n) for n in range(5, 11)}
