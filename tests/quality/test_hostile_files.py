"""Input made to break parsers: none may raise, and none may take much longer than its size."""

import time

import pytest

from opencoder_lib.files import new_files
from opencoder_lib.quality import apply_rules, compute_signals, load_rules

SIZE = 600_000
HOSTILE = {
    "one long line": "x" * SIZE,
    "quotes": "'\"" * (SIZE // 2),
    "escaped quotes": '"' + '\\"' * (SIZE // 2),
    "triple quotes": '"""\n' * (SIZE // 4),
    "odd triple quotes": "x = '''" + "''\n" * (SIZE // 3),
    "open comments": "/*" * (SIZE // 2),
    "open html comments": "<!--" * (SIZE // 4),
    "open brackets": "<" * SIZE,
    "open links": "(http://" * (SIZE // 8),
    "blank lines": "\n" * SIZE,
    "spaces": " " * SIZE,
    "returns": "return\n" * (SIZE // 7),
    "blank lines and a return": "\n" * SIZE + "return;",
    "parentheses": "(" * SIZE,
    "minus signs": "-" * SIZE + "1",
    "attributes": "a" + ".a" * (SIZE // 2),
    "sums": "x = 1" + "+1" * 60_000,
    "nested blocks": "".join(" " * i + "if x:\n" for i in range(1_500)),
    "regex literals": "=/[" * (SIZE // 3),
    "hex pairs": "ab " * (SIZE // 3),
    "hex pairs far apart": ("ab" + " " * 1000) * (SIZE // 1002),
    "base64": "QUJD" * (SIZE // 4),
    "hex word": "0x" + "f" * SIZE + "g",
    "carriage returns": "x = 1\r" * (SIZE // 6),
    "null characters": "x\x00" * (SIZE // 2),
    "backslashes": "\\" * SIZE,
    "hashes": "#" * SIZE,
    "equal words": "ab " * 150_000,
    "lone surrogates": "x = '\\ud800'\n" * 10_000,
    "wide characters": "𝐀é。" * 100_000,
}
# What compute_signals promises for any file of 8 MB; a quadratic step would take hours.
SECONDS = 30
PATHS = ["a.py", "a.js", "a.txt", "a.c", "a.cs", "a.go", "a.java", "a.html", "a.sh", "a.yaml"]


def seconds_to_judge(path: str, text: str) -> float:
    files = new_files([{"path": path, "origin": "folder", "text": text, "natural_language": "en"}])
    start = time.monotonic()
    apply_rules(files, compute_signals(files), load_rules("released"))
    return time.monotonic() - start


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", PATHS)
def test_hostile_file_is_judged_in_time(name, path):
    assert seconds_to_judge(path, HOSTILE[name]) < SECONDS


@pytest.mark.parametrize("name", ["one long line", "quotes", "open brackets", "parentheses", "wide characters"])
@pytest.mark.parametrize("path", PATHS)
def test_eight_megabytes_keep_the_promised_time(name, path):
    text = HOSTILE[name] * (8_000_000 // len(HOSTILE[name].encode()))
    assert seconds_to_judge(path, text) < SECONDS


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_a_long_line_of_han_characters_keeps_it_too(language):
    files = [{"path": "a.txt", "origin": "folder", "text": "灯塔的透镜" * 40_000, "natural_language": language}]
    start = time.monotonic()
    compute_signals(new_files(files))
    assert time.monotonic() - start < SECONDS
