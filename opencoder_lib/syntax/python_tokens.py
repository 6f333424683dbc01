"""The tokens of a Python text, as the standard tokenizer of Python 3.11 finds them, in one pass of a compiled loop.

That tokenizer works on physical lines and forgives much: of a stray character, or a quote that nothing closes, it skips
that one character. It gives up on a bracket, a triple quote or a continued line that is open at the end, and on a line
indented less than the one before but like none further out. The loop here takes linear time, does the same under any
version of Python, and on text that parses finds what the parser sees; where that is in doubt, it says so.

Legend: `data` (n,) uint8 is the text in UTF-8; all bytes from 128 on belong to names. A token has a kind (uint8), a
start and an end (int32, in bytes). A kind is the ASCII code of a one-character operator or one of the constants below.
White space, comments and line feeds within brackets are no tokens.
"""

import numpy as np

from opencoder_lib.compiled import kernel

# TEXT, BYTES and FORMATTED are string literals, AUGMENTED is `+=` and the like, OPERATOR any other one.
END, NEWLINE, INDENT, DEDENT, NAME, NUMBER, TEXT, BYTES, FORMATTED, AUGMENTED, OPERATOR = range(128, 139)
# In order of length. `match` and `case` may be names too.
KEYWORDS = ["as", "if", "in", "def", "for", "try", "case", "elif", "else", "from", "pass", "with", "async", "class"]
KEYWORDS += ["match", "while", "yield", "except", "import", "lambda", "return", "finally"]
_FIRST_KEYWORD = 160
KIND_OF = {word: _FIRST_KEYWORD + number for number, word in enumerate(KEYWORDS)}
# What a kind adds to the open brackets.
BRACKETS = np.array([(chr(kind) in "([{") - (chr(kind) in ")]}") for kind in range(256)])

# Keywords as numbers, the first letter lowest; those of length k are from _OF_LENGTH[k] to _OF_LENGTH[k + 1].
_PACKED = np.array([int.from_bytes(word.encode(), "little") for word in KEYWORDS])
_LONGEST = len(KEYWORDS[-1])
_OF_LENGTH = np.searchsorted([len(word) for word in KEYWORDS], np.arange(_LONGEST + 2))
_TAB, _LF, _FF, _CR, _BACKSLASH = 9, 10, 12, 13, 92
_TAB_SIZE = 8
# How a string ends: closed on its first line or on a later one; unclosed on its line, and then it is none; given up on
# a later line that neither closes nor continues it; never.
_CLOSED, _CLOSED_LATER, _UNCLOSED, _GIVEN_UP, _OPEN = range(5)


def _table(characters: str, rest: bool = False) -> np.ndarray:
    """Which bytes are among `characters`; `rest` is the answer from 128 on."""
    return np.array([chr(byte) in characters if byte < 128 else rest for byte in range(256)])


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_DIGIT, _DIGITS, _HEX_DIGITS = _table("0123456789"), _table("0123456789_"), _table("0123456789abcdefABCDEF_")
_NAME_START, _IN_NAME = _table(_LETTERS, rest=True), _table(_LETTERS + "0123456789", rest=True)
_PREFIX, _BYTES_PREFIX, _FORMAT_PREFIX = _table("rRuUbBfFtT"), _table("bB"), _table("fFtT")
_QUOTE, _BRACE = _table("'\""), _table("{}")
_DOUBLES, _ARITHMETIC, _BEFORE_EQUALS = _table("*/<>"), _table("+-*/%&|^@"), _table("+-*/%&|^@<>!:=")
# The operators that statements are told apart by.
_OWN_KIND = _table("()[]{},:;=.@*/-")


@kernel
def tokens(data: np.ndarray, nested: bool):
    """The kinds, starts and ends of the tokens; the starts and ends of the comments (c, 2); whether the tokenizer gives
    up; whether the parser may see other tokens. nested: a string in an f-string may have the quotes of the f-string."""
    n = len(data)
    # A line may have an indent, which takes at least a byte, and later a dedent, which takes none.
    size = n + n // 2 + 4
    kinds, starts, ends = np.empty(size, np.uint8), np.empty(size, np.int32), np.empty(size, np.int32)
    comments = np.empty((n // 2 + 1, 2), np.int32)
    # A byte moves at most 8 columns, so n bytes hold at most 4 sqrt(n) lines each further in than the one before.
    columns = np.zeros(int(4 * np.sqrt(n)) + 4, np.int64)
    # By quote, up to where it is known that no such one closes: or else a line of quotes would take quadratic time.
    dead = np.zeros(64, np.int64)
    level = count = num_comments = brackets = i = 0
    new_line, continued, fails, odd, wary = True, False, False, False, False
    while i < n:
        if new_line and brackets == 0 and not continued:
            column, i = _indentation(data, i)
            if i == n:
                break
            if data[i] == ord("#") or data[i] == _LF or data[i] == _CR:
                end = _line_end(data, i)
                if data[i] == ord("#"):
                    comments[num_comments, 0], comments[num_comments, 1] = i, _without_returns(data, i, end)
                    num_comments += 1
                i = end + 1
                continue
            if column > columns[level]:
                level += 1
                columns[level] = column
                count = _put(kinds, starts, ends, count, INDENT, i, i)
            while column < columns[level]:
                level -= 1
                count = _put(kinds, starts, ends, count, DEDENT, i, i)
            if column != columns[level]:
                fails = True
                break
            # What a backslash does to indentation only the parser knows.
            odd |= data[i] == _BACKSLASH
        new_line = continued = False
        start = i
        if _NAME_START[data[i]]:
            i = _name_end(data, i)
            if i == n or not _QUOTE[data[i]] or not _is_prefix(data, start, i):
                count = _put(kinds, starts, ends, count, _name_kind(data, start, i), start, i)
                continue
        char = data[i]
        if _QUOTE[char]:
            i, how = _string_end(data, i, dead, wary)
            if how == _OPEN:
                fails = True
                break
            new_line = how == _GIVEN_UP
            if how in (_CLOSED, _CLOSED_LATER):
                kind = _string_kind(data, start)
                odd |= nested and kind == FORMATTED and not _is_plain(data, start, i)
                count = _put(kinds, starts, ends, count, kind, start, i)
            # Once it gave up on a string, the tokenizer does so on triple quotes too, until a long string is closed.
            wary = how == _GIVEN_UP or (wary and how != _CLOSED_LATER)
        elif char == _LF:
            i, new_line = i + 1, True
            if brackets == 0:
                count = _put(kinds, starts, ends, count, NEWLINE, start, i)
        elif char == ord("#"):
            i = _comment_end(data, i)
            comments[num_comments, 0], comments[num_comments, 1] = start, i
            num_comments += 1
        elif char == _BACKSLASH:
            i = _after_line_end(data, i + 1)
            new_line = continued = i > start + 1
        elif char <= ord(" "):
            i += 1
        else:
            i, kind = _symbol(data, i)
            count = _put(kinds, starts, ends, count, kind, start, i)
            brackets += BRACKETS[char]
    if count > 0 and kinds[count - 1] != NEWLINE:
        count = _put(kinds, starts, ends, count, NEWLINE, n, n)
    count = _put(kinds, starts, ends, count, END, n, n)
    fails |= continued or brackets != 0
    return kinds[:count], starts[:count], ends[:count], comments[:num_comments], fails, odd


@kernel
def _put(kinds, starts, ends, count, kind, start, end):
    """Append a token; the number of tokens then."""
    kinds[count], starts[count], ends[count] = kind, start, end
    return count + 1


@kernel
def _string_end(data, i, dead, wary):
    """The place after the string at i, and how it ends. Of an unclosed one only the quote is skipped."""
    quote = data[i]
    if i + 2 < len(data) and data[i + 1] == quote and data[i + 2] == quote:
        return _closing(data, i + 3, quote, 3, wary)
    if i < dead[quote]:
        return i + 1, _UNCLOSED
    end, how = _closing(data, i + 1, quote, 1, True)
    if how != _UNCLOSED:
        return end, how
    # A later quote on this line was passed over as an escaped one: what comes after it has been looked at already.
    dead[quote] = end
    return i + 1, how


@kernel
def _closing(data, i, quote, size, wary):
    """The place after the string whose `size` quotes open it before i, and how it ends; if unclosed, its line's end.

    A wary tokenizer gives up on a second or later line with no backslash at its end, escaped or not.
    """
    n, line = len(data), -1
    while i < n:
        if data[i] == quote and (size == 1 or (i + 2 < n and data[i + 1] == quote and data[i + 2] == quote)):
            return i + size, _CLOSED if line < 0 else _CLOSED_LATER
        if data[i] == _BACKSLASH and _after_line_end(data, i + 1) > i + 1:
            i = line = _after_line_end(data, i + 1)
        elif data[i] == _BACKSLASH:
            i += 2
        elif data[i] == _LF:
            if line < 0 and size == 1:
                return i, _UNCLOSED
            last = i - 2 if data[i - 1] == _CR else i - 1
            if line >= 0 and wary and (last < line or data[last] != _BACKSLASH):
                return i + 1, _GIVEN_UP
            i = line = i + 1
        else:
            i += 1
    if line < 0:
        return n, _UNCLOSED if size == 1 else _OPEN
    return n, _GIVEN_UP if wary and line < n else _OPEN


@kernel
def _indentation(data, i):
    """The column of the first character that is no white space, and its place."""
    column = 0
    while i < len(data):
        if data[i] == ord(" "):
            column += 1
        elif data[i] == _TAB:
            column = (column // _TAB_SIZE + 1) * _TAB_SIZE
        elif data[i] == _FF:
            column = 0
        else:
            break
        i += 1
    return column, i


@kernel
def _line_end(data, i):
    """The place of the next line feed, or the end of the text."""
    while i < len(data) and data[i] != _LF:
        i += 1
    return i


@kernel
def _after_line_end(data, i):
    """The place after the line end (LF or CRLF) at i; i if there is none."""
    if i < len(data) and data[i] == _LF:
        return i + 1
    return i + 2 if i + 1 < len(data) and data[i] == _CR and data[i + 1] == _LF else i


@kernel
def _comment_end(data, i):
    """The end of the comment at i, if it does not fill its line."""
    while i < len(data) and data[i] != _LF and data[i] != _CR:
        i += 1
    return i


@kernel
def _without_returns(data, start, end):
    """`end`, moved before the carriage returns in front of it. Only a comment that fills its line may hold one."""
    while end > start and data[end - 1] == _CR:
        end -= 1
    return end


@kernel
def _name_end(data, i):
    """The place after the name at i."""
    while i < len(data) and _IN_NAME[data[i]]:
        i += 1
    return i


@kernel
def _is_prefix(data, start, end):
    """Whether the name before a quote is the prefix of a string, such as rb."""
    return end - start <= 2 and _PREFIX[data[start]] and _PREFIX[data[end - 1]]


@kernel
def _name_kind(data, start, end):
    """NAME, or the kind of a keyword."""
    length = end - start
    if length > _LONGEST:
        return NAME
    packed = np.int64(0)
    for i in range(end - 1, start - 1, -1):
        packed = packed * 256 + np.int64(data[i])
    for number in range(_OF_LENGTH[length], _OF_LENGTH[length + 1]):
        if packed == _PACKED[number]:
            return _FIRST_KEYWORD + number
    return NAME


@kernel
def _string_kind(data, i):
    """TEXT, BYTES or FORMATTED, as the prefix at i says."""
    kind = TEXT
    while not _QUOTE[data[i]]:
        if _BYTES_PREFIX[data[i]]:
            kind = BYTES
        elif _FORMAT_PREFIX[data[i]]:
            kind = FORMATTED
        i += 1
    return kind


@kernel
def _is_plain(data, i, end):
    """Whether an f-string that ends at its next quote surely does so in Python 3.12 too: the quotes inside its braces
    come in pairs, and hold no brace, no backslash and no quote of another sort."""
    while not _QUOTE[data[i]]:
        i += 1
    size = 3 if end - i >= 6 and data[i + 1] == data[i] and data[i + 2] == data[i] else 1
    i, end, braces = i + size, end - size, 0
    while i < end:
        char, pair = data[i], i + 1 < end and data[i] == data[i + 1]
        if braces == 0 and char == _BACKSLASH:
            # A backslash before a brace does not escape it.
            i += 1 if i + 1 < end and _BRACE[data[i + 1]] else 2
        elif braces == 0 and pair and _BRACE[char]:
            i += 2
        elif _BRACE[char]:
            braces += 1 if char == ord("{") else -1
            if braces < 0:
                return False
            i += 1
        elif braces > 0 and (char == _BACKSLASH or char == ord("#")):
            return False
        elif braces > 0 and _QUOTE[char]:
            if pair and i + 2 < end and data[i + 2] == char:
                return False
            i = _nested_end(data, i, end)
            if i < 0:
                return False
        else:
            i += 1
    return braces == 0


@kernel
def _nested_end(data, i, end):
    """The place after the simple string at i inside the braces of an f-string; -1 if it is not simple."""
    quote = data[i]
    i += 1
    while i < end and data[i] != quote:
        char = data[i]
        if _BRACE[char] or _QUOTE[char] or char in (_BACKSLASH, _LF):
            return -1
        i += 1
    return i + 1 if i < end else -1


@kernel
def _symbol(data, i):
    """The place after the number or operator at i, and its kind."""
    n, char = len(data), data[i]
    following = data[i + 1] if i + 1 < n else 0
    if _DIGIT[char] or (char == ord(".") and _DIGIT[following]):
        return _number_end(data, i), NUMBER
    if char == ord(".") and following == ord(".") and i + 2 < n and data[i + 2] == ord("."):
        # An ellipsis is a literal as numbers are.
        return i + 3, NUMBER
    if char == ord("-") and following == ord(">"):
        return i + 2, OPERATOR
    end = i + 1
    if _DOUBLES[char] and following == char:
        end += 1
    if _BEFORE_EQUALS[char] and end < n and data[end] == ord("="):
        return end + 1, AUGMENTED if _ARITHMETIC[char] or end > i + 1 else OPERATOR
    # `**` keeps the kind of `*`, which is all that a parameter list asks; `//` is no `/`.
    if _OWN_KIND[char] and (end == i + 1 or char == ord("*")):
        return end, char
    return end, OPERATOR


@kernel
def _number_end(data, i):
    """The place after the number at i. A keyword may follow at once: `0or x`, `0xfor x`."""
    n = len(data)
    following = data[i + 1] | 32 if i + 1 < n else 0
    if data[i] == ord("0") and (following == ord("x") or following == ord("o") or following == ord("b")):
        i += 2
        while i < n and (_HEX_DIGITS[data[i]] if following == ord("x") else _DIGITS[data[i]]):
            i += 1
        return i
    i = _digits_end(data, i)
    if i < n and data[i] == ord("."):
        i = _digits_end(data, i + 1)
    if i + 1 < n and data[i] | 32 == ord("e"):
        signed = data[i + 1] == ord("+") or data[i + 1] == ord("-")
        digits = i + 2 if signed else i + 1
        if digits < n and _DIGIT[data[digits]]:
            i = _digits_end(data, digits)
    return i + 1 if i < n and data[i] | 32 == ord("j") else i


@kernel
def _digits_end(data, i):
    """The place after the digits and underscores at i."""
    while i < len(data) and _DIGITS[data[i]]:
        i += 1
    return i
