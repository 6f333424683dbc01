"""How many characters of text BeautifulSoup 4.12.3 finds on the html.parser of Python 3.11.7 (compiled).

The parser reads a text twice. The first reading stops at whatever might still grow if more input came; the second goes
on from there and takes what is unfinished as text. When the second stops too, all that is left is text.

codes, rest and pieces as in `html_markup`, elements and tally as in `html_tree`. entities: table of the names of
entities, with the number of characters they stand for in the second column, 0 for one blank.
"""

import numpy as np

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.html_markup import (
    AMPERSAND,
    CLOSED,
    DASH,
    DOT,
    END,
    GREATER,
    HASH,
    LAST_GREATER,
    LAST_SEMICOLON,
    LESS,
    MAX_DIGITS,
    OPEN,
    REFUSED,
    SCRIPT,
    SECTION,
    SEMICOLON,
    SEPARATOR,
    STOP,
    STYLE,
    TEXT,
    count,
    is_digit,
    is_letter,
    markup,
    next_place,
    raw_end,
    rest_of,
)
from opencoder_lib.syntax.html_tree import (
    KEY,
    NAMES,
    TOTAL,
    add_section,
    add_text,
    close_element,
    end_text,
    is_blank,
    name_key,
    new_tree,
    open_element,
    slot_of,
    with_room,
)

# Letters of the longest name of an entity.
MAX_ENTITY = 31


@kernel
def text_length(codes, entities, elements):
    """Characters of text, or -1 if the parser raises."""
    n, i, second = len(codes), 0, False
    tree, rest, seen = new_tree(elements, count(codes, LESS)), rest_of(codes), np.zeros(0, np.uint8)
    while i < n:
        start, i = i, _next_markup(codes, i)
        add_text(tree.tally, i - start, _is_solid(codes, start, i))
        if i == n:
            break
        if codes[i] == AMPERSAND:
            what, after, start, end = _reference(codes, i, rest, entities, second)
        else:
            what, after, start, end = markup(codes, i, rest, seen)
        if what <= END:
            if 2 * tree.tally[NAMES] >= len(tree.names):
                tree = with_room(tree)
            after = _tag(codes, what, after, start, end, tree)
        elif what in (TEXT, STOP):
            add_text(tree.tally, start, end)
        elif what == SEPARATOR:
            end_text(tree.tally)
        elif what == SECTION:
            add_section(tree.tally, end - start, _is_solid(codes, start, end))
        elif what == REFUSED:
            return -1
        if what in (OPEN, STOP):
            # The first reading ends here; the second takes it as text.
            start = after
            if second:
                after = n if what == STOP else _unfinished_end(codes, i, rest)
                add_text(tree.tally, after - start, 1)
            second, seen = True, seen if second else np.zeros(n + 1, np.uint8)
        i = after
    end_text(tree.tally)
    return tree.tally[TOTAL]


@kernel
def _next_markup(codes, k):
    """The next place from k of `<` or `&`, or the end."""
    while k < len(codes) and codes[k] != LESS and codes[k] != AMPERSAND:
        k += 1
    return k


@kernel
def _is_solid(codes, start, end):
    """Whether some of these characters are not blank."""
    while start < end and is_blank(codes[start]):
        start += 1
    return start < end


@kernel
def _tag(codes, what, after, start, end, tree):
    """Tell the tree about a tag; returns the place to go on from, which is after the content of scripts and styles."""
    key = name_key(codes, start, end, True)
    if what == END:
        close_element(tree, key)
        return after
    open_element(tree, key, what == CLOSED)
    if what in (SCRIPT, STYLE):
        after = raw_end(codes, after, what)
        if after < 0:
            return len(codes)
        close_element(tree, key)
    return after


@kernel
def _unfinished_end(codes, i, rest):
    """Where unfinished markup that is taken as text ends: after the next `>`, else before the next `<`."""
    if rest[LAST_GREATER] > i:
        return next_place(codes, i + 1, GREATER) + 1
    k = next_place(codes, i + 1, LESS)
    return k if k < len(codes) else i + 1


@kernel
def _reference(codes, i, rest, entities, second):
    """The character reference that starts with the `&` at i: TEXT, or STOP or REFUSED.

    A name that is no entity is text, but loses its semicolon. The parser wants to see what follows a name.
    """
    n = len(codes)
    if i + 1 == n:
        return STOP, i, 0, 0
    if codes[i + 1] == HASH:
        return _number(codes, i, rest)
    if not is_letter(codes[i + 1]):
        return TEXT, i + 1, 1, 1
    end = i + 2
    while end < n and (is_letter(codes[end]) or is_digit(codes[end]) or codes[end] == DASH or codes[end] == DOT):
        end += 1
    if end == n:
        end = n - 1
        while end > i and codes[end] != DASH and codes[end] != DOT:
            end -= 1
        if end == i:
            # The second reading loses the ampersand before a single last letter.
            return STOP, i + 1 if second and i + 2 == n else i, 0, 0
    after = end + 1 if codes[end] == SEMICOLON else end
    if end - i - 1 <= MAX_ENTITY:
        slot = slot_of(entities, name_key(codes, i + 1, end, False))
        if entities[slot, KEY] != 0:
            length = entities[slot, 1]
            return TEXT, after, max(length, 1), min(length, 1)
    return TEXT, after, end - i, 1


@kernel
def _number(codes, i, rest):
    """`&#` is one character. Without a number and its end the parser stops, after `&#` if any `;` is still to come."""
    n, k, value = len(codes), i + 2, 0
    base = 16 if k < n and (codes[k] == 88 or codes[k] == 120) else 10
    start = k = k + 1 if base == 16 else k
    while k < n and _digit(codes[k]) < base:
        value = min(value * base + _digit(codes[k]), 0x110000)
        k += 1
    if k in (start, n) or _digit(codes[k]) < 16:
        if rest[LAST_SEMICOLON] < i:
            return STOP, i, 0, 0
        return STOP, i + 2, 2, 1
    if base == 10 and k - start > MAX_DIGITS:
        return REFUSED, i, 0, 0
    return TEXT, k + 1 if codes[k] == SEMICOLON else k, 1, 0 if is_blank(value) else 1


@kernel
def _digit(c):
    """The value of a hexadecimal digit, 16 of anything else."""
    if is_digit(c):
        return np.int64(c) - 48
    if 65 <= c <= 70 or 97 <= c <= 102:
        return (np.int64(c) | 32) - 87
    return np.int64(16)
