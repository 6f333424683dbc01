"""The elements of a page as BeautifulSoup 4.12.3 nests them, and how much text stands in them (compiled).

That tree knows no implied end tags: an end tag closes everything up to the last open element of its name.
A name is known by its 64-bit hash. A hash table is an integer array whose length is a power of two: one row a name, the
hash in the first column, 0 in free rows.
"""

from typing import NamedTuple

import numpy as np

from opencoder_lib.compiled import kernel

# What a name makes of its element: no text below it, white space kept, never any content.
HIDES, KEEPS, VOID = 1, 2, 4
# The columns of a table of elements: hash; flags as above; elements open; end tags that will be ignored.
KEY, FLAGS, OPENED, IGNORED = range(4)
# What stands where in `tally`. Characters of text so far; those of the text node being read, and whether it has more
# than blanks; open elements that hide text, that keep white space, and all of them; names in the table.
TOTAL, RUN, SOLID, HIDDEN, KEPT, DEPTH, NAMES = range(7)
_PRIME, _BASIS = np.int64(0x100000001B3), np.int64(0xCBF29CE484222325 - 2**64)


class Tree(NamedTuple):
    """names: table of elements. stack: the hashes of the open elements. tally: see above. All int64."""

    names: np.ndarray
    stack: np.ndarray
    tally: np.ndarray


@kernel
def is_blank(c):
    """Whether a text node of nothing but such characters shrinks to one."""
    return c == 32 or 9 <= c <= 10 or 12 <= c <= 13


@kernel
def name_key(codes, start, end, fold):
    """A 64-bit hash of a name, which stands for it below; ASCII letters in lower case if `fold`. Never 0."""
    key = _BASIS
    for k in range(start, end):
        c = np.int64(codes[k])
        if fold and 65 <= c <= 90:
            c += 32
        key = (key ^ c) * _PRIME
    # The table looks at the low bits.
    key ^= key >> 32
    return key if key else np.int64(1)


@kernel
def slot_of(table, key):
    """The row of a hash table that holds the key, or the free one for it."""
    mask = len(table) - 1
    slot = key & mask
    while table[slot, KEY] != 0 and table[slot, KEY] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def new_tree(elements, num_tags):
    """The tree before the first of at most num_tags tags; elements: the table of the names with flags."""
    tally = np.zeros(7, np.int64)
    return Tree(_moved(elements, len(elements), tally), np.empty(num_tags, np.int64), tally)


@kernel
def with_room(tree):
    """The tree with room for more names."""
    tree.tally[NAMES] = 0
    return Tree(_moved(tree.names, 2 * len(tree.names), tree.tally), tree.stack, tree.tally)


@kernel
def _moved(names, size, tally):
    """A larger table with the same names, which it counts."""
    larger = np.zeros((size, 4), np.int64)
    for old in range(len(names)):
        if names[old, KEY] != 0:
            tally[NAMES] += 1
            new = slot_of(larger, names[old, KEY])
            for column in range(4):
                larger[new, column] = names[old, column]
    return larger


@kernel
def add_text(tally, length, solid):
    """The text node grows; solid if some of it is not blank."""
    tally[RUN] += length
    tally[SOLID] |= solid


@kernel
def end_text(tally):
    """The text node is complete. White space alone counts as one character, except in pre and textarea."""
    if tally[HIDDEN] == 0:
        tally[TOTAL] += tally[RUN] if tally[SOLID] or tally[KEPT] else min(tally[RUN], 1)
    tally[RUN] = tally[SOLID] = 0


@kernel
def add_section(tally, length, solid):
    """A CDATA section is a text node of its own, seen even where text is hidden. An empty one becomes one space."""
    end_text(tally)
    tally[TOTAL] += length if solid or tally[KEPT] else 1


@kernel
def open_element(tree, key, closed):
    """A start tag, closed if it ends in `/>`.

    An element that never has content is closed at once, and the next end tag of its name, wherever it comes, ignored.
    That may be the one implied by `/>`, which then leaves its element open.
    """
    names, stack, tally = tree
    end_text(tally)
    slot = slot_of(names, key)
    if names[slot, KEY] == 0:
        names[slot, KEY] = key
        tally[NAMES] += 1
    if closed:
        if names[slot, IGNORED] == 0:
            return
        names[slot, IGNORED] -= 1
    elif names[slot, FLAGS] & VOID:
        names[slot, IGNORED] += 1
        return
    stack[tally[DEPTH]] = key
    tally[DEPTH] += 1
    _count(names, slot, tally, 1)


@kernel
def close_element(tree, key):
    """An end tag closes all elements up to the last open one of its name; without one it only ends the text node."""
    names, stack, tally = tree
    wanted = slot_of(names, key)
    if names[wanted, IGNORED] > 0:
        names[wanted, IGNORED] -= 1
        return
    end_text(tally)
    closing = names[wanted, OPENED] > 0
    while closing:
        tally[DEPTH] -= 1
        slot = slot_of(names, stack[tally[DEPTH]])
        _count(names, slot, tally, -1)
        closing = slot != wanted


@kernel
def _count(names, slot, tally, change):
    """One open element more or less."""
    names[slot, OPENED] += change
    if names[slot, FLAGS] & HIDES:
        tally[HIDDEN] += change
    if names[slot, FLAGS] & KEEPS:
        tally[KEPT] += change
