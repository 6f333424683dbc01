"""Where JavaScript expressions and what holds them end, for the compiled scanner; legend in javascript_codes.

A kernel here takes the current token and says whether it is used up.
"""

from opencoder_lib.compiled import inner_kernel
from opencoder_lib.syntax.javascript_codes import (
    A_LITERAL,
    A_PROPERTY,
    ARGUMENTS,
    ARRAY,
    ARROW,
    ASYNC_CALL,
    BEFORE,
    BEGIN,
    BEHIND,
    BLOCK,
    CAUGHT,
    COMPUTED,
    DECLARATION,
    DECLARATOR,
    DEFAULT,
    DO,
    DONE,
    EXPORTS,
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
    INVOLVED,
    KEY,
    KIND,
    KIND_OF,
    LAST,
    LEVEL,
    MEMBER,
    MODE,
    NEWLINE,
    NO_IN,
    NUMBER_OF,
    OBJECT,
    OPENED,
    OPERAND,
    OTHER,
    PARAMETERS,
    PAREN,
    PATTERN,
    RETURN,
    ROLE,
    SET_BIT,
    SHAPE,
    SIMPLE,
    SIMPLE_RETURNS,
    SINGLE,
    STATEMENT,
    SWITCH,
    TEMPLATE,
    TERNARY,
    TRY,
    UNARY,
    WHAT,
    WHOLE,
)
from opencoder_lib.syntax.javascript_frames import (
    count_declared,
    count_exported,
    expect_operand,
    fail,
    may_repeat,
    operand_seen,
    push,
)
from opencoder_lib.syntax.javascript_members import after_key, template
from opencoder_lib.syntax.javascript_tokens import advance

_ASYNC, _IMPORT, _IN, _OF = (KIND_OF[word] for word in ("async", "import", "in", "of"))


@inner_kernel
def comma(data, s, frames):
    """Take a comma behind an operand."""
    level = s[LEVEL]
    what = frames[level, WHAT]
    if what == ARROW:
        return leave_arrow(s, frames)
    if what == DECLARATION:
        count_declared(data, s, frames, False)
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
            count_exported(data, s, frames)
            frames[level, BEHIND] = 0
        if what == FOR and frames[level, ROLE] == 4:
            return fail(s)
        frames[level, NUMBER_OF] += 1
        expect_operand(s, frames)
        frames[level, SHAPE] = INVOLVED
    return True


@inner_kernel
def leave_arrow(s, frames):
    """End the arrow function whose body is the expression that ends here."""
    s[LEVEL] -= 1
    s[LAST] = WHOLE
    return False


@inner_kernel
def close(data, s, frames, exports):
    """Take a closing bracket behind an operand."""
    kind, level = s[KIND], s[LEVEL]
    what = frames[level, WHAT]
    if what == ARROW:
        return leave_arrow(s, frames)
    if kind == ord("}"):
        return _close_brace(data, s, frames)
    if kind == ord("]"):
        if what != INDEX and what != ARRAY and what != COMPUTED:
            return fail(s)
        s[LEVEL] -= 1
        s[LAST] = A_PROPERTY if what == INDEX else A_LITERAL
        if what == COMPUTED:
            s[MODE] = OPERAND
            expect_operand(s, frames)
            advance(data, s)
            return after_key(data, s, frames, ord("["), 0, frames[level, ROLE])
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
        return _close_parameters(data, s, frames)
    elif what in (HEAD, CAUGHT):
        return _close_head(data, s, frames)
    elif what == FOR and frames[level, ROLE] >= 2:
        s[LEVEL] -= 1
        s[MODE] = STATEMENT
    else:
        return fail(s)
    return True


@inner_kernel
def _close_parameters(data, s, frames):
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
    advance(data, s)
    return True if s[KIND] == ord("{") else fail(s)


@inner_kernel
def _close_head(data, s, frames):
    """Behind the head of a statement its body is expected; of a `do … while`, what comes next."""
    s[LEVEL] -= 1
    level = s[LEVEL]
    what = frames[level, WHAT]
    s[MODE] = STATEMENT
    if what in (SWITCH, TRY):
        advance(data, s)
        if s[KIND] != ord("{"):
            return fail(s)
        if what == TRY:
            push(s, frames, BLOCK, frames[level, FLAGS], 0)
    elif what == DO:
        s[LEVEL] -= 1
        s[MODE] = DONE
        advance(data, s)
        return s[KIND] == ord(";")
    return True


@inner_kernel
def _close_brace(data, s, frames):
    what = frames[s[LEVEL], WHAT]
    if what == OBJECT:
        s[LEVEL] -= 1
        s[LAST] = A_LITERAL
        return True
    if what == TEMPLATE:
        s[LEVEL] -= 1
        template(data, s, frames)
        return True
    return end_expression(data, s, frames)


@inner_kernel
def end_expression(data, s, frames):
    """End the expression, which an automatic semicolon follows unless there is one."""
    kind, level = s[KIND], s[LEVEL]
    what = frames[level, WHAT]
    explicit = kind == ord(";")
    if not (explicit or kind == ord("}") or kind == 0 or s[NEWLINE] or what == DECLARATION):
        return fail(s)
    if what == ARROW:
        return leave_arrow(s, frames)
    if what == FOR and frames[level, ROLE] < 2 and explicit:
        frames[level, ROLE] += 1
        frames[level, FLAGS] &= ~NO_IN
        expect_operand(s, frames)
        return True
    if what < EXPRESSION or what > DECLARATION:
        return fail(s)
    if what == DECLARATION:
        return _end_declaration(data, s, frames)
    if what == RETURN:
        s[SIMPLE_RETURNS] += frames[level, SHAPE] == SIMPLE or frames[level, SHAPE] == UNARY
    elif what == EXPRESSION and frames[level, BEHIND] > 0:
        count_exported(data, s, frames)
    s[LEVEL] -= 1
    s[MODE] = MEMBER if what == FIELD else DONE
    return explicit


@inner_kernel
def _end_declaration(data, s, frames):
    kind, level = s[KIND], s[LEVEL]
    explicit = kind == ord(";")
    in_for = frames[level - 1, WHAT] == FOR
    loops = in_for and (kind in (_IN, _OF))
    if loops:
        if frames[level, SHAPE] > PATTERN or frames[level, NUMBER_OF] != 1:
            return fail(s)
    elif not explicit and (in_for or not (kind == ord("}") or kind == 0 or s[NEWLINE])):
        return fail(s)
    count_declared(data, s, frames, loops)
    s[LEVEL] -= 1
    if not in_for:
        s[MODE] = DONE
        return explicit
    frames[level - 1, ROLE] = 1 if explicit else 4 if kind == _OF else 3
    frames[level - 1, FLAGS] &= ~NO_IN
    expect_operand(s, frames)
    return True
