"""Statements of JavaScript, for the compiled scanner; legend in javascript_codes.

A kernel here takes the current token and says whether it is used up.
"""

from opencoder_lib.compiled import inner_kernel
from opencoder_lib.syntax.javascript_codes import (
    A_NAME,
    AS_MEMBER,
    AS_OPERAND,
    AS_STATEMENT,
    ASYNC_BIT,
    BARE,
    BEGIN,
    BEHIND,
    BLOCK,
    BODY,
    CASE,
    CAUGHT,
    DECLARATION,
    DECLARATOR,
    DEFAULT,
    DO,
    DONE,
    ELSE,
    END,
    EXPRESSION,
    FIRST,
    FLAGS,
    FOR,
    HEAD,
    IF,
    IMPORTS,
    IN_ASYNC,
    IN_BREAKABLE,
    IN_LOOP,
    IN_TEMPLATE,
    IS_NAME,
    KIND,
    KIND_OF,
    LAST,
    LEVEL,
    LOOP,
    MEMBER,
    MODE,
    NEWER,
    NEWLINE,
    NO_IN,
    NUMBER_OF,
    OPERAND,
    OPERATOR,
    OTHER,
    PATTERN,
    ROLE,
    SHAPE,
    STAR_BIT,
    STATEMENT,
    STATEMENTS,
    SWITCH,
    THROW,
    TOP,
    TRY,
    UPDATES,
    WHAT,
    WHOLE,
)
from opencoder_lib.syntax.javascript_frames import count_class, count_function, expect_operand, fail, push, push_bracket
from opencoder_lib.syntax.javascript_members import class_head, parameters
from opencoder_lib.syntax.javascript_simple import end_statement, give_back, jump, names_from
from opencoder_lib.syntax.javascript_tokens import advance

_ASYNC, _AWAIT, _BREAK, _CASE, _CATCH = (KIND_OF[word] for word in ("async", "await", "break", "case", "catch"))
_CLASS, _CONST, _CONTINUE, _DEBUGGER, _DEFAULT = (
    KIND_OF[word] for word in ("class", "const", "continue", "debugger", "default")
)
_DO, _ELSE, _EXPORT, _FINALLY, _FOR = (KIND_OF[word] for word in ("do", "else", "export", "finally", "for"))
_FROM, _FUNCTION, _IF, _IMPORT, _LET = (KIND_OF[word] for word in ("from", "function", "if", "import", "let"))
_RETURN, _SWITCH, _THROW, _TRY, _VAR = (KIND_OF[word] for word in ("return", "switch", "throw", "try", "var"))
_WHILE = KIND_OF["while"]


@inner_kernel
def statement(data, s, frames):
    """The start of a statement, or the end of a list of them."""
    kind, level = s[KIND], s[LEVEL]
    what = frames[level, WHAT]
    if kind == ord("}"):
        return _close_list(s, frames)
    if what == SWITCH:
        if kind in (_CASE, _DEFAULT):
            return _case(data, s, frames)
        if frames[level, NUMBER_OF] == 0:
            return fail(s)
    s[STATEMENTS] += what == TOP
    if kind in (_IMPORT, _EXPORT):
        if kind == _IMPORT:
            advance(data, s)
            if s[KIND] == ord("(") or s[KIND] == ord("."):
                # It is an expression after all: the bracket or dot is read again.
                s[END], s[KIND] = s[BEGIN], _IMPORT
                return _expression(s, frames, EXPRESSION)
        if what != TOP:
            return fail(s)
        if kind == _IMPORT:
            s[IMPORTS] += 1
            return names_from(data, s, True)
        return _export(data, s, frames)
    return _inner_statement(data, s, frames)


@inner_kernel
def _inner_statement(data, s, frames):
    kind, level = s[KIND], s[LEVEL]
    flags = frames[level, FLAGS]
    if kind == ord("{"):
        push(s, frames, BLOCK, flags, 0)
    elif kind == ord(";"):
        s[MODE] = DONE
    elif kind in (_VAR, _CONST, _LET):
        return _declaration(data, s, frames)
    elif kind == _IF:
        push(s, frames, IF, flags, 0)
        return _head(data, s, frames)
    elif kind == _RETURN:
        return give_back(data, s, frames)
    elif kind == _FUNCTION:
        return _function(data, s, frames, 0, True)
    elif kind == _FOR:
        return _for(data, s, frames)
    elif kind in (_BREAK, _CONTINUE):
        return jump(data, s, frames)
    elif kind == _THROW:
        push(s, frames, THROW, flags, 0)
        s[MODE] = OPERAND
        advance(data, s)
        return fail(s) if s[NEWLINE] else False
    elif kind == _WHILE:
        push(s, frames, LOOP, flags | IN_LOOP | IN_BREAKABLE, 0)
        return _head(data, s, frames)
    elif kind == _SWITCH:
        push(s, frames, SWITCH, flags | IN_BREAKABLE, 0)
        return _head(data, s, frames)
    elif kind == _DO:
        push(s, frames, DO, flags | IN_LOOP | IN_BREAKABLE, 0)
    elif kind == _TRY:
        push(s, frames, TRY, flags, 0)
        return _block(data, s, frames)
    elif kind == _CLASS:
        return _class(data, s, frames, True)
    elif kind == _DEBUGGER:
        advance(data, s)
        return end_statement(s)
    elif kind == _ASYNC:
        end, begin, newline = s[END], s[BEGIN], s[NEWLINE]
        advance(data, s)
        if s[KIND] == _FUNCTION and not s[NEWLINE]:
            return _function(data, s, frames, ASYNC_BIT, True)
        s[END], s[BEGIN], s[NEWLINE], s[KIND] = end, begin, newline, kind
        return _expression(s, frames, EXPRESSION)
    else:
        return _expression(s, frames, EXPRESSION)
    return True


@inner_kernel
def _expression(s, frames, what):
    """Begin a statement that is an expression with this token."""
    level = push(s, frames, what, frames[s[LEVEL], FLAGS], 0)
    frames[level, FIRST] = s[BEGIN]
    s[MODE] = OPERAND
    return False


@inner_kernel
def _head(data, s, frames):
    advance(data, s)
    if s[KIND] != ord("("):
        return fail(s)
    push_bracket(s, frames, HEAD, 0)
    return True


@inner_kernel
def _block(data, s, frames):
    advance(data, s)
    push(s, frames, BLOCK, frames[s[LEVEL], FLAGS], 0)
    s[MODE] = STATEMENT
    return True if s[KIND] == ord("{") else fail(s)


@inner_kernel
def _close_list(s, frames):
    level = s[LEVEL]
    what, role = frames[level, WHAT], frames[level, ROLE]
    if what == TOP or what > SWITCH:
        return fail(s)
    s[LEVEL] -= 1
    s[MODE] = DONE
    if what == BODY and role != AS_STATEMENT:
        s[LAST], s[MODE] = OTHER if role == AS_OPERAND else WHOLE, MEMBER if role == AS_MEMBER else OPERATOR
    return True


@inner_kernel
def _case(data, s, frames):
    level = s[LEVEL]
    frames[level, NUMBER_OF] = 1
    if s[KIND] == _CASE:
        push(s, frames, CASE, frames[level, FLAGS], 0)
        s[MODE] = OPERAND
        return True
    advance(data, s)
    frames[level, UPDATES] += 1
    return True if s[KIND] == ord(":") and frames[level, UPDATES] == 1 else fail(s)


@inner_kernel
def _in_list(s, frames):
    return frames[s[LEVEL], WHAT] <= SWITCH


@inner_kernel
def _declaration(data, s, frames):
    kind, flags = s[KIND], frames[s[LEVEL], FLAGS]
    fits = kind == _VAR or _in_list(s, frames) or frames[s[LEVEL], WHAT] == FOR
    push(s, frames, DECLARATION, flags, kind)
    s[MODE] = DECLARATOR
    advance(data, s)
    # esprima reads `let {` in a template in a way of its own.
    if kind == _LET and s[KIND] == ord("{") and flags & IN_TEMPLATE:
        return fail(s)
    return False if fits else fail(s)


@inner_kernel
def declarator(s, frames):
    """Take what is declared next."""
    level = s[LEVEL]
    frames[level, NUMBER_OF] += 1
    expect_operand(s, frames)
    if IS_NAME[s[KIND]]:
        frames[level, FIRST], frames[level, BEHIND], frames[level, SHAPE] = s[BEGIN], s[END], BARE
        s[LAST], s[MODE] = A_NAME, OPERATOR
        return True
    frames[level, FIRST], frames[level, BEHIND], frames[level, SHAPE] = 0, 0, PATTERN
    return False if s[KIND] == ord("{") or s[KIND] == ord("[") else fail(s)


@inner_kernel
def _function(data, s, frames, words, named):
    """A function declaration from behind the word."""
    if not _in_list(s, frames):
        return fail(s)
    advance(data, s)
    if s[KIND] == ord("*"):
        words |= STAR_BIT
        advance(data, s)
    if IS_NAME[s[KIND]]:
        count_function(data, s, s[BEGIN], s[END])
        advance(data, s)
    elif named:
        return fail(s)
    return parameters(s, frames, AS_STATEMENT, words)


@inner_kernel
def _class(data, s, frames, named):
    if not _in_list(s, frames):
        return fail(s)
    advance(data, s)
    if IS_NAME[s[KIND]]:
        count_class(data, s, s[BEGIN], s[END])
        advance(data, s)
    elif named:
        return fail(s)
    return class_head(data, s, frames, AS_STATEMENT)


@inner_kernel
def _for(data, s, frames):
    flags = frames[s[LEVEL], FLAGS]
    advance(data, s)
    if s[KIND] == _AWAIT and flags & IN_ASYNC:
        s[NEWER] = 1
        advance(data, s)
    if s[KIND] != ord("("):
        return fail(s)
    push(s, frames, LOOP, flags | IN_LOOP | IN_BREAKABLE, 0)
    level = push_bracket(s, frames, FOR, 0)
    frames[level, FLAGS] |= NO_IN
    advance(data, s)
    if s[KIND] == _VAR or s[KIND] == _CONST or s[KIND] == _LET:
        return _declaration(data, s, frames)
    return False


@inner_kernel
def done(data, s, frames):
    """Behind a statement: it may have been the body of another one, which ends too or goes on."""
    level, kind = s[LEVEL], s[KIND]
    what, flags = frames[level, WHAT], frames[level, FLAGS]
    s[MODE] = STATEMENT
    if what <= SWITCH:
        return False
    if what == IF and kind == _ELSE:
        frames[level, WHAT] = ELSE
        return True
    if what == DO:
        return _head(data, s, frames) if kind == _WHILE else fail(s)
    if what == TRY and frames[level, ROLE] < 2 and (kind == _FINALLY or (kind == _CATCH and frames[level, ROLE] == 0)):
        frames[level, ROLE] = 2 if kind == _FINALLY else 1
        if kind == _FINALLY:
            return _block(data, s, frames)
        advance(data, s)
        if s[KIND] == ord("("):
            push_bracket(s, frames, CAUGHT, 0)
            return True
        s[NEWER] = 1
        push(s, frames, BLOCK, flags, 0)
        return True if s[KIND] == ord("{") else fail(s)
    s[LEVEL] -= 1
    s[MODE] = DONE
    # A block to try needs something behind it.
    return fail(s) if what == TRY and frames[level, ROLE] == 0 else False


@inner_kernel
def _export(data, s, frames):
    advance(data, s)
    kind = s[KIND]
    if kind == ord("{"):
        return names_from(data, s, False)
    if kind == ord("*"):
        advance(data, s)
        return names_from(data, s, True) if s[KIND] == _FROM else fail(s)
    if kind == _DEFAULT:
        s[MODE] = OPERAND
        advance(data, s)
        kind = s[KIND]
        if kind == _FUNCTION:
            s[MODE] = STATEMENT
            return _function(data, s, frames, 0, False)
        if kind == _CLASS:
            s[MODE] = STATEMENT
            return _class(data, s, frames, False)
        return _expression(s, frames, DEFAULT) if kind != _ASYNC else fail(s)
    if kind in (_VAR, _CONST, _LET, _FUNCTION, _CLASS, _ASYNC):
        return _inner_statement(data, s, frames)
    return fail(s)
