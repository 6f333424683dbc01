"""What may follow an operand of a JavaScript expression, for the compiled scanner; legend in javascript_codes.

A kernel here takes the current token and says whether it is used up.
"""

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.javascript_codes import (
    A_LITERAL,
    A_NAME,
    A_PROPERTY,
    ARGUMENTS,
    ARRAY,
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
    BLOCK,
    BODY,
    CASE,
    CAUGHT,
    CHAIN,
    COMPUTED,
    DECLARATION,
    DECLARATOR,
    DEFAULT,
    DELETES,
    DO,
    DONE,
    EXPORTS,
    EXPORTS_AT,
    EXPRESSION,
    FIELD,
    FIRST,
    FLAGS,
    FOR,
    GET_BIT,
    HEAD,
    HERITAGE,
    IN_PARENTHESES,
    INDEX,
    INNER,
    INVOLVED,
    IS_WORD,
    KEY,
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
    OBJECT,
    OPENED,
    OPERAND,
    OTHER,
    PARAMETERS,
    PAREN,
    PATTERN,
    PLACE,
    PRIVATE,
    RETURN,
    ROLE,
    SET_BIT,
    SHAPE,
    SIGN,
    SIMPLE,
    SIMPLE_RETURNS,
    SINGLE,
    START,
    STATEMENT,
    SWITCH,
    TEMPLATE,
    TERNARY,
    TRY,
    UNARY,
    UPDATE,
    UPDATED,
    UPDATES,
    WHAT,
    WHOLE,
)
from opencoder_lib.syntax.javascript_frames import (
    count_declared,
    count_exported,
    expect_operand,
    fail,
    is_target,
    may_repeat,
    operand_seen,
    push,
    push_bracket,
    suffix_seen,
)
from opencoder_lib.syntax.javascript_operands import after_key, function_flags, template
from opencoder_lib.syntax.javascript_tokens import advance

_ASYNC, _EXPORTS, _IMPORT, _IN = (KIND_OF[word] for word in ("async", "exports", "import", "in"))
_INSTANCEOF, _OF = KIND_OF["instanceof"], KIND_OF["of"]


@kernel
def operator(data, s, frames, counts, regexes):
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
            return _end(data, s, frames, counts)
    ends = kind == ord(",") or kind == ord(")") or kind == ord("]") or kind == ord("}") or kind == ord(":")
    if last >= UPDATED and last <= NO_OPERAND:
        if last == NO_OPERAND and kind != ARROW_SIGN:
            return fail(s)
        if (last == WHOLE and not ends) or (last == UPDATED and (suffix or kind == UPDATE)):
            return _end(data, s, frames, counts)
    if suffix:
        return _suffix(data, s, frames, regexes, exports)
    if kind == ord(","):
        return _comma(data, s, frames, counts)
    if kind == ord(")") or kind == ord("]") or kind == ord("}"):
        return _close(data, s, frames, counts, regexes, exports)
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
        return _in_or_of(data, s, frames, counts)
    if kind == ord("?"):
        frames[level, SHAPE] = INVOLVED
        push(s, frames, TERNARY, frames[level, FLAGS], 0)
        s[MODE] = OPERAND
        return True if what != HERITAGE else fail(s)
    if kind == ord(":"):
        return _colon(s, frames)
    if kind == ARROW_SIGN:
        return _arrow(data, s, frames, regexes)
    if kind == ord("{") and what == HERITAGE:
        if frames[level, PLACE] != START or frames[level, SHAPE] == UNARY:
            return fail(s)
        s[LEVEL] -= 1
        s[MODE] = MEMBER
        return True
    return _end(data, s, frames, counts)


@kernel
def _binary(s, frames):
    level = s[LEVEL]
    frames[level, SHAPE], frames[level, PLACE] = INVOLVED, INNER
    s[MODE] = OPERAND
    return True if s[LAST] != WHOLE else fail(s)


@kernel
def _suffix(data, s, frames, regexes, exports):
    kind = s[KIND]
    suffix_seen(s, frames)
    if kind == CHAIN:
        s[NEWER] = 1
        advance(data, s, regexes)
        s[LAST] = OTHER
        if IS_WORD[s[KIND]] or s[KIND] == PRIVATE:
            return True
        if s[KIND] != ord("(") and s[KIND] != ord("["):
            return fail(s)
        kind = s[KIND]
    if kind == ord("."):
        advance(data, s, regexes)
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


@kernel
def _comma(data, s, frames, counts):
    level = s[LEVEL]
    what = frames[level, WHAT]
    if what == ARROW:
        return _leave_arrow(s, frames)
    if what == DECLARATION:
        count_declared(data, s, frames, counts, False)
        s[MODE] = DECLARATOR
    elif what == OBJECT:
        s[MODE] = KEY
    elif what in (ARGUMENTS, PARAMETERS, ARRAY):
        frames[level, NUMBER_OF] += 1
        expect_operand(s, frames)
        if frames[level, ROLE] == _IMPORT and what == ARGUMENTS:
            return fail(s)
    elif what in (TERNARY, HERITAGE, DEFAULT, FIELD, COMPUTED):
        return fail(s)
    else:
        if what == EXPRESSION and frames[level, BEHIND] > 0:
            count_exported(data, s, frames, counts)
            frames[level, BEHIND] = 0
        if what == FOR and frames[level, ROLE] == 4:
            return fail(s)
        frames[level, NUMBER_OF] += 1
        expect_operand(s, frames)
        frames[level, SHAPE] = INVOLVED
    return True


@kernel
def _leave_arrow(s, frames):
    """End the arrow function whose body is the expression that ends here."""
    s[LEVEL] -= 1
    s[LAST] = WHOLE
    return False


@kernel
def _close(data, s, frames, counts, regexes, exports):
    kind, level = s[KIND], s[LEVEL]
    what = frames[level, WHAT]
    if what == ARROW:
        return _leave_arrow(s, frames)
    if kind == ord("}"):
        return _close_brace(data, s, frames, counts)
    if kind == ord("]"):
        if what != INDEX and what != ARRAY and what != COMPUTED:
            return fail(s)
        s[LEVEL] -= 1
        s[LAST] = A_PROPERTY if what == INDEX else A_LITERAL
        if what == COMPUTED:
            s[MODE] = OPERAND
            expect_operand(s, frames)
            advance(data, s, regexes)
            return after_key(data, s, frames, regexes, ord("["), 0, frames[level, ROLE])
        return True
    s[OPENED] = frames[level, FIRST]
    if what == PAREN:
        s[LEVEL] -= 1
        shape = frames[level, SHAPE]
        if shape == UNARY:
            shape = SIMPLE
        elif shape == INVOLVED:
            shape = SINGLE
        operand_seen(s, frames, shape, IN_PARENTHESES)
        if exports == 1 or exports == 2:
            s[EXPORTS] = exports + 10
    elif what == ARGUMENTS:
        s[LEVEL] -= 1
        s[LAST] = ASYNC_CALL if frames[level, ROLE] == _ASYNC else OTHER
    elif what == PARAMETERS:
        return _close_parameters(data, s, frames, regexes)
    elif what in (HEAD, CAUGHT):
        return _close_head(data, s, frames, regexes)
    elif what == FOR and frames[level, ROLE] >= 2:
        s[LEVEL] -= 1
        s[MODE] = STATEMENT
    else:
        return fail(s)
    return True


@kernel
def _close_parameters(data, s, frames, regexes):
    level = s[LEVEL]
    words, start = frames[level, ROLE], frames[level, FIRST]
    empty = s[BEFORE] == ord("(")
    if (words & GET_BIT and not empty) or (words & SET_BIT and (empty or frames[level, NUMBER_OF])):
        return fail(s)
    if words & SET_BIT and data[start] == ord("."):
        return fail(s)
    if may_repeat(data, start, s[BEGIN]):
        return fail(s)
    s[LEVEL] -= 1
    s[MODE] = STATEMENT
    advance(data, s, regexes)
    return True if s[KIND] == ord("{") else fail(s)


@kernel
def _close_head(data, s, frames, regexes):
    """Behind the head of a statement its body is expected; of a `do … while`, what comes next."""
    s[LEVEL] -= 1
    level = s[LEVEL]
    what = frames[level, WHAT]
    s[MODE] = STATEMENT
    if what in (SWITCH, TRY):
        advance(data, s, regexes)
        if s[KIND] != ord("{"):
            return fail(s)
        if what == TRY:
            push(s, frames, BLOCK, frames[level, FLAGS], 0)
    elif what == DO:
        s[LEVEL] -= 1
        s[MODE] = DONE
        advance(data, s, regexes)
        return s[KIND] == ord(";")
    return True


@kernel
def _close_brace(data, s, frames, counts):
    what = frames[s[LEVEL], WHAT]
    if what == OBJECT:
        s[LEVEL] -= 1
        s[LAST] = A_LITERAL
        return True
    if what == TEMPLATE:
        s[LEVEL] -= 1
        template(data, s, frames)
        return True
    return _end(data, s, frames, counts)


@kernel
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
        return _export(data, s, frames)
    frames[level, SHAPE] = INVOLVED
    return True if exports != 3 and exports != 13 else fail(s)


@kernel
def _export(data, s, frames):
    end = s[BEGIN]
    while data[end - 1] == ord(" "):
        end -= 1
    start = end
    while data[start - 1] > ord(" ") and data[start - 1] != ord("."):
        start -= 1
    frames[s[LEVEL], FIRST], frames[s[LEVEL], BEHIND] = start, end
    return True if data[start - 1] == ord(".") else fail(s)


@kernel
def _in_or_of(data, s, frames, counts):
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
        return _end(data, s, frames, counts)
    if frames[level, FLAGS] & NO_IN:
        return fail(s)
    return _binary(s, frames)


@kernel
def _colon(s, frames):
    level = s[LEVEL]
    what = frames[level, WHAT]
    if what == ARROW:
        return _leave_arrow(s, frames)
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
    else:
        return fail(s)
    return True


@kernel
def _arrow(data, s, frames, regexes):
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
    advance(data, s, regexes)
    if s[KIND] == ord("{"):
        push(s, frames, BODY, flags, AS_ARROW)
        s[MODE] = STATEMENT
        return True
    push(s, frames, ARROW, flags | frames[level, FLAGS] & NO_IN, 0)
    return False


@kernel
def _end(data, s, frames, counts):
    """End the expression, which an automatic semicolon follows unless there is one."""
    kind, level = s[KIND], s[LEVEL]
    what = frames[level, WHAT]
    explicit = kind == ord(";")
    if not (explicit or kind == ord("}") or kind == 0 or s[NEWLINE] or what == DECLARATION):
        return fail(s)
    if what == ARROW:
        return _leave_arrow(s, frames)
    if what == FOR and frames[level, ROLE] < 2 and explicit:
        frames[level, ROLE] += 1
        frames[level, FLAGS] &= ~NO_IN
        expect_operand(s, frames)
        return True
    if what < EXPRESSION or what > DECLARATION:
        return fail(s)
    if what == DECLARATION:
        return _end_declaration(data, s, frames, counts)
    if what == RETURN:
        counts[SIMPLE_RETURNS] += frames[level, SHAPE] == SIMPLE or frames[level, SHAPE] == UNARY
    elif what == EXPRESSION and frames[level, BEHIND] > 0:
        count_exported(data, s, frames, counts)
    s[LEVEL] -= 1
    s[MODE] = MEMBER if what == FIELD else DONE
    return explicit


@kernel
def _end_declaration(data, s, frames, counts):
    kind, level = s[KIND], s[LEVEL]
    explicit = kind == ord(";")
    in_for = frames[level - 1, WHAT] == FOR
    loops = in_for and (kind in (_IN, _OF))
    if loops:
        if frames[level, SHAPE] > PATTERN or frames[level, NUMBER_OF] != 1:
            return fail(s)
    elif not explicit and (in_for or not (kind == ord("}") or kind == 0 or s[NEWLINE])):
        return fail(s)
    count_declared(data, s, frames, counts, loops)
    s[LEVEL] -= 1
    if not in_for:
        s[MODE] = DONE
        return explicit
    frames[level - 1, ROLE] = 1 if explicit else 4 if kind == _OF else 3
    frames[level - 1, FLAGS] &= ~NO_IN
    expect_operand(s, frames)
    return True
