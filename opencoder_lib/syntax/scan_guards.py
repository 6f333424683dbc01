"""What must stand around a literal for its rule to apply: the guards of scan_codes.py.

data, low, limit, pool as in scan_steps.py. Each looks back over one word or one run of blanks at most.
"""

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.scan_codes import (
    AFTER_DIGIT,
    ATTRIBUTE,
    BEFORE_REGEX,
    BEFORE_RUBY_REGEX,
    BRACKET,
    COLON,
    COLON_AFTER,
    COLUMN_0,
    COMMA,
    DOLLAR,
    EQUALS,
    FILE_START,
    FORMATTED,
    GREATER,
    HASKELL_SYMBOL,
    LINE_START,
    MINUS,
    NEWLINE,
    NINE,
    NO_OPERATOR,
    NO_SYMBOL_AROUND,
    NO_UNDERSCORE,
    OPEN,
    PHP_OPERATOR,
    RAW,
    REGEX_PLACE,
    RUBY_CHARACTER,
    RUBY_REGEX,
    SHELL_BREAK,
    SPACE,
    TAG_NAME,
    TOKEN_START,
    UNDERSCORE,
    WORD,
    WORD_START,
    ZERO,
    ZERO_AFTER,
    B,
    F,
    R,
    U,
)
from opencoder_lib.syntax.scan_steps import before_spaces, past_spaces, stands_at, word_before


@kernel
def python_prefix(data, i, low):
    """The letters of a string prefix before i: how many (-1: a longer name ends there), whether f, whether r."""
    j, formatted, raw = i, False, False
    while j > low and WORD[data[j - 1]]:
        letter = data[j - 1] | 32
        formatted |= letter == F
        raw |= letter == R
        j -= 1
        if i - j > 2 or (letter != F and letter != R and letter != B and letter != U):
            return -1, False, False
    return i - j, formatted, raw


@kernel
def shell_token_starts(data, i, low, token_end):
    """Whether a shell token starts at i, so that `#` opens a comment there."""
    if i in (low, token_end) or SHELL_BREAK[data[i - 1]]:
        return True
    # `$name#` and `12#`: the variable or the number is a token of its own.
    j = word_before(data, i, low)
    if j < i and data[j] == DOLLAR:
        return True
    for k in range(j, i):
        if not ZERO <= data[k] <= NINE:
            return False
    return j < i and (j == low or SHELL_BREAK[data[j - 1]])


@kernel
def regex_may_start(data, i, low, token_end, comment_start, comment_end, pool, words):
    """Whether a JavaScript slash at i opens a regular expression; `comment_…`: the last comments in a row."""
    if i == low or data[i - 1] == NEWLINE:
        return True
    i = before_spaces(data, i, low, True)
    if i == comment_end:
        i = before_spaces(data, comment_start, low, True)
    if i == low:
        return True
    byte, start = data[i - 1], word_before(data, i, low)
    if i == token_end:
        return False
    for k in range(len(words) if start < i else 0):
        if words[k, 1] - words[k, 0] == i - start and stands_at(data, start, i, pool, words[k, 0], words[k, 1]):
            return True
    # The release takes the arrow for a bracket, not an operator.
    arrow = byte == GREATER and i - 2 >= low and data[i - 2] == EQUALS and (i - 3 < low or data[i - 3] != EQUALS)
    return BEFORE_REGEX[byte] and not arrow


@kernel
def ruby_regex_starts(data, i, end, low, limit, pool, words):
    """Whether a Ruby slash opens a regular expression: it hugs what follows, or an operator or a word stands before."""
    j = before_spaces(data, i, low, True)
    before = data[j - 1] if j > low else NEWLINE
    if j == i:
        return i == low or BEFORE_RUBY_REGEX[before] or before in (OPEN, COMMA, BRACKET)
    start = word_before(data, j, low)
    if start < j and ZERO <= data[start] <= NINE:
        return False
    if before_spaces(data, i, low, False) < i and (end >= limit or not (SPACE[data[end]] or data[end] == EQUALS)):
        return True
    if BEFORE_RUBY_REGEX[before] or data[i - 1] == NEWLINE:
        return True
    for k in range(len(words)):
        if words[k, 1] - words[k, 0] == j - start and stands_at(data, start, j, pool, words[k, 0], words[k, 1]):
            return True
    return False


@kernel
def allowed(guard, data, i, end, low, limit, token_end, comment_start, comment_end, pool, words):
    """Whether the guard of a rule holds for its literal at data[i:end]."""
    before = data[i - 1] if i > low else NEWLINE
    if guard in (LINE_START, ZERO_AFTER):
        j, k = before_spaces(data, i, low, False), past_spaces(data, end, limit)
        at_start = j == low or data[j - 1] == NEWLINE
        return at_start and (guard == LINE_START or (k > end and k < limit and data[k] == ZERO))
    if guard == COLUMN_0:
        return before == NEWLINE
    if guard == FILE_START:
        return i == low
    if guard == WORD_START:
        return not WORD[before]
    if guard == TOKEN_START:
        return shell_token_starts(data, i, low, token_end)
    if guard == NO_OPERATOR:
        return i == comment_end or not PHP_OPERATOR[before]
    if guard == REGEX_PLACE:
        return regex_may_start(data, i, low, token_end, comment_start, comment_end, pool, words)
    if guard == ATTRIBUTE:
        j = before_spaces(data, i, low, True)
        return j > low and TAG_NAME[data[j - 1]]
    if guard == NO_SYMBOL_AROUND:
        return not HASKELL_SYMBOL[before] and (end >= limit or data[end] == MINUS or not HASKELL_SYMBOL[data[end]])
    if guard == RUBY_REGEX:
        return ruby_regex_starts(data, i, end, low, limit, pool, words)
    if guard == RUBY_CHARACTER:
        return not WORD[before] and (end >= limit or not WORD[data[end]])
    if guard == COLON_AFTER:
        while end < limit and (WORD[data[end]] or data[end] == MINUS):
            end += 1
        while end < limit and (data[end] == 32 or data[end] == 9):
            end += 1
        return end < limit and data[end] == COLON
    if guard == AFTER_DIGIT:
        return ZERO <= before <= NINE
    if guard == NO_UNDERSCORE:
        return before != UNDERSCORE
    letters, formatted, raw = python_prefix(data, i, low)
    if guard == FORMATTED:
        return letters > 0 and formatted
    if guard == RAW:
        return letters > 0 and raw and not formatted
    j = before_spaces(data, i - letters, low, False)
    return letters >= 0 and not formatted and (j == low or data[j - 1] == NEWLINE)
