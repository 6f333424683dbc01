"""Compiled loops over the characters and words of a shard. Each is the plain loop its docstring says, nothing more.

codes: code points of all texts, one after another (uint32). offsets: text i is codes[offsets[i] : offsets[i + 1]].
table: one entry per code point, looked up by its number. starts, lengths: words, in characters of `codes`.
Compiled on first use and kept on disk after that; no loop depends on how many threads there are.
"""

import numpy as np

from opencoder_lib.compiled import inner_kernel, kernel

# Class bits of a character; of the first two a character has at most one. CODE_SPACE is white space without U+001C to
# U+001F: the `\\s` of the engine that the release uses for code.
WORD, SPACE, ALPHA, DIGIT, UPPER, LOWER, CLASSIFIED, CODE_SPACE = np.uint8(1) << np.arange(8, dtype=np.uint8)
KIND = WORD | SPACE
# Flags of a normalisation entry, above the 21 bits of the character it becomes.
KNOWN, CHECK, HARD, DELETED = 1 << 28, 1 << 29, 1 << 30, 1 << 31
_CHARACTER = (1 << 21) - 1


@kernel
def unknown_codes(codes, table):
    """The distinct code points whose entry is still zero; marks them with 1 so that each is listed once."""
    found = np.empty(min(len(codes), len(table)), np.uint32)
    n = 0
    for code in codes:
        if table[code] == 0:
            found[n] = code
            n += 1
            table[code] = 1
    return found[:n].copy()


@kernel
def class_histogram(codes, offsets, table):
    """How often each class byte occurs in each text: (texts, 256) integers."""
    counts = np.zeros((len(offsets) - 1, 256), np.int64)
    for i in range(len(offsets) - 1):
        row = counts[i]
        for k in range(offsets[i], offsets[i + 1]):
            row[table[codes[k]]] += 1
    return counts


@kernel
def count_either(codes, offsets, one, other):
    """How often one of two characters occurs in each text."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(offsets) - 1):
        n = 0
        for k in range(offsets[i], offsets[i + 1]):
            n += (codes[k] == one) | (codes[k] == other)
        counts[i] = n
    return counts


@kernel
def line_lengths(codes, offsets):
    """Lines of each text and characters of its longest one, line feed included: two arrays. Only LF ends a line."""
    num, longest = np.zeros(len(offsets) - 1, np.int64), np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        for k in range(start, end):
            if codes[k] == 10:
                num[i] += 1
                longest[i] = max(longest[i], k + 1 - start)
                start = k + 1
        if start < end:
            num[i] += 1
            longest[i] = max(longest[i], end - start)
    return num, longest


@kernel
def translate(codes, offsets, table):
    """The texts with each character replaced by its entry, those marked DELETED left out.

    Returns the new codes, the new offsets, and the flags of each text: the entries of its characters or-ed together.
    """
    result, ends = np.empty(len(codes), np.uint32), np.zeros(len(offsets), np.int64)
    flags = np.zeros(len(offsets) - 1, np.uint32)
    n = 0
    for i in range(len(offsets) - 1):
        seen = np.uint32(0)
        for k in range(offsets[i], offsets[i + 1]):
            entry = table[codes[k]]
            seen |= entry
            result[n] = entry & np.uint32(_CHARACTER)
            n += (entry & np.uint32(DELETED)) == 0
        flags[i] = seen
        ends[i + 1] = n
    return result[:n], ends, flags


@kernel
def word_borders(codes, offsets, table):
    """The maximal runs of word characters, and of characters that are neither word characters nor white space.

    Returns starts and lengths of the words, and where the words of each text begin (one more than texts).
    """
    starts, ends = np.empty(len(codes) + 1, np.uint32), np.empty(len(codes) + 1, np.uint32)
    bounds = np.zeros(len(offsets), np.int64)
    begun, ended = np.uint32(0), np.uint32(0)
    for i in range(len(offsets) - 1):
        before = SPACE
        for k in range(offsets[i], offsets[i + 1]):
            # Without a branch: where words end cannot be predicted. What is written too early is written over.
            kind = table[codes[k]] & KIND
            starts[begun] = ends[ended] = k
            begun += np.uint32((kind != before) & (kind != SPACE))
            ended += np.uint32((kind != before) & (before != SPACE))
            before = kind
        if before != SPACE:
            ends[ended] = offsets[i + 1]
            ended += np.uint32(1)
        bounds[i + 1] = begun
    lengths = ends[:ended] - starts[:begun]
    return starts[:begun].copy(), lengths.astype(np.int32), bounds


@inner_kernel
def hashed(value, code):
    """The 64-bit hash of a word that goes on with one more character. Begins with 0."""
    value = (value + np.uint64(code) + np.uint64(1)) * np.uint64(0x9FB21C651E98DF25)
    return value ^ (value >> np.uint64(32))


@kernel
def word_hashes(codes, starts, lengths):
    """The same hash for words whose borders are given."""
    hashes = np.empty(len(starts), np.uint64)
    for w in range(len(starts)):
        value = np.uint64(0)
        for k in range(starts[w], starts[w] + lengths[w]):
            value = hashed(value, codes[k])
        hashes[w] = value
    return hashes


@kernel
def word_classes(codes, starts, lengths, table):
    """The class bits of each word: those of its characters or-ed together."""
    found = np.zeros(len(starts), np.uint8)
    for w in range(len(starts)):
        bits = np.uint8(0)
        for k in range(starts[w], starts[w] + lengths[w]):
            bits |= table[codes[k]]
        found[w] = bits
    return found


@kernel
def visible_lines(codes, offsets, table, space):
    """The lines of each text that hold a character outside the class `space`."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(offsets) - 1):
        visible = False
        for k in range(offsets[i], offsets[i + 1]):
            if codes[k] == 10:
                counts[i] += visible
                visible = False
            elif not table[codes[k]] & space:
                visible = True
        counts[i] += visible
    return counts


@kernel
def bare_line_keys(codes, offsets, table, space, left_out, num_lines):
    """A 64-bit hash and the length of each visible line without its characters of class `left_out`, and where the lines
    of each text begin. num_lines: how many there are."""
    hashes, lengths = np.empty(num_lines + 1, np.uint64), np.empty(num_lines + 1, np.int64)
    ends = np.zeros(len(offsets), np.int64)
    n = 0
    for i in range(len(offsets) - 1):
        value, length, visible = np.uint64(0), 0, False
        for k in range(offsets[i], offsets[i + 1]):
            if codes[k] == 10:
                hashes[n], lengths[n] = value, length
                n += visible
                value, length, visible = np.uint64(0), 0, False
                continue
            bits = table[codes[k]]
            kept = (bits & left_out) == 0
            following = hashed(value, codes[k])
            value = following if kept else value
            length += kept
            visible |= (bits & space) == 0
        hashes[n], lengths[n] = value, length
        n += visible
        ends[i + 1] = n
    return hashes[:n], lengths[:n], ends


@kernel
def stripped_line_keys(codes, offsets, table, space, num_lines):
    """The same for lines that are stripped of `space` at both ends and otherwise as found."""
    hashes, lengths = np.empty(num_lines, np.uint64), np.empty(num_lines, np.int64)
    ends = np.zeros(len(offsets), np.int64)
    n = 0
    for i in range(len(offsets) - 1):
        k = offsets[i]
        while k < offsets[i + 1]:
            first = last = -1
            while k < offsets[i + 1] and codes[k] != 10:
                if not table[codes[k]] & space:
                    first = k if first < 0 else first
                    last = k
                k += 1
            k += 1
            if first >= 0:
                value = np.uint64(0)
                for at in range(first, last + 1):
                    value = hashed(value, codes[at])
                hashes[n], lengths[n] = value, last + 1 - first
                n += 1
        ends[i + 1] = n
    return hashes[:n], lengths[:n], ends


@kernel
def sentences(codes, offsets, table, word, enders):
    """Matches of `\\b[^E]+[E]*` in each text, E being the characters `enders`."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(offsets) - 1):
        k, end, before = offsets[i], offsets[i + 1], False
        while k < end:
            inside = (table[codes[k]] & word) != 0
            if inside == before or _one_of(codes[k], enders):
                before = inside
                k += 1
                continue
            counts[i] += 1
            while k < end and not _one_of(codes[k], enders):
                k += 1
            while k < end and _one_of(codes[k], enders):
                k += 1
            before = (table[codes[k - 1]] & word) != 0
    return counts


@inner_kernel
def _one_of(code, characters):
    # numba does not compile `any` over a generator.
    for character in characters:  # noqa: SIM110
        if code == character:
            return True
    return False
