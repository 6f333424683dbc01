"""What stands between quotes, paired as blindly as the release does: no escapes, and an apostrophe opens a string.

codes, offsets and table as in `kernels`. A span is the inside of a pair of quotes, never empty.
"""

import numpy as np

from opencoder_lib.compiled import inner_kernel, kernel

_HTTP = np.frombuffer("http".encode("utf-32-le"), np.uint32)


@inner_kernel
def _next_triple(codes, k, end, quote):
    """The first place from k where three quotes stand, or -1."""
    while k + 2 < end:
        if codes[k] == quote and codes[k + 1] == quote and codes[k + 2] == quote:
            return k
        k += 1
    return -1


@inner_kernel
def _next_quote(codes, k, end, quote, across_lines):
    """The first place from k where the quote stands, or -1."""
    while k < end and (across_lines or codes[k] != 10):
        if codes[k] == quote:
            return k
        k += 1
    return -1


@kernel
def spans(codes, offsets, across_lines):
    """Begin and end of every span, and where the spans of each text begin.

    Three equal quotes open what the next three close, else one quote what the next one closes; a single quote's span
    may cross lines only if across_lines. As `'''(.*?)'''|\\"\\"\\"(.*?)\\"\\"\\"|'(.*?)'|"(.*?)"` would match.
    """
    begins, ends = np.empty(len(codes) // 2 + 1, np.int64), np.empty(len(codes) // 2 + 1, np.int64)
    bounds = np.zeros(len(offsets), np.int64)
    n = 0
    for i in range(len(offsets) - 1):
        k, end = offsets[i], offsets[i + 1]
        # Once no closing quotes are left, none need be looked for again: this keeps the scan linear.
        more_triples, more_quotes = np.ones(128, np.bool_), np.ones(128, np.bool_)
        while k < end:
            quote = codes[k]
            if quote != 34 and quote != 39:
                k += 1
                continue
            if more_triples[quote] and k + 2 < end and codes[k + 1] == quote and codes[k + 2] == quote:
                close = _next_triple(codes, k + 3, end, quote)
                if close >= 0:
                    if close > k + 3:
                        begins[n], ends[n] = k + 3, close
                        n += 1
                    k = close + 3
                    continue
                more_triples[quote] = False
            close = _next_quote(codes, k + 1, end, quote, across_lines) if more_quotes[quote] else -1
            if close < 0:
                more_quotes[quote] = not across_lines
                k += 1
                continue
            if close > k + 1:
                begins[n], ends[n] = k + 1, close
                n += 1
            k = close + 1
        bounds[i + 1] = n
    return begins[:n].copy(), ends[:n].copy(), bounds


@kernel
def long_pieces(codes, begins, ends, bounds, table, word, space, most_words):
    """Lines inside spans with more than `most_words` words (runs of one kind of visible character), by text."""
    counts = np.zeros(len(bounds) - 1, np.int64)
    for i in range(len(bounds) - 1):
        for s in range(bounds[i], bounds[i + 1]):
            words = before = 0
            for k in range(begins[s], ends[s] + 1):
                if k == ends[s] or codes[k] == 10:
                    counts[i] += words > most_words
                    words = before = 0
                    continue
                bits = table[codes[k]]
                kind = 1 if bits & word else (0 if bits & space else 2)
                words += kind != 0 and kind != before
                before = kind
    return counts


@kernel
def long_words(codes, begins, ends, bounds, table, space, longest):
    """Characters of the words inside spans that have more than `longest` and hold no web address, by text."""
    total = np.zeros(len(bounds) - 1, np.int64)
    for i in range(len(bounds) - 1):
        for s in range(bounds[i], bounds[i + 1]):
            start = begins[s]
            for k in range(begins[s], ends[s] + 1):
                if k < ends[s] and not table[codes[k]] & space:
                    continue
                if k - start > longest and not _holds_address(codes, start, k):
                    total[i] += k - start
                start = k + 1
    return total


@inner_kernel
def _holds_address(codes, start, end):
    """Whether `https?://` and one more character stand in the word."""
    for k in range(start, end - 7):
        if codes[k] == _HTTP[0] and codes[k + 1] == _HTTP[1] and codes[k + 2] == _HTTP[2] and codes[k + 3] == _HTTP[3]:
            at = k + 4 + (codes[k + 4] == 115)
            if at + 3 < end and codes[at] == 58 and codes[at + 1] == 47 and codes[at + 2] == 47:
                return True
    return False
