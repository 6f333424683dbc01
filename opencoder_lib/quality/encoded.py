"""Encoded content in text: runs of base64, hexadecimal pairs and escapes, and hexadecimal words.

Each kernel counts what the release's pattern would match, given in its docstring, in one pass over the characters.
codes, offsets and table as in `kernels`; `word` and `space` are class bits. Hexadecimal digits are ASCII ones.
"""

import string

import numpy as np

from opencoder_lib.compiled import inner_kernel, kernel

SHORTEST_BASE64, FEWEST_PAIRS, FEWEST_ESCAPES = 64, 8, 8


_HEX = np.zeros(128, np.bool_)
_HEX[[ord(char) for char in string.hexdigits]] = True
# Letters, digits, + / = and, as in the release, the line feed.
_BASE64 = np.zeros(128, np.bool_)
_BASE64[[ord(char) for char in string.ascii_letters + string.digits + "+/=\n"]] = True


@inner_kernel
def _is_hex(code):
    return code < 128 and _HEX[code]


@inner_kernel
def _at_border(codes, k, start, end, table, word):
    """Whether `\\b` holds before position k."""
    before = k > start and (table[codes[k - 1]] & word) != 0
    after = k < end and (table[codes[k]] & word) != 0
    return before != after


@inner_kernel
def _in_base64(code, across_lines):
    return code < 128 and _BASE64[code] and (across_lines or code != 10)


@kernel
def base64_runs(codes, offsets, across_lines):
    """Total and longest length of `[a-zA-Z0-9+/\\n=]{64,}` in each text; without `\\n` unless across_lines."""
    total, longest = np.zeros(len(offsets) - 1, np.int64), np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(offsets) - 1):
        # A run of 64 covers one of the places 63, 127, …: only there need be looked.
        begin, end = offsets[i], offsets[i + 1]
        k = begin + SHORTEST_BASE64 - 1
        while k < end:
            first, last = k, k
            while first >= begin and _in_base64(codes[first], across_lines):
                first -= 1
            while first < k and last < end and _in_base64(codes[last], across_lines):
                last += 1
            length = last - first - 1
            if length >= SHORTEST_BASE64:
                total[i] += length
                longest[i] = max(longest[i], length)
            begin = max(last, k)
            k = begin + SHORTEST_BASE64
    return total, longest


@inner_kernel
def _pair_end(codes, k, start, end, table, word, space):
    """Where `\\b(?:0x|\\\\x)?[0-9a-fA-F]{2}(?:,|\\b\\s*)` ends that begins at k, or -1."""
    if not _at_border(codes, k, start, end, table, word):
        return -1
    if k + 3 < end and (codes[k] == 48 or codes[k] == 92) and codes[k + 1] == 120:
        k += 2
    if k + 1 >= end or not _is_hex(codes[k]) or not _is_hex(codes[k + 1]):
        return -1
    k += 2
    if k < end and codes[k] == 44:
        return k + 1
    if not _at_border(codes, k, start, end, table, word):
        return -1
    while k < end and table[codes[k]] & space:
        k += 1
    return k


@kernel
def hex_pair_runs(codes, offsets, table, word, space):
    """Total and longest length of runs of at least 8 such pairs in each text."""
    total, longest = np.zeros(len(offsets) - 1, np.int64), np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        k, before = start, False
        while k < end:
            # A pair starts a word, or a backslash ends one; most words are found not to be pairs at a glance.
            inside = (table[codes[k]] & word) != 0
            if (inside and (before or not _is_hex(codes[k]))) or not (inside or codes[k] == 92):
                before = inside
                k += 1
                continue
            if inside and k + 1 < end and not (_is_hex(codes[k + 1]) or codes[k + 1] == 120):
                before = True
                k += 1
                continue
            at, pairs = k, 0
            following = _pair_end(codes, k, start, end, table, word, space)
            while following >= 0:
                at, pairs = following, pairs + 1
                following = _pair_end(codes, at, start, end, table, word, space)
            if pairs >= FEWEST_PAIRS:
                total[i] += at - k
                longest[i] = max(longest[i], at - k)
                k = at
            else:
                k += 1
            before = (table[codes[k - 1]] & word) != 0
    return total, longest


@kernel
def escape_runs(codes, offsets, places):
    """Total and longest length of `(?:\\u[0-9a-fA-F]{4}){8,}` in each text. places: where backslashes stand."""
    total, longest = np.zeros(len(offsets) - 1, np.int64), np.zeros(len(offsets) - 1, np.int64)
    i = done = 0
    for k in places:
        if k < done:
            continue
        while k >= offsets[i + 1]:
            i += 1
        at, end = k, offsets[i + 1]
        while at + 5 < end and codes[at] == 92 and codes[at + 1] == 117 and _four_hex(codes, at + 2):
            at += 6
        if at - k >= 6 * FEWEST_ESCAPES:
            total[i] += at - k
            longest[i] = max(longest[i], at - k)
        done = at
    return total, longest


@inner_kernel
def _four_hex(codes, k):
    return _is_hex(codes[k]) and _is_hex(codes[k + 1]) and _is_hex(codes[k + 2]) and _is_hex(codes[k + 3])


@kernel
def hex_words(codes, offsets, table, word):
    """Characters of `\\b0[xX][0-9a-fA-F]+\\b` in each text."""
    total = np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        for k in range(start, end - 2):
            if codes[k] != 48 or (codes[k + 1] | 32) != 120:
                continue
            if k > start and table[codes[k - 1]] & word:
                continue
            at = k + 2
            while at < end and _is_hex(codes[at]):
                at += 1
            if at > k + 2 and not (at < end and table[codes[at]] & word):
                total[i] += at - k
    return total
