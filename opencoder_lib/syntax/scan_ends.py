"""Where strings, literals, here-documents and tags end, by the rules of each language's lexer.

data, limit, pool as in scan_steps.py; i is where a form opens, or the place after its opening literal. A function that
may fail again and again also tells how many bytes it read, so that the caller can stop it in time.
"""

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.scan_codes import (
    APOSTROPHE,
    BACKSLASH,
    BACKTICK,
    BRACE,
    BRACKET,
    BRACKETS,
    CLOSE,
    CLOSE_BRACKET,
    CLOSE_END,
    DOUBLED,
    ENDS_WITH_LINE,
    EQUALS,
    ESCAPES,
    FLAGS,
    GREATER,
    HASH,
    HASHES,
    LESS,
    LETTER,
    LITERAL,
    LITERAL_END,
    MINUS,
    NESTED,
    NEWLINE,
    NINE,
    OPEN,
    PARENTHESES,
    PERCENT,
    QUOTE,
    REGEX_FLAGS,
    RUBY_KIND,
    SEMICOLON,
    SIGIL,
    SIGIL_MARK,
    SLASH,
    SPACE,
    TAG_NAME,
    TILDE,
    UNDERSCORE,
    WORD,
    ZERO,
)
from opencoder_lib.syntax.scan_steps import before_spaces, find, line_end, past_spaces, past_word, stands_at


@kernel
def close_of(data, i, limit, pool, rule):
    """Where what `rule` opened before i ends, and whether its close was found there."""
    start, end, flags = rule[CLOSE], rule[CLOSE_END], rule[FLAGS]
    opening, opening_end = rule[LITERAL], rule[LITERAL_END]
    head, opening_head, depth = pool[start], pool[opening], 1
    escapes, lines, nested, doubled = flags & ESCAPES, flags & ENDS_WITH_LINE, flags & NESTED, flags & DOUBLED
    while i < limit:
        byte = data[i]
        if byte == head and stands_at(data, i, limit, pool, start, end):
            i += end - start
            if doubled and i < limit and data[i] == head:
                i += 1
                continue
            depth -= 1
            if depth == 0:
                return i, True
        elif byte == BACKSLASH and escapes:
            i += 2
        elif byte == NEWLINE and lines:
            return i, False
        elif nested and byte == opening_head and stands_at(data, i, limit, pool, opening, opening_end):
            depth += 1
            i += opening_end - opening
        else:
            i += 1
    return limit, False


@kernel
def character_end(data, i, limit, one_line):
    """Where the quoted character that opens at i ends, or -1: one character, or a backslash and at most ten bytes."""
    j = i + 1
    if j >= limit or (data[j] == NEWLINE and one_line):
        return -1
    if data[j] == BACKSLASH:
        for k in range(j + 2, min(j + 12, limit)):
            if data[k] == data[i] or data[k] == NEWLINE:
                return k + 1 if data[k] == data[i] else -1
        return -1
    j += 1
    while j < limit and 128 <= data[j] < 192:
        j += 1
    return j + 1 if j < limit and data[j] == data[i] else -1


@kernel
def regex_end(data, i, limit):
    """Where the regular expression that opens at i ends, flags included; the line end if it is none there."""
    j, in_class = i + 1, False
    while j < limit and data[j] != NEWLINE and (in_class or data[j] != SLASH):
        if data[j] == BACKSLASH and j + 1 < limit and data[j + 1] != NEWLINE:
            j += 1
        elif data[j] == BRACKET or data[j] == CLOSE_BRACKET:
            in_class = data[j] == BRACKET
        j += 1
    if j < limit and data[j] == SLASH and j > i + 1:
        end = past_word(data, j + 1, limit)
        for k in range(j + 1, end):
            if not REGEX_FLAGS[data[k]]:
                return line_end(data, i, limit, False)
        return end
    return line_end(data, i, limit, False)


@kernel
def heredoc_end(data, i, limit):
    """Where a shell here-document ends whose `<<` ends at i, or -1; and the bytes read to find out.

    The release ends it where its word first occurs again, wherever that is, and tries a shorter word if it does not.
    """
    j = past_spaces(data, i + (i < limit and data[i] == MINUS), limit)
    j += j < limit and data[j] == APOSTROPHE
    j += j < limit and data[j] == BACKSLASH
    start, j = j, past_word(data, j, limit)
    read = j - i
    while j > start and read <= 8 * limit:
        found = find(data, j + 1, limit, data, start, j)
        if found >= 0:
            return found + j - start, read + found - j
        read += limit - j
        j -= 1
    return -1, read


@kernel
def marked_end(data, i, limit, mark, opened, closed, repeated):
    """Where `##"…"##` or `==[…]==` ends whose marks start at i, or -1; and the bytes read to find out."""
    j = i
    while j < limit and data[j] == mark:
        j += 1
    count = j - i
    if j >= limit or data[j] != opened:
        return -1, count + 1
    for start in range(j + 1, limit):
        if data[start] == closed:
            k = start + 1
            while k < limit and k - start <= count and data[k] == mark:
                k += 1
            if k - start - 1 == count and (not repeated or (k < limit and data[k] == closed)):
                return k + repeated, k - i
    return -1, limit - i


@kernel
def delimited_end(data, i, limit, kind):
    """Where a text ends whose close repeats what stands at i, or -1; and the bytes read to find out."""
    if kind == HASHES:
        return marked_end(data, i, limit, HASH, QUOTE, QUOTE, False)
    if kind == BRACKETS:
        return marked_end(data, i, limit, EQUALS, BRACKET, CLOSE_BRACKET, True)
    if kind == PARENTHESES:
        j = i
        while j < limit and j - i < 17 and data[j] != OPEN and data[j] != BACKSLASH and not SPACE[data[j]]:
            j += 1
        width = j - i
        for k in range(j + 1 if j < limit and data[j] == OPEN else limit, limit - width - 1):
            if data[k] == OPEN + 1 and data[k + 1 + width] == QUOTE and stands_at(data, k + 1, limit, data, i, j):
                return k + 2 + width, k - i
        return -1, limit - i
    if kind == SIGIL:
        return sigil_end(data, i, limit)
    if kind == PERCENT:
        return percent_end(data, i, limit)
    return document_end(data, i, limit)


@kernel
def percent_end(data, i, limit):
    """Where a Ruby literal ends whose percent sign ends at i, or -1; and the bytes read to find out."""
    j = i + (i < limit and RUBY_KIND[data[i]])
    if j >= limit or SPACE[data[j]] or (WORD[data[j]] and (data[j] != UNDERSCORE or j == i)):
        return -1, 1
    mark, depth = data[j], 1
    nests = mark in (OPEN, BRACE, BRACKET, LESS)
    close = mark + (1 if mark == OPEN else 2) if nests else mark
    for k in range(j + 1, limit):
        if data[k] == BACKSLASH and k + 1 < limit and (data[k + 1] == close or (nests and data[k + 1] == mark)):
            depth += data[k + 1] == close
            depth -= nests and data[k + 1] == mark
        elif data[k] == close:
            depth -= 1
            if depth == 0:
                return k + 1, k - i
        elif nests and data[k] == mark:
            depth += 1
    return (limit if nests else -1), limit - i


@kernel
def ruby_document_end(data, i, bodies, bodies_end, limit):
    """Where the name of a Ruby here-document ends whose `<<` ends at i, and where its body starts and ends; or -1.

    bodies, bodies_end: those of the documents before it in the same line, or -1. The last value is the bytes read.
    """
    loose = i < limit and data[i] in (MINUS, TILDE)
    j = i + loose
    quote = data[j] if j < limit and data[j] in (QUOTE, APOSTROPHE, BACKTICK) else 0
    start = j + (quote != 0)
    j = past_word(data, start, limit)
    if j == start or ZERO <= data[start] <= NINE or (quote and (j >= limit or data[j] != quote)):
        return -1, -1, -1, j - i + 1
    k = body = bodies_end if bodies >= 0 else line_end(data, j, limit, False) + 1
    while k < limit:
        line = past_spaces(data, k, limit) if loose else k
        end = line + j - start
        if end <= limit and stands_at(data, line, limit, data, start, j):
            stop = line_end(data, end, limit, False)
            if before_spaces(data, stop, end, False) == end:
                return j + (quote != 0), (bodies if bodies >= 0 else body), min(stop + 1, limit), stop - i
        k = line_end(data, max(k, line), limit, False) + 1
    return -1, -1, -1, limit - i


@kernel
def sigil_end(data, i, limit):
    """Where an Elixir sigil ends whose letter stands at i, or -1; and the bytes read to find out."""
    if i + 1 >= limit or not LETTER[data[i]] or not SIGIL_MARK[data[i + 1]]:
        return -1, 1
    mark, close = data[i + 1], data[i + 1]
    if mark == OPEN:
        close = mark + 1
    elif mark in (BRACE, BRACKET, LESS):
        close = mark + 2
    triple = i + 3 < limit and (mark in (QUOTE, APOSTROPHE)) and data[i + 2] == mark and data[i + 3] == mark
    j = i + (4 if triple else 2)
    while j < limit:
        if data[j] == BACKSLASH:
            j += 1
        elif data[j] == close:
            if not triple:
                return j + 1, j - i
            start = before_spaces(data, j, i, False)
            if data[start - 1] == NEWLINE and j + 2 < limit and data[j + 1] == mark and data[j + 2] == mark:
                return j + 3, j - i
        j += 1
    return limit, limit - i


@kernel
def document_end(data, i, limit):
    """Where a PHP here-document ends whose name stands at i, or -1; and the bytes read to find out."""
    quote = data[i] if i < limit and (data[i] == APOSTROPHE or data[i] == QUOTE) else 0
    start = i + (quote != 0)
    j = past_word(data, start, limit)
    if j == start or (quote and (j >= limit or data[j] != quote)):
        return -1, j - i + 1
    after = j + (quote != 0)
    if after >= limit or data[after] != NEWLINE:
        return -1, after - i + 1
    k = after
    while k + 1 < limit:
        k = past_spaces(data, k, limit)
        end = k + j - start
        stop = end + (end + 1 < limit and data[end] == SEMICOLON)
        if stop < limit and data[stop] == NEWLINE and stands_at(data, k, limit, data, start, j):
            return end, end - i
        k = line_end(data, k, limit, False)
    return -1, limit - i


@kernel
def tag_end(data, i, limit, pool, tags):
    """Where the name of a tag ends that opens at i, or -1; which of `tags` it starts with, or -1; whether it
    closes. A closing tag ends after its `>`.
    """
    j = past_spaces(data, i + 1, limit)
    closes = j < limit and data[j] == SLASH
    if closes:
        j = past_spaces(data, j + 1, limit)
    start = j
    while j < limit and TAG_NAME[data[j]]:
        j += 1
    word = -1
    for w in range(len(tags)):
        length = tags[w, 1] - tags[w, 0]
        # The release takes the tag <scripting> for a script, but not </scripting> for its end.
        same = length == j - start if closes else length <= j - start
        for k in range(length if same else 0):
            same &= (data[start + k] | 32) == pool[tags[w, 0] + k]
        if same:
            word = w
    if closes:
        k = past_spaces(data, j, limit)
        j = k + 1 if j > start and k < limit and data[k] == GREATER else start
    return (j if j > start else -1), word, closes


@kernel
def region_end(data, i, limit, pool, tags, word):
    """Where the closing tag that starts with one of `tags` stands first in data[i:limit], or -1."""
    for j in range(i, limit):
        if data[j] == LESS:
            end, found, closes = tag_end(data, j, limit, pool, tags[word : word + 1])
            if end >= 0 and found == 0 and closes:
                return j
    return -1


@kernel
def value_end(data, i, limit):
    """Where the value of an attribute ends that follows an equals sign before i; and the bytes read to find out."""
    j = past_spaces(data, i, limit)
    while j < limit and (data[j] == GREATER or SPACE[data[j]]):
        j += 1
    read = 0
    if j < limit and (data[j] == QUOTE or data[j] == APOSTROPHE):
        k = find(data, j + 1, limit, data, j, j + 1)
        if k >= 0:
            return k + 1, 0
        read = limit - j
    while j < limit and data[j] != GREATER and not SPACE[data[j]]:
        j += 1
    return j, read
