"""What may follow an operand of a JavaScript expression, for the compiled scanner; legend in javascript_codes.

A kernel here takes the current token and says whether it is used up.
"""

from opencoder_lib.compiled import inner_kernel
from opencoder_lib.syntax.javascript_codes import (
    A_LITERAL,
    A_NAME,
    A_PROPERTY,
    ARGUMENTS,
    ARROW,
    ARROW_FUNCTION,
    ARROW_SIGN,
    AS_ARROW,
    ASYNC_BIT,
    ASYNC_CALL,
    AUGMENTED,
    BEFORE,
    BEGIN,
    BEHIND,
    BINARY,
    BODY,
    CASE,
    CHAIN,
    DECLARATION,
    DELETES,
    EXPORTS,
    EXPORTS_AT,
    EXPRESSION,
    FIRST,
    FLAGS,
    FOR,
    HERITAGE,
    IN_PARENTHESES,
    INDEX,
    INNER,
    INVOLVED,
    IS_WORD,
    KIND,
    KIND_OF,
    LABEL,
    LAST,
    LEVEL,
    MEMBER,
    MODE,
    NEW,
    NEWER,
    NEWER_BINARY,
    NEWLINE,
    NO_IN,
    NO_OPERAND,
    NUMBER_OF,
    OPENED,
    OPERAND,
    OTHER,
    PATTERN,
    PLACE,
    POWER,
    PRIVATE,
    ROLE,
    SHAPE,
    SIGN,
    SIMPLE,
    START,
    STATEMENT,
    TERNARY,
    UNARY,
    UPDATE,
    UPDATED,
    UPDATES,
    WHAT,
    WHOLE,
)
from opencoder_lib.syntax.javascript_ends import close, comma, end_expression, leave_arrow
from opencoder_lib.syntax.javascript_frames import (
    count_labels,
    expect_operand,
    fail,
    is_target,
    may_repeat,
    push,
    push_bracket,
    suffix_seen,
)
from opencoder_lib.syntax.javascript_members import function_flags, template
from opencoder_lib.syntax.javascript_tokens import advance

_EXPORTS, _IN, _INSTANCEOF, _OF = (KIND_OF[word] for word in ("exports", "in", "instanceof", "of"))


@inner_kernel
def operator(data, s, frames):
    """Take the token behind an operand."""
    kind, level, last = s[KIND], s[LEVEL], s[LAST]
    what = frames[level, WHAT]
    exports = s[EXPORTS]
    s[EXPORTS] = 0
    suffix = kind == ord(".") or kind == ord("(") or kind == ord("[") or kind == ord("`") or kind == CHAIN
    if s[DELETES]:
        s[DELETES] = 0
        if not suffix:
            return fail(s)
    if frames[level, UPDATES] and not suffix:
        frames[level, UPDATES] = 0
        if not is_target(last) or (kind == UPDATE and not s[NEWLINE]):
            return fail(s)
    if what == DECLARATION and frames[level, SHAPE] <= PATTERN:
        if kind == ord("="):
            expect_operand(s, frames)
            return True
        if kind != ord(","):
            return end_expression(data, s, frames)
    ends = kind == ord(",") or kind == ord(")") or kind == ord("]") or kind == ord("}") or kind == ord(":")
    if last >= UPDATED and last <= NO_OPERAND:
        if last == NO_OPERAND and kind != ARROW_SIGN:
            return fail(s)
        if (last == WHOLE and not ends) or (last == UPDATED and (suffix or kind == UPDATE)):
            return end_expression(data, s, frames)
    if suffix:
        return _suffix(data, s, frames, exports)
    if kind == ord(","):
        return comma(data, s, frames)
    if kind == ord(")") or kind == ord("]") or kind == ord("}"):
        return close(data, s, frames, exports)
    if kind == ord("=") or kind == AUGMENTED:
        return _assign(data, s, frames, exports)
    if kind in (BINARY, SIGN, NEWER_BINARY, _INSTANCEOF) or kind == ord("*"):
        if kind == NEWER_BINARY:
            s[NEWER] = 1
        return _binary(s, frames)
    if kind == UPDATE and not s[NEWLINE]:
        if not is_target(last) or frames[level, PLACE] == NEW:
            return fail(s)
        suffix_seen(s, frames)
        s[LAST] = UPDATED
        return True
    if kind in (_IN, _OF):
        return _in_or_of(data, s, frames)
    if kind == POWER:
        # A sign before its left side is an error, and esprima minds it in parentheses too.
        return _binary(s, frames) if frames[level, PLACE] <= INNER and last != IN_PARENTHESES else fail(s)
    if kind == ord("?"):
        frames[level, SHAPE] = INVOLVED
        push(s, frames, TERNARY, frames[level, FLAGS], 0)
        s[MODE] = OPERAND
        return True if what != HERITAGE else fail(s)
    if kind == ord(":"):
        return _colon(data, s, frames)
    if kind == ARROW_SIGN:
        return _arrow(data, s, frames)
    if kind == ord("{") and what == HERITAGE:
        if frames[level, PLACE] != START or frames[level, SHAPE] == UNARY:
            return fail(s)
        s[LEVEL] -= 1
        s[MODE] = MEMBER
        return True
    return end_expression(data, s, frames)


@inner_kernel
def _binary(s, frames):
    level = s[LEVEL]
    frames[level, SHAPE], frames[level, PLACE] = INVOLVED, INNER
    s[MODE] = OPERAND
    return True if s[LAST] != WHOLE else fail(s)


@inner_kernel
def _suffix(data, s, frames, exports):
    kind = s[KIND]
    suffix_seen(s, frames)
    if kind == CHAIN:
        s[NEWER] = 1
        advance(data, s)
        s[LAST] = OTHER
        if IS_WORD[s[KIND]] or s[KIND] == PRIVATE:
            return True
        if s[KIND] != ord("(") and s[KIND] != ord("["):
            return fail(s)
        kind = s[KIND]
    if kind == ord("."):
        advance(data, s)
        if not (IS_WORD[s[KIND]] or s[KIND] == PRIVATE):
            return fail(s)
        s[LAST] = A_PROPERTY
        # 1, 2 and 3 are the parts of `module.exports.name` so far; 11 and on the same in doubtful parentheses.
        if exports == 2 or exports == 12 or ((exports == 1 or exports == 11) and s[KIND] == _EXPORTS):
            s[EXPORTS] = exports + 1
    elif kind == ord("["):
        push_bracket(s, frames, INDEX, 0)
        if exports == 2 or exports == 12:
            return fail(s)
    elif kind == ord("("):
        push_bracket(s, frames, ARGUMENTS, 0)
    else:
        template(data, s, frames)
    return True


@inner_kernel
def _assign(data, s, frames, exports):
    level, last = s[LEVEL], s[LAST]
    is_pattern = last == A_LITERAL and s[KIND] == ord("=")
    if not (is_target(last) or is_pattern) or frames[level, PLACE] != START or frames[level, WHAT] == HERITAGE:
        return fail(s)
    whole = frames[level, WHAT] == EXPRESSION and frames[level, FIRST] == s[EXPORTS_AT] and s[KIND] == ord("=")
    frames[level, NUMBER_OF] += frames[level, WHAT] == FOR
    expect_operand(s, frames)
    if exports == 3 and whole:
        # The name ends where white space before the equals sign begins, but for comments.
        return _note_export(data, s, frames)
    frames[level, SHAPE] = INVOLVED
    return True if exports != 3 and exports != 13 else fail(s)


@inner_kernel
def _note_export(data, s, frames):
    """Note the name that is assigned to, right before the equals sign; in any other layout the scanner is not sure."""
    end = s[BEGIN]
    while data[end - 1] == ord(" "):
        end -= 1
    start = end
    while data[start - 1] > ord(" ") and data[start - 1] != ord("."):
        start -= 1
    frames[s[LEVEL], FIRST], frames[s[LEVEL], BEHIND] = start, end
    return True if data[start - 1] == ord(".") else fail(s)


@inner_kernel
def _in_or_of(data, s, frames):
    level = s[LEVEL]
    what, is_of = frames[level, WHAT], s[KIND] == _OF
    if what == FOR and frames[level, ROLE] == 0:
        if frames[level, NUMBER_OF] or frames[level, PLACE] != START or s[LAST] > A_LITERAL:
            return fail(s)
        frames[level, ROLE] = 4 if is_of else 3
        frames[level, FLAGS] &= ~NO_IN
        expect_operand(s, frames)
        return True
    if is_of:
        return end_expression(data, s, frames)
    if frames[level, FLAGS] & NO_IN:
        return fail(s)
    return _binary(s, frames)


@inner_kernel
def _colon(data, s, frames):
    level = s[LEVEL]
    what = frames[level, WHAT]
    if what == ARROW:
        return leave_arrow(s, frames)
    if what == TERNARY:
        s[LEVEL] -= 1
        s[MODE] = OPERAND
        frames[level - 1, PLACE] = START
    elif what == CASE:
        s[LEVEL] -= 1
        s[MODE] = STATEMENT
    elif what == EXPRESSION and s[LAST] == A_NAME and s[BEFORE] != ord(")") and frames[level, SHAPE] == SIMPLE:
        frames[level, WHAT] = LABEL
        s[MODE] = STATEMENT
        return True if count_labels(data, frames, level - 1, frames[level, FIRST]) == 0 else fail(s)
    else:
        return fail(s)
    return True


@inner_kernel
def _arrow(data, s, frames):
    level, last = s[LEVEL], s[LAST]
    named = last == A_NAME and frames[level, SHAPE] != PATTERN
    fits = named or last in (IN_PARENTHESES, NO_OPERAND, ASYNC_CALL)
    if not fits or s[NEWLINE] or frames[level, PLACE] != START or frames[level, WHAT] == HERITAGE:
        return fail(s)
    if not named and may_repeat(data, s[OPENED], s[BEGIN]):
        return fail(s)
    if frames[level, SHAPE] != INVOLVED:
        frames[level, SHAPE] = ARROW_FUNCTION
    flags = function_flags(frames[level, FLAGS], ASYNC_BIT if last == ASYNC_CALL else 0)
    s[MODE] = OPERAND
    advance(data, s)
    if s[KIND] == ord("{"):
        push(s, frames, BODY, flags, AS_ARROW)
        s[MODE] = STATEMENT
        return True
    push(s, frames, ARROW, flags | frames[level, FLAGS] & NO_IN, 0)
    return False
