"""The next token of a JavaScript text, for the compiled scanner; the legend of the arrays is in javascript_codes.

What esprima 4.0.1 refuses or reads in a way of its own makes the scanner unsure: octal numbers and escapes, escapes in
names, characters beyond ASCII outside strings and comments, HTML comments.
"""

import numpy as np

from opencoder_lib.compiled import inner_kernel
from opencoder_lib.syntax.javascript_codes import (
    ARROW_SIGN,
    AUGMENTED,
    BEFORE,
    BEGIN,
    BINARY,
    CHAIN,
    ELLIPSIS,
    END,
    FIRST_REGEX,
    KIND,
    KIND_OF,
    MODE,
    MOST_REGEXES,
    NAME,
    NEWER,
    NEWER_BINARY,
    NEWLINE,
    NOT,
    NUM_REGEXES,
    NUMBER,
    OPERATOR,
    POWER,
    PRIVATE,
    REGEX,
    SIGN,
    STRING,
    UNSURE,
    UPDATE,
)
from opencoder_lib.syntax.javascript_regex import is_plain

_LF, _BACKSLASH, _BACK_QUOTE = 10, 92, 96
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$"


def _table(characters: str) -> np.ndarray:
    return np.array([chr(byte) in characters for byte in range(256)])


_NAME_START, _IN_NAME, _DIGIT = _table(_LETTERS), _table(_LETTERS + "0123456789"), _table("0123456789")
_HEX, _SPACE, _SINGLE = _table("0123456789abcdefABCDEF"), _table(" \t\v\f"), _table("()[]{};,:`~")
# Words by the low bytes of their letters read as a number, spread over a table without collisions.
_SLOTS, _SPREAD = 1024, 0x1E3779B97F4A7C15


def _packed(word: str) -> int:
    return int.from_bytes(word.encode()[-8:], "big", signed=True)


def _slot(packed: int, spread: int) -> int:
    return ((packed * spread) >> 50) & (_SLOTS - 1)


while len({_slot(_packed(word), _SPREAD) for word in KIND_OF}) < len(KIND_OF):
    _SPREAD += 2
_KINDS, _PACKED, _LENGTHS = np.full(_SLOTS, NAME), np.zeros(_SLOTS, np.int64), np.zeros(_SLOTS, np.int64)
for _word, _kind in KIND_OF.items():
    _at = _slot(_packed(_word), _SPREAD)
    _KINDS[_at], _PACKED[_at], _LENGTHS[_at] = _kind, _packed(_word), len(_word)


@inner_kernel
def advance(data, s):
    """Read the next token into the state. A slash opens a regular expression unless an operator is expected."""
    s[BEFORE] = s[KIND]
    i = _after_space(data, s)
    s[BEGIN] = i
    char = data[i]
    if _NAME_START[char]:
        _word(data, s, i)
    elif _SINGLE[char]:
        s[KIND], s[END] = char, i + 1
        if char == ord("~"):
            s[KIND] = NOT
    elif char == ord('"') or char == ord("'"):
        _string(data, s, i)
    elif _DIGIT[char] or (char == ord(".") and _DIGIT[data[i + 1]]):
        _number(data, s, i)
    elif char == ord("/") and s[MODE] != OPERATOR:
        _regex(data, s, i)
    elif char == 0:
        s[KIND], s[END] = 0, i
    else:
        _sign(data, s, i)


@inner_kernel
def _after_space(data, s):
    """The place of the next token; whether a line ends before it goes to the state."""
    i, newline = s[END], False
    while True:
        char = data[i]
        if _SPACE[char]:
            i += 1
        elif char == _LF:
            newline = True
            i += 1
        elif char == ord("/") and data[i + 1] == ord("/"):
            while data[i] != _LF and data[i] != 0:
                i += 1
        elif char == ord("/") and data[i + 1] == ord("*"):
            i += 2
            while data[i] != 0 and not (data[i] == ord("*") and data[i + 1] == ord("/")):
                newline |= data[i] == _LF
                i += 1
            if data[i] == 0:
                s[UNSURE] = 1
                break
            i += 2
        else:
            break
    s[NEWLINE] = newline
    return i


@inner_kernel
def _word(data, s, i):
    packed = np.int64(0)
    start = i
    while _IN_NAME[data[i]]:
        packed = (packed << 8) | np.int64(data[i])
        i += 1
    if data[i] == _BACKSLASH or data[i] >= 128:
        s[UNSURE] = 1
    slot = ((packed * _SPREAD) >> 50) & (_SLOTS - 1)
    s[KIND], s[END] = NAME, i
    # Of words longer than eight letters the first ones are left to compare: they start with i or p.
    same = _PACKED[slot] == packed and _LENGTHS[slot] == i - start
    if same and (i - start <= 8 or _first_letters(data, start, i - start)):
        s[KIND] = _KINDS[slot]


@inner_kernel
def _first_letters(data, start, length):
    """Whether these are the first letters of instanceof, implements, interface or protected."""
    if length == 9:
        return data[start] == (ord("i") if data[start + 1] == ord("n") else ord("p"))
    return data[start] == ord("i") and data[start + 1] == (ord("n") if data[start + 2] == ord("s") else ord("m"))


@inner_kernel
def _number(data, s, i):
    letter = data[i + 1] | 32
    if data[i] == ord("0") and (letter == ord("x") or letter == ord("o") or letter == ord("b")):
        i += 2
        while _HEX[data[i]] or data[i] == ord("_"):
            if data[i] == ord("_"):
                s[NEWER] = 1
            i += 1
    else:
        # An octal number, or one that looks like it.
        if data[i] == ord("0") and (_DIGIT[data[i + 1]] or data[i + 1] == ord("_")):
            s[UNSURE] = 1
        i = _digits(data, s, i)
        if data[i] == ord("."):
            i = _digits(data, s, i + 1)
        if data[i] | 32 == ord("e"):
            i += 2 if data[i + 1] == ord("+") or data[i + 1] == ord("-") else 1
            i = _digits(data, s, i)
    if data[i] == ord("n"):
        s[NEWER] = 1
        i += 1
    if _IN_NAME[data[i]] or data[i] == _BACKSLASH or data[i] >= 128:
        s[UNSURE] = 1
    s[KIND], s[END] = NUMBER, i


@inner_kernel
def _digits(data, s, i):
    while _DIGIT[data[i]] or data[i] == ord("_"):
        if data[i] == ord("_"):
            s[NEWER] = 1
        i += 1
    return i


@inner_kernel
def _after_escape(data, s, i):
    """The place after the escape whose backslash is at i."""
    char, following = data[i + 1], data[i + 2]
    if _DIGIT[char]:
        if char != ord("0") or _DIGIT[following]:
            s[UNSURE] = 1
    elif char == ord("x"):
        if not (_HEX[following] and _HEX[data[i + 3]]):
            s[UNSURE] = 1
    elif char == ord("u") and following == ord("{"):
        # Up to five digits: more may be too large for a character.
        k = i + 3
        while _HEX[data[k]] and k < i + 8:
            k += 1
        if k == i + 3 or data[k] != ord("}"):
            s[UNSURE] = 1
    elif char == ord("u"):
        for k in range(i + 2, i + 6):
            if not _HEX[data[k]]:
                s[UNSURE] = 1
                break
    elif char == 0:
        s[UNSURE] = 1
        return i + 1
    return i + 2


@inner_kernel
def _string(data, s, i):
    quote = data[i]
    i += 1
    while data[i] != quote:
        if data[i] == _BACKSLASH:
            i = _after_escape(data, s, i)
        elif data[i] == _LF or data[i] == 0:
            s[UNSURE] = 1
            break
        else:
            i += 1
    s[KIND], s[END] = STRING, i + 1 if data[i] == quote else i


@inner_kernel
def template_goes_on(data, s):
    """Read what is left of a template up to its end or its next `${`; whether it is the latter."""
    i = s[END]
    while data[i] != _BACK_QUOTE and not (data[i] == ord("$") and data[i + 1] == ord("{")):
        if data[i] == _BACKSLASH:
            i = _after_escape(data, s, i)
        elif data[i] == 0:
            s[UNSURE] = 1
            s[END] = i
            return False
        else:
            i += 1
    s[END] = i + 1 if data[i] == _BACK_QUOTE else i + 2
    s[KIND] = _BACK_QUOTE
    return data[i] != _BACK_QUOTE


@inner_kernel
def _regex(data, s, i):
    start, in_set = i + 1, False
    i += 1
    while in_set or data[i] != ord("/"):
        if data[i] == _BACKSLASH:
            i += 1
        elif data[i] == ord("["):
            in_set = True
        elif data[i] == ord("]"):
            in_set = False
        if data[i] == _LF or data[i] == 0:
            s[UNSURE], s[KIND], s[END] = 1, REGEX, i
            return
        i += 1
    if not is_plain(data, start, i):
        if s[NUM_REGEXES] == MOST_REGEXES:
            s[UNSURE] = 1
        else:
            entry = FIRST_REGEX + 2 * s[NUM_REGEXES]
            s[entry], s[entry + 1] = start, i
            s[NUM_REGEXES] += 1
    i += 1
    while _IN_NAME[data[i]]:
        i += 1
    if data[i] == _BACKSLASH or data[i] >= 128:
        s[UNSURE] = 1
    s[KIND], s[END] = REGEX, i


@inner_kernel
def _sign(data, s, i):
    """Read an operator, a dot, or what the scanner does not know."""
    char, second = data[i], data[i + 1]
    kind, end = BINARY, i + 1
    if char == ord("."):
        kind = char
        if second == char and data[i + 2] == char:
            kind, end = ELLIPSIS, i + 3
    elif char == ord("="):
        kind = char
        if second == ord(">"):
            kind, end = ARROW_SIGN, i + 2
        elif second == char:
            kind, end = BINARY, i + 3 if data[i + 2] == char else i + 2
    elif char == ord("!"):
        kind = NOT
        if second == ord("="):
            kind, end = BINARY, i + 3 if data[i + 2] == ord("=") else i + 2
    elif char == ord("+") or char == ord("-"):
        kind = SIGN
        if second == char:
            kind, end = UPDATE, i + 2
            # It may close an HTML comment.
            if char == ord("-") and data[i + 2] == ord(">"):
                s[UNSURE] = 1
        elif second == ord("="):
            kind, end = AUGMENTED, i + 2
    elif char == ord("?"):
        kind = char
        if second == ord(".") and not _DIGIT[data[i + 2]]:
            kind, end = CHAIN, i + 2
        elif second == char:
            kind, end = NEWER_BINARY, i + 2
            if data[i + 2] == ord("="):
                kind, end = AUGMENTED, i + 3
                s[NEWER] = 1
    elif char == ord("&") or char == ord("|"):
        kind, end = _logical(data, s, i)
    elif char == ord("<") or char == ord(">"):
        end = i + 1
        while data[end] == char and end < i + (2 if char == ord("<") else 3):
            end += 1
        if data[end] == ord("="):
            # `<=` compares, `<<=` assigns.
            kind = BINARY if end == i + 1 else AUGMENTED
            end += 1
        elif char == ord("<") and second == ord("!") and data[i + 2] == ord("-"):
            s[UNSURE] = 1
    elif char == ord("*") or char == ord("/") or char == ord("%") or char == ord("^"):
        kind = char if char == ord("*") else BINARY
        if second == ord("="):
            kind, end = AUGMENTED, i + 2
        elif char == ord("*") and second == char:
            kind, end = POWER, i + 2
            if data[end] == ord("="):
                kind, end = AUGMENTED, end + 1
    elif char == ord("#") and _NAME_START[second]:
        end = i + 2
        while _IN_NAME[data[end]]:
            end += 1
        kind = PRIVATE
        s[NEWER] = 1
        if data[end] == _BACKSLASH or data[end] >= 128:
            s[UNSURE] = 1
    else:
        s[UNSURE] = 1
    s[KIND], s[END] = kind, end


@inner_kernel
def _logical(data, s, i):
    char, end = data[i], i + 1
    if data[end] == char:
        end += 1
    if data[end] != ord("="):
        return BINARY, end
    if end > i + 1:
        s[NEWER] = 1
    return AUGMENTED, end + 1
