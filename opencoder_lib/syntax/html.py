"""How much text a page of HTML shows, as the official filter measures it.

The official value is the length of BeautifulSoup's get_text (4.12.3, on the html.parser of Python 3.11.7), quirks of
both included; later versions of both read scripts, comments and broken markup differently. One difference remains:
letters beyond ASCII in the name of a tag are compared as written, not in lower case.
"""

from functools import cache
from html.entities import html5
from itertools import pairwise

import numpy as np

from opencoder_lib.syntax.html_scan import text_length
from opencoder_lib.syntax.html_tree import FLAGS, HIDES, KEEPS, KEY, VOID, name_key, slot_of

_VOID = """area base basefont bgsound br col command embed frame hr image img input isindex keygen link menuitem meta
nextid param source spacer track wbr"""
_FLAGS = dict.fromkeys(_VOID.split(), VOID) | dict.fromkeys(["pre", "textarea"], KEEPS)
_FLAGS |= dict.fromkeys(["rp", "rt", "script", "style", "template"], HIDES)
# Powers of two, more than twice the number of names.
_ENTITY_SLOTS, _ELEMENT_SLOTS = 8192, 128


def html_text_lengths(codes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Characters of visible text in each page, NaN where the parser refuses it. Pages as in `CodePoints`.

    Text is what stands between tags, character references resolved, and CDATA sections; not comments, declarations and
    the content of script, style, template, rt and rp. A text node of white space alone counts as one character. Linear.
    """
    lengths = [_length(codes[start:end]) for start, end in pairwise(offsets.tolist())]
    return np.array(lengths, np.float64)


def html_text_length(text: str) -> int | None:
    """Characters of visible text in one page, None where the parser refuses it."""
    return _length(_codes(text))


def _length(codes: np.ndarray) -> int | None:
    length = text_length(codes, *_tables())
    return None if length < 0 else length


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """The names of entities, and of elements with flags, as `html_scan` and `html_tree` want them."""
    # A semicolon is no part of the name. Two entities are blanks; all others stand for one or two other characters.
    lengths = {name.rstrip(";"): 0 if text in "\t\n" else len(text) for name, text in html5.items()}
    return _table(lengths, (_ENTITY_SLOTS, 2)), _table(_FLAGS, (_ELEMENT_SLOTS, 4))


def _table(values: dict[str, int], shape: tuple[int, int]) -> np.ndarray:
    table = np.zeros(shape, np.int64)
    for name, value in values.items():
        key = name_key(_codes(name), 0, len(name), False)
        slot = slot_of(table, key)
        table[slot, KEY], table[slot, FLAGS] = key, value
    return table
