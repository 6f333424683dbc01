"""The loop over the bytes of a file that finds its comments, driven by the arrays of scan_table.py.

data: the file as UTF-8 bytes with LF line ends, and an LF at its end. low, limit: the part of it that is looked at,
all of it but for scripts in a page. Modes are kept on a stack, so that templates, interpolations and scripts nest to
any depth. The time is linear: a close that was not found is not looked for again, and what may fail more often pays
for the bytes it reads.
"""

import numpy as np

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.scan_codes import (
    ACTION,
    ANYWHERE,
    BUDGET,
    CHANGE,
    CHARACTER,
    CLOSE,
    CLOSE_END,
    CLOSED,
    COMMENT,
    CONTINUES,
    DELIMITED,
    DOCUMENT,
    ENDS_WITH_LINE,
    ESCAPE,
    FLAGS,
    GUARD,
    HEREDOC,
    KEEP,
    LINE,
    LITERAL,
    LITERAL_END,
    NEXT,
    POP,
    PUSH,
    REGEX,
    RESET,
    TAG,
    TAKES_NEWLINE,
    TARGET,
    THEN,
    UNTIL,
    VALUE,
    WITHOUT_CLOSE,
)
from opencoder_lib.syntax.scan_ends import (
    character_end,
    close_of,
    delimited_end,
    heredoc_end,
    regex_end,
    region_end,
    ruby_document_end,
    tag_end,
    value_end,
)
from opencoder_lib.syntax.scan_guards import allowed
from opencoder_lib.syntax.scan_steps import before_spaces, grown, line_end, next_place, stands_at


@kernel
def scan(data, first, rules, pool, words, tags, regions):
    """The comments of a file: their starts and ends in turn, ascending, as places in `data`."""
    spans, n_spans = np.zeros(128, np.int64), 0
    stack, depth = np.zeros(32, np.int64), 0
    # Before this place no close of a rule will be found; no close of this word's region will be found.
    dead, unclosed = np.zeros(len(rules), np.int64), np.zeros(len(tags), np.bool_)
    # np.int64, else Numba compiles what is called with them once more for the constant.
    n, i, low, mode = len(data), np.int64(0), np.int64(0), np.int64(0)
    limit, budget = n, BUDGET * n
    # Where the bodies of Ruby's here-documents start, and where they end.
    bodies, bodies_end = np.int64(-1), np.int64(0)
    token_end, comment_start, comment_end = np.int64(-1), np.int64(-1), np.int64(-1)
    while i < n:
        if i >= limit:
            # The end of a script: back to the page around it.
            low, limit, depth, mode = limit, n, 0, 0
            dead[:] = 0
            continue
        if bodies >= 0 and i >= bodies:
            i, bodies = max(i, bodies_end), np.int64(-1)
            continue
        stop = limit if bodies < 0 else min(limit, bodies)
        i = next_place(data, i, stop, first, mode)
        if i == stop:
            continue
        k = first[mode, data[i]]
        end, flags, change, target, width = -1, 0, KEEP, 0, 0
        while k >= 0 and end < 0:
            rule = rules[k]
            r, k = k, rule[NEXT]
            after = i + rule[LITERAL_END] - rule[LITERAL]
            guard, action, flags = rule[GUARD], rule[ACTION], rule[FLAGS]
            change, target = rule[CHANGE], rule[TARGET]
            if not stands_at(data, i, limit, pool, rule[LITERAL], rule[LITERAL_END]) or i < dead[r]:
                continue
            if guard != ANYWHERE and not allowed(
                guard, data, i, after, low, limit, token_end, comment_start, comment_end, pool, words
            ):
                continue
            if action == UNTIL:
                end, closed = close_of(data, after, limit, pool, rule)
                width = rule[CLOSE_END] - rule[CLOSE]
                if not closed and flags & CLOSED:
                    dead[r], end = end, -1
            elif action == LINE:
                end = line_end(data, after, limit, flags & CONTINUES)
                end += flags & TAKES_NEWLINE != 0 and end < limit
            elif action == CHARACTER:
                end = character_end(data, i, limit, flags & ENDS_WITH_LINE)
            elif action == REGEX:
                end = regex_end(data, i, limit)
            elif action in (HEREDOC, DELIMITED, VALUE):
                read = limit
                if budget > 0:
                    if action == HEREDOC:
                        end, read = heredoc_end(data, after, limit)
                    elif action == DELIMITED:
                        end, read = delimited_end(data, after, limit, target)
                    else:
                        end, read = value_end(data, after, limit)
                budget -= read
            elif action == DOCUMENT and budget > 0:
                end, start, stop, read = ruby_document_end(data, after, bodies, bodies_end, limit)
                budget -= read
                if end >= 0:
                    bodies, bodies_end = start, stop
            elif action == TAG:
                end, word, closes = tag_end(data, i, limit, pool, tags)
                if end >= 0 and not closes:
                    stack[0], depth, mode = (target + 1 + word if word >= 0 else 0), 1, target
            else:
                end = after + (action == ESCAPE)
        if end < 0:
            i += 1
            continue
        end = min(end, limit)
        if flags & COMMENT:
            if n_spans == len(spans):
                spans = grown(spans)
            spans[n_spans], spans[n_spans + 1] = i, end - (width if flags & WITHOUT_CLOSE else 0)
            n_spans += 2
            if before_spaces(data, i, low, True) != comment_end:
                comment_start = i
            i = comment_end = end
        else:
            i = token_end = end
        if change == PUSH:
            if depth == len(stack):
                stack = grown(stack)
            stack[depth] = mode
            depth, mode = depth + 1, target
        elif change == POP:
            depth = max(depth - 1, 0)
            mode = stack[depth]
        elif change == THEN:
            mode = target
        elif change == RESET:
            depth = mode = 0
        if regions[mode, 0] >= 0:
            # A script or style starts. If the page closes it nowhere, it ends with its line.
            word, low = regions[mode, 1], i
            limit = -1 if unclosed[word] else region_end(data, i, n, pool, tags, word)
            unclosed[word], depth, mode = limit < 0, 0, regions[mode, 0]
            if limit < 0:
                limit = min(line_end(data, i, n, False) + 1, n)
    return spans[:n_spans]
