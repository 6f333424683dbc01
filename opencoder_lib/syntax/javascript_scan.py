"""What a JavaScript text that parses holds, from its tokens alone, in one pass of a compiled loop with a stack.

The loop is a parser that knows at each token what may come, so it also tells a division from a regular expression, a
block from an object, and where a line end is a semicolon. It takes less than the language: of anything that is rare,
that esprima 4.0.1 may refuse, or that it does not understand it is not sure, and its counts mean nothing then. Syntax
newer than 2017 it reads and notes. Whether the text parses is left to a real parser. Legend in javascript_codes.
"""

import numpy as np

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.javascript_codes import (
    A_NAME,
    ARROW,
    AS_MEMBER,
    AS_OPERAND,
    AS_STATEMENT,
    ASYNC_BIT,
    BARE,
    BEFORE,
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
    IN_FUNCTION,
    IN_LOOP,
    IN_TEMPLATE,
    IS_NAME,
    KEY,
    KIND,
    KIND_OF,
    LABEL,
    LAST,
    LEVEL,
    LOOP,
    MEMBER,
    MODE,
    NEWER,
    NEWLINE,
    NO_IN,
    NUM_REGEXES,
    NUMBER_OF,
    OPERAND,
    OPERATOR,
    OTHER,
    PATTERN,
    RETURN,
    ROLE,
    SHAPE,
    SIMPLE_RETURNS,
    STAR_BIT,
    STATEMENT,
    STATEMENTS,
    STRING,
    SWITCH,
    THROW,
    TOP,
    TRY,
    UNSURE,
    UPDATES,
    WHAT,
    WHOLE,
)
from opencoder_lib.syntax.javascript_frames import (
    DEEPEST,
    count_class,
    count_function,
    expect_operand,
    fail,
    is_same_name,
    push,
    push_bracket,
)
from opencoder_lib.syntax.javascript_operands import class_head, key, member, operand, parameters
from opencoder_lib.syntax.javascript_operators import operator
from opencoder_lib.syntax.javascript_tokens import advance

_AS, _ASYNC, _AWAIT, _BREAK, _CASE, _CATCH = (KIND_OF[w] for w in ("as", "async", "await", "break", "case", "catch"))
_CLASS, _CONST, _CONTINUE, _DEBUGGER, _DEFAULT, _DO = (
    KIND_OF[w] for w in ("class", "const", "continue", "debugger", "default", "do")
)
_ELSE, _EXPORT, _FINALLY, _FOR, _FROM, _FUNCTION = (
    KIND_OF[w] for w in ("else", "export", "finally", "for", "from", "function")
)
_IF, _IMPORT, _LET, _RETURN, _SUPER, _SWITCH = (
    KIND_OF[w] for w in ("if", "import", "let", "return", "super", "switch")
)
_THIS, _THROW, _TRY, _VAR, _WHILE = (KIND_OF[w] for w in ("this", "throw", "try", "var", "while"))
# Patterns that need a closer look, and open constructs looked through for a label; more, and the scanner is not sure.
_MOST_REGEXES, _MOST_LEVELS = 2_000, 200
# Null bytes that must follow the text.
PADDING = 8


@kernel
def scan(data: np.ndarray):
    """The counts (10,), whether all was understood, whether there is syntax newer than 2017, and where the patterns
    stand (r, 2) that Python has to judge."""
    s, counts = np.zeros(16, np.int64), np.zeros(10, np.int64)
    frames, regexes = np.empty((DEEPEST, 9), np.int64), np.empty((_MOST_REGEXES, 2), np.int64)
    s[LEVEL] = -1
    push(s, frames, TOP, 0, 0)
    s[MODE] = STATEMENT
    s[END] = _start(data, s)
    used = True
    while not s[UNSURE]:
        if used:
            advance(data, s, regexes)
        mode = s[MODE]
        if mode == OPERATOR:
            used = operator(data, s, frames, counts, regexes)
        elif mode == OPERAND:
            if frames[s[LEVEL], UPDATES] and not (IS_NAME[s[KIND]] or s[KIND] == _THIS or s[KIND] == _SUPER):
                break
            used = operand(data, s, frames, regexes)
        elif mode == KEY:
            used = key(data, s, frames, regexes)
        elif mode == STATEMENT:
            if s[KIND] == 0 and s[LEVEL] == 0:
                return counts, True, s[NEWER] > 0, regexes[: s[NUM_REGEXES]]
            used = _statement(data, s, frames, counts, regexes)
        elif mode == DONE:
            used = _done(data, s, frames, regexes)
        elif mode == MEMBER:
            used = member(data, s, frames, regexes)
        else:
            used = _declarator(s, frames)
    return counts, False, False, regexes[:0]


@kernel
def _start(data, s):
    """The place behind a byte order mark or a line for the shell."""
    i = 3 if data[0] == 0xEF and data[1] == 0xBB and data[2] == 0xBF else 0
    if data[0] == ord("#") and data[1] == ord("!"):
        s[NEWER] = 1
        while data[i] != 10 and data[i] != 0:
            i += 1
    return i


@kernel
def _statement(data, s, frames, counts, regexes):
    """The start of a statement, or the end of a list of them."""
    kind, level = s[KIND], s[LEVEL]
    what = frames[level, WHAT]
    if kind == ord("}"):
        return _close_list(s, frames)
    if what == SWITCH:
        if kind in (_CASE, _DEFAULT):
            return _case(data, s, frames, regexes)
        if frames[level, NUMBER_OF] == 0:
            return fail(s)
    counts[STATEMENTS] += what == TOP
    if kind in (_IMPORT, _EXPORT):
        if kind == _IMPORT:
            advance(data, s, regexes)
            if s[KIND] == ord("(") or s[KIND] == ord("."):
                # It is an expression after all: its tokens are read again.
                s[END], s[KIND] = s[BEGIN] - 1, 0
                return fail(s)
        if what != TOP:
            return fail(s)
        if kind == _IMPORT:
            counts[IMPORTS] += 1
            return _names_from(data, s, regexes, True)
        return _export(data, s, frames, counts, regexes)
    return _inner_statement(data, s, frames, counts, regexes)


@kernel
def _inner_statement(data, s, frames, counts, regexes):
    kind, level = s[KIND], s[LEVEL]
    flags = frames[level, FLAGS]
    if kind == ord("{"):
        push(s, frames, BLOCK, flags, 0)
    elif kind == ord(";"):
        s[MODE] = DONE
    elif kind in (_VAR, _CONST, _LET):
        return _declaration(data, s, frames, regexes)
    elif kind == _IF:
        push(s, frames, IF, flags, 0)
        return _head(data, s, frames, regexes)
    elif kind == _RETURN:
        return _return(data, s, frames, counts, regexes)
    elif kind == _FUNCTION:
        return _function(data, s, frames, counts, regexes, 0, True)
    elif kind == _FOR:
        return _for(data, s, frames, regexes)
    elif kind in (_BREAK, _CONTINUE):
        return _jump(data, s, frames, regexes)
    elif kind == _THROW:
        push(s, frames, THROW, flags, 0)
        s[MODE] = OPERAND
        advance(data, s, regexes)
        return fail(s) if s[NEWLINE] else False
    elif kind == _WHILE:
        push(s, frames, LOOP, flags | IN_LOOP | IN_BREAKABLE, 0)
        return _head(data, s, frames, regexes)
    elif kind == _SWITCH:
        push(s, frames, SWITCH, flags | IN_BREAKABLE, 0)
        return _head(data, s, frames, regexes)
    elif kind == _DO:
        push(s, frames, DO, flags | IN_LOOP | IN_BREAKABLE, 0)
    elif kind == _TRY:
        push(s, frames, TRY, flags, 0)
        return _block(data, s, frames, regexes)
    elif kind == _CLASS:
        return _class(data, s, frames, counts, regexes, True)
    elif kind == _DEBUGGER:
        advance(data, s, regexes)
        return _semicolon(s)
    elif kind == _ASYNC:
        end, begin, newline = s[END], s[BEGIN], s[NEWLINE]
        advance(data, s, regexes)
        if s[KIND] == _FUNCTION and not s[NEWLINE]:
            return _function(data, s, frames, counts, regexes, ASYNC_BIT, True)
        s[END], s[BEGIN], s[NEWLINE], s[KIND] = end, begin, newline, kind
        return _expression(s, frames, EXPRESSION)
    else:
        return _expression(s, frames, EXPRESSION)
    return True


@kernel
def _expression(s, frames, what):
    """Begin a statement that is an expression with this token."""
    level = push(s, frames, what, frames[s[LEVEL], FLAGS], 0)
    frames[level, FIRST] = s[BEGIN]
    s[MODE] = OPERAND
    return False


@kernel
def _head(data, s, frames, regexes):
    advance(data, s, regexes)
    if s[KIND] != ord("("):
        return fail(s)
    push_bracket(s, frames, HEAD, 0)
    return True


@kernel
def _block(data, s, frames, regexes):
    advance(data, s, regexes)
    push(s, frames, BLOCK, frames[s[LEVEL], FLAGS], 0)
    s[MODE] = STATEMENT
    return True if s[KIND] == ord("{") else fail(s)


@kernel
def _semicolon(s):
    """End a statement before this token, or with it."""
    s[MODE] = DONE
    explicit = s[KIND] == ord(";")
    return explicit if explicit or s[KIND] == 0 or s[KIND] == ord("}") or s[NEWLINE] else fail(s)


@kernel
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


@kernel
def _case(data, s, frames, regexes):
    level = s[LEVEL]
    frames[level, NUMBER_OF] = 1
    if s[KIND] == _CASE:
        push(s, frames, CASE, frames[level, FLAGS], 0)
        s[MODE] = OPERAND
        return True
    advance(data, s, regexes)
    frames[level, UPDATES] += 1
    return True if s[KIND] == ord(":") and frames[level, UPDATES] == 1 else fail(s)


@kernel
def _in_list(s, frames):
    return frames[s[LEVEL], WHAT] <= SWITCH


@kernel
def _declaration(data, s, frames, regexes):
    kind, flags = s[KIND], frames[s[LEVEL], FLAGS]
    fits = kind == _VAR or _in_list(s, frames) or frames[s[LEVEL], WHAT] == FOR
    push(s, frames, DECLARATION, flags, kind)
    s[MODE] = DECLARATOR
    advance(data, s, regexes)
    # esprima reads `let {` in a template in a way of its own.
    if kind == _LET and s[KIND] == ord("{") and flags & IN_TEMPLATE:
        return fail(s)
    return False if fits else fail(s)


@kernel
def _declarator(s, frames):
    level = s[LEVEL]
    frames[level, NUMBER_OF] += 1
    expect_operand(s, frames)
    if IS_NAME[s[KIND]]:
        frames[level, FIRST], frames[level, BEHIND], frames[level, SHAPE] = s[BEGIN], s[END], BARE
        s[LAST], s[MODE] = A_NAME, OPERATOR
        return True
    frames[level, FIRST], frames[level, BEHIND], frames[level, SHAPE] = 0, 0, PATTERN
    return False if s[KIND] == ord("{") or s[KIND] == ord("[") else fail(s)


@kernel
def _function(data, s, frames, counts, regexes, words, named):
    """A function declaration from behind the word."""
    if not _in_list(s, frames):
        return fail(s)
    advance(data, s, regexes)
    if s[KIND] == ord("*"):
        words |= STAR_BIT
        advance(data, s, regexes)
    if IS_NAME[s[KIND]]:
        count_function(data, s[BEGIN], s[END], counts)
        advance(data, s, regexes)
    elif named:
        return fail(s)
    return parameters(s, frames, AS_STATEMENT, words)


@kernel
def _class(data, s, frames, counts, regexes, named):
    if not _in_list(s, frames):
        return fail(s)
    advance(data, s, regexes)
    if IS_NAME[s[KIND]]:
        count_class(data, s[BEGIN], s[END], counts)
        advance(data, s, regexes)
    elif named:
        return fail(s)
    return class_head(data, s, frames, regexes, AS_STATEMENT)


@kernel
def _return(data, s, frames, counts, regexes):
    flags = frames[s[LEVEL], FLAGS]
    if not flags & IN_FUNCTION:
        return fail(s)
    s[MODE] = OPERAND
    advance(data, s, regexes)
    kind = s[KIND]
    if s[NEWLINE] or kind == ord(";") or kind == ord("}") or kind == 0:
        counts[SIMPLE_RETURNS] += 1
        # esprima looks for a string behind the line end too.
        return fail(s) if s[NEWLINE] and (kind == STRING or kind == ord("`")) else _semicolon(s)
    push(s, frames, RETURN, flags, 0)
    return False


@kernel
def _for(data, s, frames, regexes):
    flags = frames[s[LEVEL], FLAGS]
    advance(data, s, regexes)
    if s[KIND] == _AWAIT and flags & IN_ASYNC:
        s[NEWER] = 1
        advance(data, s, regexes)
    if s[KIND] != ord("("):
        return fail(s)
    push(s, frames, LOOP, flags | IN_LOOP | IN_BREAKABLE, 0)
    level = push_bracket(s, frames, FOR, 0)
    frames[level, FLAGS] |= NO_IN
    advance(data, s, regexes)
    if s[KIND] == _VAR or s[KIND] == _CONST or s[KIND] == _LET:
        return _declaration(data, s, frames, regexes)
    return False


@kernel
def _jump(data, s, frames, regexes):
    flags = frames[s[LEVEL], FLAGS]
    needed = IN_BREAKABLE if s[KIND] == _BREAK else IN_LOOP
    advance(data, s, regexes)
    if IS_NAME[s[KIND]] and not s[NEWLINE]:
        if not _has_label(data, s, frames):
            return fail(s)
        advance(data, s, regexes)
    elif not flags & needed:
        return fail(s)
    return _semicolon(s)


@kernel
def _has_label(data, s, frames):
    """Whether the name that is the token is a label around it."""
    level = s[LEVEL]
    for outer in range(level, max(0, level - _MOST_LEVELS), -1):
        if frames[outer, WHAT] == BODY or frames[outer, WHAT] == ARROW:
            return False
        if frames[outer, WHAT] == LABEL and is_same_name(data, frames[outer, FIRST], s[BEGIN], s[END]):
            return True
    return False


@kernel
def _done(data, s, frames, regexes):
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
        return _head(data, s, frames, regexes) if kind == _WHILE else fail(s)
    if what == TRY and frames[level, ROLE] < 2 and (kind == _FINALLY or (kind == _CATCH and frames[level, ROLE] == 0)):
        frames[level, ROLE] = 2 if kind == _FINALLY else 1
        if kind == _FINALLY:
            return _block(data, s, frames, regexes)
        advance(data, s, regexes)
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


@kernel
def _names_from(data, s, regexes, imports):
    """The rest of an import, or of an export of names, from its current token on."""
    depth, source, default = 0, False, False
    while not s[UNSURE]:
        kind = s[KIND]
        if kind == STRING:
            source = True
        elif kind == ord("{") or kind == ord("}"):
            depth += 1 if kind == ord("{") else -1
        elif kind == _DEFAULT and s[BEFORE] != _AS:
            default = True
        elif not (IS_NAME[kind] or kind == ord(",") or kind == ord("*") or kind == _DEFAULT):
            return fail(s)
        before = kind
        advance(data, s, regexes)
        if source or (not imports and before == ord("}") and s[KIND] != _FROM):
            break
    if depth != 0 or (default and not (source and not imports) and not imports):
        return fail(s)
    return _semicolon(s)


@kernel
def _export(data, s, frames, counts, regexes):
    advance(data, s, regexes)
    kind = s[KIND]
    if kind == ord("{"):
        return _names_from(data, s, regexes, False)
    if kind == ord("*"):
        advance(data, s, regexes)
        return _names_from(data, s, regexes, True) if s[KIND] == _FROM else fail(s)
    if kind == _DEFAULT:
        s[MODE] = OPERAND
        advance(data, s, regexes)
        kind = s[KIND]
        if kind == _FUNCTION:
            s[MODE] = STATEMENT
            return _function(data, s, frames, counts, regexes, 0, False)
        if kind == _CLASS:
            s[MODE] = STATEMENT
            return _class(data, s, frames, counts, regexes, False)
        return _expression(s, frames, DEFAULT) if kind != _ASYNC else fail(s)
    if kind in (_VAR, _CONST, _LET, _FUNCTION, _CLASS, _ASYNC):
        return _inner_statement(data, s, frames, counts, regexes)
    return fail(s)
