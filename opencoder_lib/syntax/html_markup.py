"""Where each piece of markup ends and what it is, as the html.parser of Python 3.11.7 sees it (compiled).

codes: the characters of a text (uint32). i: where the markup starts. rest: what is known of the rest of the text, so
that nothing is looked for in vain twice. seen: see `_attributes`.
A piece is (what, after, start, end): what it is; the place after it; where the name or the content starts and ends, if
it has one; for TEXT, instead, how many characters it is and whether they are more than blanks.
"""

import numpy as np

from opencoder_lib.compiled import kernel

# First the tags, CLOSED being a start tag that ends in `/>`. Then what is no tag: text; a CDATA section; what ends a
# text node without being text; and what does not even do that.
START, SCRIPT, STYLE, CLOSED, END = range(5)
TEXT, SECTION, SEPARATOR, NOTHING = range(5, 9)
# Not complete; the parser goes no further than `after`, having read some TEXT perhaps; it raises.
OPEN, STOP, REFUSED = range(9, 12)
# What stands where in `rest`: the last place of a character, or -1; the end of the tag name read last; and 1 if no
# more such end follows.
LAST_GREATER, LAST_SEMICOLON, LAST_QUOTE, LAST_APOSTROPHE = range(4)
NAME_END, NO_COMMENT_END, NO_CDATA_END, NO_OFFICE_END = range(4, 8)
# int() raises on more decimal digits.
MAX_DIGITS = 4300

BANG, QUOTE, HASH, AMPERSAND, APOSTROPHE, DASH, DOT, SLASH, COLON = 33, 34, 35, 38, 39, 45, 46, 47, 58
SEMICOLON, LESS, EQUALS, GREATER, QUESTION, LEFT, RIGHT, UNDERSCORE = 59, 60, 61, 62, 63, 91, 93, 95
_SCRIPT, _STYLE, _DOCTYPE, _CDATA = (np.frombuffer(w, np.uint8) for w in (b"script", b"style", b"doctype", b"cdata"))
_TEMP, _IGNORE, _INCLUDE, _RCDATA = (np.frombuffer(w, np.uint8) for w in (b"temp", b"ignore", b"include", b"rcdata"))
_IF, _ELSE, _ENDIF = (np.frombuffer(w, np.uint8) for w in (b"if", b"else", b"endif"))


@kernel
def is_letter(c):
    """Whether `[a-zA-Z]` matches."""
    return 97 <= c <= 122 or 65 <= c <= 90


@kernel
def is_digit(c):
    """Whether `[0-9]` matches."""
    return 48 <= c <= 57


@kernel
def _is_space(c):
    """Whether `\\s` matches."""
    if c <= 32:
        return c == 32 or 9 <= c <= 13 or 28 <= c <= 31
    if c < 0x1680:
        return c == 0x85 or c == 0xA0
    return c == 0x1680 or 0x2000 <= c <= 0x200A or 0x2028 <= c <= 0x2029 or c == 0x202F or c == 0x205F or c == 0x3000


@kernel
def _ends_name(c):
    """Whether a tag name ends before c. Not every white space does that, but a NUL does."""
    return c <= 62 and (c in (GREATER, SLASH, 32) or 9 <= c <= 10 or 12 <= c <= 13 or c == 0)


@kernel
def _spaces(codes, k):
    """The first place from k without white space."""
    while k < len(codes) and _is_space(codes[k]):
        k += 1
    return k


@kernel
def next_place(codes, k, char):
    """The first place from k where the character stands, or the end."""
    while k < len(codes) and codes[k] != char:
        k += 1
    return k


@kernel
def _is_word(codes, start, end, word):
    """Whether these characters are the word, in any case."""
    if end - start != len(word) or end > len(codes):
        return False
    for k in range(len(word)):
        c = codes[start + k]
        if c != word[k] and not (is_letter(c) and c + 32 == word[k]):
            return False
    return True


@kernel
def count(codes, char):
    """How often the character occurs."""
    number = 0
    for c in codes:
        number += c == char
    return number


@kernel
def rest_of(codes):
    """What is known of the rest of a text at its beginning."""
    rest = np.zeros(8, np.int64)
    rest[LAST_GREATER], rest[LAST_SEMICOLON] = _last(codes, GREATER), _last(codes, SEMICOLON)
    rest[LAST_QUOTE], rest[LAST_APOSTROPHE] = _last(codes, QUOTE), _last(codes, APOSTROPHE)
    return rest


@kernel
def _last(codes, char):
    k = len(codes) - 1
    while k >= 0 and codes[k] != char:
        k -= 1
    return k


@kernel
def markup(codes, i, rest, seen):
    """The piece of markup that starts with the `<` at i."""
    if i + 1 == len(codes):
        return STOP, i, 0, 0
    following = codes[i + 1]
    if is_letter(following):
        return _start_tag(codes, i, rest, seen)
    if following == SLASH:
        return _end_tag(codes, i, rest)
    if following in (BANG, QUESTION):
        return _declaration(codes, i, rest)
    return TEXT, i + 1, 1, 1


@kernel
def _start_tag(codes, i, rest, seen):
    n, name_end = len(codes), rest[NAME_END]
    if name_end < i + 2:
        name_end = i + 2
        while name_end < n and not _ends_name(codes[name_end]):
            name_end += 1
        rest[NAME_END] = name_end
    if name_end < n and codes[name_end] == 0 and not _may_precede_attribute(codes[name_end - 1]):
        return TEXT, name_end, name_end - i, 1
    if rest[LAST_GREATER] < name_end:
        return OPEN, i, 0, 0
    what, after = _attributes(codes, name_end, rest, seen)
    if what == OPEN:
        return OPEN, i, 0, 0
    if what == START and _is_word(codes, i + 1, name_end, _SCRIPT):
        what = SCRIPT
    elif what == START and _is_word(codes, i + 1, name_end, _STYLE):
        what = STYLE
    return what, after, i + 1, name_end


@kernel
def _may_precede_attribute(c):
    return c in (SLASH, QUOTE, APOSTROPHE) or _is_space(c)


@kernel
def _attributes(codes, k, rest, seen):
    """What the start tag is whose name ends at k (START, CLOSED, OPEN or REFUSED), and the place after it.

    seen: marks the attributes of the second reading. The tag that had this attribute before was unfinished, or its end
    would have been passed; so this tag is unfinished too.
    """
    n, refused = len(codes), False
    while True:
        while k < n and (_is_space(codes[k]) or (codes[k] == SLASH and not (k + 1 < n and codes[k + 1] == GREATER))):
            k += 1
        if k < n and codes[k] == GREATER:
            return REFUSED if refused else START, k + 1
        if k < n and codes[k] == SLASH:
            return REFUSED if refused else CLOSED, k + 2
        if k == n or not _may_precede_attribute(codes[k - 1]) or (len(seen) and seen[k]):
            return OPEN, k
        if len(seen):
            seen[k] = 1
        k += 1
        while k < n and not (codes[k] == EQUALS or codes[k] == GREATER or codes[k] == SLASH or _is_space(codes[k])):
            k += 1
        start, end, after = _value(codes, k, rest)
        if after >= 0:
            k = after
            refused = refused or (end - start > MAX_DIGITS and _has_long_number(codes, start, end))


@kernel
def _value(codes, k, rest):
    """Start, end, and end with quotes of the attribute value whose `=` may stand at k, after white space.

    A quote that is never closed starts no value; then the parser steps back: to a value that is empty (if white space
    stands before the quote), or to one that starts with the last of several `=`. All three are -1 if there is none.
    """
    n, equals = len(codes), _spaces(codes, k)
    after = equals
    while after < n and codes[after] == EQUALS:
        after += 1
    if after == equals:
        return -1, -1, -1
    start = _spaces(codes, after)
    if start < n and (codes[start] == QUOTE or codes[start] == APOSTROPHE):
        if rest[LAST_QUOTE if codes[start] == QUOTE else LAST_APOSTROPHE] > start:
            end = next_place(codes, start + 1, codes[start])
            return start + 1, end, end + 1
        if start > after:
            return start - 1, start - 1, start - 1
        if after - equals < 2:
            return -1, -1, -1
        start = after - 1
    end = start
    while end < n and codes[end] != GREATER and not _is_space(codes[end]):
        end += 1
    return start, end, end


@kernel
def _has_long_number(codes, k, end):
    """Whether an attribute's value holds a decimal reference that int() refuses."""
    while k + 1 < end:
        if codes[k] == AMPERSAND and codes[k + 1] == HASH:
            start = k = k + 2
            while k < end and is_digit(codes[k]):
                k += 1
            if k - start > MAX_DIGITS:
                return True
        else:
            k += 1
    return False


@kernel
def _end_tag(codes, i, rest):
    """Anything up to `>`: an end tag if a name follows at once, else a comment, or nothing at all if it is empty."""
    if rest[LAST_GREATER] < i + 2:
        return OPEN, i, 0, 0
    start, end, after = _plain_end_tag(codes, i)
    if after >= 0:
        return END, after, start, end
    start = end = i + 2
    after = next_place(codes, start, GREATER) + 1
    if not is_letter(codes[start]):
        return NOTHING if codes[start] == GREATER else SEPARATOR, after, 0, 0
    while not _ends_name(codes[end]):
        end += 1
    return END, after, start, end


@kernel
def _plain_end_tag(codes, i):
    """Start and end of the name, and the place after, of an end tag with nothing but a name; the last is -1 if not so.

    White space may stand around the name, which has only ASCII letters, digits and `-.:_`.
    """
    n = len(codes)
    start = end = _spaces(codes, i + 2)
    if start < n and is_letter(codes[start]):
        while end < n and (_is_name_letter(codes[end]) or codes[end] == COLON):
            end += 1
        close = _spaces(codes, end)
        if close < n and codes[close] == GREATER:
            return start, end, close + 1
    return start, end, -1


@kernel
def _is_name_letter(c):
    return is_letter(c) or is_digit(c) or c in (DASH, DOT, UNDERSCORE)


@kernel
def raw_end(codes, k, what):
    """The place after the end tag of the script or style (`what`) whose content starts at k, or -1 if it has none."""
    while k + 1 < len(codes):
        if codes[k] == LESS and codes[k + 1] == SLASH:
            start, end, after = _plain_end_tag(codes, k)
            if after >= 0 and _is_word(codes, start, end, _SCRIPT if what == SCRIPT else _STYLE):
                return after
        k += 1
    return -1


@kernel
def _declaration(codes, i, rest):
    """`<!` or `<?`: a comment, a marked section, or anything else up to the next `>`."""
    n, bang = len(codes), codes[i + 1] == BANG
    if bang and i + 2 < n and codes[i + 2] == LEFT:
        return _section(codes, i, rest)
    if bang and i + 3 < n and codes[i + 2] == DASH and codes[i + 3] == DASH:
        after = -1 if rest[NO_COMMENT_END] else _comment_end(codes, i + 4)
        rest[NO_COMMENT_END] = after < 0
    else:
        start = i + 9 if bang and _is_word(codes, i + 2, i + 9, _DOCTYPE) else i + 2
        after = -1 if rest[LAST_GREATER] < start else next_place(codes, start, GREATER) + 1
    return (OPEN, i, 0, 0) if after < 0 else (SEPARATOR, after, 0, 0)


@kernel
def _comment_end(codes, k):
    """The place after the first `-->` from k, white space before `>` allowed; -1 if there is none."""
    while k + 2 < len(codes):
        if codes[k] == DASH and codes[k + 1] == DASH:
            end = _spaces(codes, k + 2)
            if end < len(codes) and codes[end] == GREATER:
                return end + 1
        k += 1
    return -1


@kernel
def _section(codes, i, rest):
    """`<![`: a CDATA section, or another known one, which is no text. The parser raises on unknown ones."""
    n, start = len(codes), i + 3
    if start == n:
        return OPEN, i, 0, 0
    end = start
    while end < n and is_letter(codes[start]) and _is_name_letter(codes[end]):
        end += 1
    if end > start and _spaces(codes, end) == n:
        return OPEN, i, 0, 0
    brackets = _brackets(codes, start, end)
    if brackets == 0:
        return REFUSED, i, 0, 0
    missing = NO_CDATA_END if brackets == 2 else NO_OFFICE_END
    stop, after = (-1, -1) if rest[missing] else _section_end(codes, start, brackets)
    if after < 0:
        rest[missing] = 1
        return OPEN, i, 0, 0
    is_text = codes[end] == LEFT and _is_word(codes, start, end, _CDATA)
    return SECTION if is_text else SEPARATOR, after, end + 1, stop


@kernel
def _brackets(codes, start, end):
    """How many brackets end a section of this name: two, one in those of Microsoft Office, none if it is unknown."""
    for word in (_CDATA, _TEMP, _IGNORE, _INCLUDE, _RCDATA):
        if _is_word(codes, start, end, word):
            return 2
    for word in (_IF, _ELSE, _ENDIF):
        if _is_word(codes, start, end, word):
            return 1
    return 0


@kernel
def _section_end(codes, k, brackets):
    """Start of, and place after, the first `]>` or `]]>` from k, white space between allowed; -1 if there is none."""
    n = len(codes)
    while k < n:
        if codes[k] == RIGHT:
            end = _spaces(codes, k + 1)
            if brackets == 2:
                end = _spaces(codes, end + 1) if end < n and codes[end] == RIGHT else n
            if end < n and codes[end] == GREATER:
                return k, end + 1
        k += 1
    return -1, -1
