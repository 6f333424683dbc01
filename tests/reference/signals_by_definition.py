"""Signals as the specification words them: slow, obvious, and only to hold the fast ones against."""

import math
import re
import string
import unicodedata
from collections import Counter

import regex

DELETED = {chr(i) for i in [*range(8), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x202C]}
HALF_WIDTH = {"。": ".", "、": ",", "《": '"', "》": '"', "“": '"', "”": '"', "【": "[", "】": "]"}
HALF_WIDTH |= {"「": "'", "」": "'", "‘": "'", "’": "'", "￥": "¥"}
HALF_WIDTH |= {chr(ord(char) + 0xFEE0): char for char in string.punctuation}
LINKS = [r"\(https?://\S+\)", r"<.*?>"]
BULLETS = set("•‣⁃⁌⁍∙○●◦◘◙◯☑☒⬛⬜⬤⬞⦾") | {
    chr(i) for a, b in [(0x25A0, 0x25AF), (0x25C6, 0x25CA), (0x25D0, 0x25D6), (0x25E2, 0x25E5)] for i in range(a, b + 1)
}
READ_MORE = [
    "...",
    "…",
    "全文",
    "详情",
    "详细",
    "更多",
    "المزيد",
    "تفاصيل",
    "اقرأ المزيد",
    "もっと",
    "詳細",
    "もっと読む",
]


def ends_with_read_more(line: str) -> bool:
    return line.rstrip().rstrip("]】)>》").endswith(tuple(READ_MORE))


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
        "num_chars_sentence_length_mean": share(
            sum(map(len, re.split(r"[.?!\n]", text))), len(re.split(r"[.?!\n]", text)), 0.0
        ),
        "frac_lines_end_with_readmore": share(sum(map(ends_with_read_more, raw_lines)), len(raw_lines), None),
        "frac_lines_start_with_bullet": share(
            sum(line.lstrip()[:1] in BULLETS for line in raw_lines if line.strip()), len(raw_lines), None
        ),
        "frac_chars_hyperlink_html_tag": share(
            sum(len(found) for pattern in LINKS for found in re.findall(pattern, text)), len(text), None
        ),
        "num_sentences": float(len(re.findall(r"\b[^.!?。！？؟]+[.!?。！？؟]*", text))),
    }
    result |= {f"frac_chars_top_{n}grams": frac_chars_top_ngrams(text, n) for n in (2, 3, 4)}
    return result | {f"frac_chars_dupe_{n}grams": frac_chars_dupe_ngrams(text, n) for n in range(5, 11)}


ENCODED = [
    r"[a-zA-Z0-9+/\n=]{64,}",
    r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}",
    r"(?:\\u[0-9a-fA-F]{4}){8,}",
]
ACROSS_LINES = r"""'''(.*?)'''|\"\"\"(.*?)\"\"\"|'(.*?)'|"(.*?)\""""
WITHIN_LINES = r"""'''(.*?)'''|\"\"\"(.*?)\"\"\"|'([^\n]*?)'|"([^\n]*?)\""""


def quoted(pattern: str, code: str) -> list[str]:
    return [group for found in regex.findall(pattern, code, regex.DOTALL) for group in found if group]


def encoded_data(text: str) -> float:
    runs = [len(found) for pattern in ENCODED for found in regex.findall(pattern, text)]
    return float(max(runs, default=0) > 1024 or sum(runs) > 0.5 * len(text))


def of_code(text: str, code: str) -> dict[str, float | None]:
    """The signals of a file without comments that look at its strings, its encoded content and its lines."""
    code_lines = [line for line in lines(code) if line.strip()]
    pieces = [piece for found in quoted(ACROSS_LINES, code) for piece in found.split("\n")]
    strings = quoted(WITHIN_LINES, code)
    long_words = [
        word
        for found in strings
        for word in found.split()
        if len(word) > 20 and not regex.match(r".*https?://\S+.*", word)
    ]
    concatenated = r"""\s*=\s*["'].+?["']\s*\+\s*["'].+?["'].*"""
    num = len(code_lines)
    return {
        "num_chars_line_max": float(max(map(len, lines(text)), default=0)),
        "num_chars_line_mean": share(len(text), len(lines(text)), 0.0),
        "cate_encoded_data": encoded_data(text),
        "frac_lines_long_string": share(sum(len(tokens(piece)) > 20 for piece in pieces), num, None),
        "frac_chars_string_length": share(sum(map(len, strings)), len(code), None),
        "frac_chars_long_word_length": share(sum(map(len, long_words)), len(code), None),
        "frac_chars_hex_words": share(sum(map(len, regex.findall(r"\b0[xX][0-9a-fA-F]+\b", code))), len(code), None),
        "frac_lines_dupe_lines": dupe_lines(code_lines),
        "frac_lines_assert": share(sum("assert" in line.lower() for line in code_lines), num, None),
        "frac_lines_string_concat": share(sum(bool(regex.search(concatenated, x)) for x in code_lines), num, None),
    }
