"""Whether a regular expression is one that Python's `re` surely compiles, told by a compiled loop.

Compiling takes a tenth of a millisecond; most patterns of real files are so plain that there is no doubt.
"""

import numpy as np

from opencoder_lib.compiled import inner_kernel

_BACKSLASH, _DEEPEST, _MOST_DIGITS = 92, 50, 4
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALNUM = np.array([chr(byte) in _LETTERS + "0123456789" for byte in range(256)])
_DIGIT = np.array([chr(byte) in "0123456789" for byte in range(256)])
# What may follow a backslash, besides signs: classes and controls that both languages have.
_ESCAPED = np.array(
    [chr(byte) in "sSdDwWnrtfv" or (32 < byte < 127 and not chr(byte).isalnum()) for byte in range(256)]
)


@inner_kernel
def is_plain(data, i, end):
    """Whether the pattern from i to end surely compiles; if not, it may still."""
    depth, repeatable = 0, False
    while i < end:
        char = data[i]
        if char == _BACKSLASH:
            is_border = data[i + 1] == ord("b") or data[i + 1] == ord("B")
            if not (_ESCAPED[data[i + 1]] or is_border):
                return False
            repeatable = not is_border
            i += 2
        elif char == ord("["):
            i = _set_end(data, i, end)
            if i < 0:
                return False
            repeatable = True
        elif char == ord("("):
            depth += 1
            i += 1
            if data[i] == ord("?"):
                if data[i + 1] != ord(":") and data[i + 1] != ord("=") and data[i + 1] != ord("!"):
                    return False
                i += 2
            repeatable = False
        elif char == ord(")"):
            depth -= 1
            if depth < 0:
                return False
            repeatable = True
            i += 1
        elif char == ord("*") or char == ord("+") or char == ord("?") or char == ord("{"):
            i = _repeat_end(data, i) if repeatable else -1
            if i < 0:
                return False
            repeatable = False
        else:
            repeatable = char != ord("|") and char != ord("^") and char != ord("$")
            i += 1
        if depth > _DEEPEST:
            return False
    return depth == 0


@inner_kernel
def _repeat_end(data, i):
    """The place after the repetition at i; -1 if it is not one of the usual ones."""
    if data[i] == ord("{"):
        least, i = _number(data, i + 1)
        most = least
        if i > 0 and data[i] == ord(","):
            i += 1
            if _DIGIT[data[i]]:
                most, i = _number(data, i)
        if i < 0 or most < least or data[i] != ord("}"):
            return -1
    i += 1
    return i + 1 if data[i] == ord("?") else i


@inner_kernel
def _number(data, i):
    """The number at i and the place after it; -1 if it is none, or long."""
    start, number = i, 0
    while _DIGIT[data[i]] and i < start + _MOST_DIGITS:
        number = number * 10 + np.int64(data[i]) - ord("0")
        i += 1
    if i == start or _DIGIT[data[i]]:
        return 0, -1
    return number, i


@inner_kernel
def _set_end(data, i, end):
    """The place after the set at i; -1 if it is doubtful. Ranges are those of letters or digits."""
    i += 1
    if data[i] == ord("^"):
        i += 1
    if data[i] == ord("]"):
        return -1
    before = 0
    while i < end and data[i] != ord("]"):
        char = data[i]
        if char == _BACKSLASH:
            if not (_ESCAPED[data[i + 1]] or data[i + 1] == ord("b")):
                return -1
            # Of no use as the start of a range.
            before = 255
            i += 2
        elif char == ord("-") and before > 0 and data[i + 1] != ord("]"):
            if not (_ALNUM[before] and _ALNUM[data[i + 1]] and before <= data[i + 1]):
                return -1
            before = 0
            i += 2
        else:
            before = char
            i += 1
    return i + 1 if i < end else -1
