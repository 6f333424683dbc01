"""Small steps over the bytes of a file that the other modules of compiled code share.

data: the bytes; low, limit: the part of them that is looked at; pool[start:end]: a literal.
"""

import numpy as np

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.scan_codes import BACKSLASH, DOLLAR, NEWLINE, SPACE, WORD


@kernel
def stands_at(data, i, limit, pool, start, end):
    """Whether pool[start:end] stands at data[i:limit]."""
    if i + end - start > limit:
        return False
    k = 0
    while k < end - start and data[i + k] == pool[start + k]:
        k += 1
    return k == end - start


@kernel
def next_place(data, i, limit, first, mode):
    """The first place from i on where a rule of the mode may apply, or the limit."""
    while i < limit and first[mode, data[i]] < 0:
        i += 1
    return i


@kernel
def find(data, i, limit, pool, start, end):
    """Where pool[start:end] stands first in data[i:limit], or -1."""
    head = pool[start]
    for j in range(i, limit - (end - start) + 1):
        if data[j] == head and stands_at(data, j, limit, pool, start, end):
            return j
    return -1


@kernel
def line_end(data, i, limit, continues):
    """The next line feed at or after i; one after a backslash does not count if the line may continue."""
    while i < limit and (data[i] != NEWLINE or (continues and data[i - 1] == BACKSLASH)):
        i += 1
    return i


@kernel
def before_spaces(data, i, low, lines):
    """The place after the last byte before i that is no white space; line feeds are none unless `lines`."""
    while i > low and SPACE[data[i - 1]] and (lines or data[i - 1] != NEWLINE):
        i -= 1
    return i


@kernel
def past_spaces(data, i, limit):
    """The first place from i on that is no white space."""
    while i < limit and SPACE[data[i]]:
        i += 1
    return i


@kernel
def past_word(data, i, limit):
    """The first place from i on that is no letter, digit, underscore or byte beyond ASCII."""
    while i < limit and WORD[data[i]]:
        i += 1
    return i


@kernel
def word_before(data, i, low):
    """Where the word that ends at i starts; dollar signs count as letters."""
    while i > low and (WORD[data[i - 1]] or data[i - 1] == DOLLAR):
        i -= 1
    return i


@kernel
def grown(array):
    """The same array with twice the room."""
    larger = np.zeros(2 * len(array), array.dtype)
    larger[: len(array)] = array
    return larger
