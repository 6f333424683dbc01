"""Operands of JavaScript expressions, properties and members, for the compiled scanner; legend in javascript_codes.

A kernel here takes the current token and says whether it is used up.
"""

from opencoder_lib.compiled import inner_kernel
from opencoder_lib.syntax.javascript_codes import (
    A_LITERAL,
    A_NAME,
    ARGUMENTS,
    ARRAY,
    ARROW_SIGN,
    AS_OPERAND,
    ASYNC_BIT,
    ASYNC_CALL,
    ASYNC_FUNCTION,
    BEFORE,
    BEGIN,
    DELETES,
    ELLIPSIS,
    EXPORTS,
    EXPORTS_AT,
    FIRST,
    FLAGS,
    FOR,
    FUNCTION,
    IN_ASYNC,
    IN_FUNCTION,
    IN_GENERATOR,
    INNER,
    INVOLVED,
    IS_NAME,
    KEY,
    KIND,
    KIND_OF,
    LAST,
    LEVEL,
    MODE,
    NEW,
    NEWER,
    NEWLINE,
    NO_IN,
    NO_OPERAND,
    NONE,
    NOT,
    NUMBER,
    OBJECT,
    OPENED,
    OPERATOR,
    OTHER,
    PARAMETERS,
    PAREN,
    PLACE,
    REGEX,
    ROLE,
    SHAPE,
    SIGN,
    SIGNED,
    SIMPLE,
    SINGLE,
    START,
    STATEMENT,
    STRING,
    UNARY,
    UPDATE,
    UPDATES,
    WHAT,
    WHOLE,
)
from opencoder_lib.syntax.javascript_frames import fail, operand_seen, push_bracket
from opencoder_lib.syntax.javascript_members import class_head, function, template
from opencoder_lib.syntax.javascript_tokens import advance

_ASYNC, _AWAIT, _CLASS, _DELETE, _FALSE = (KIND_OF[word] for word in ("async", "await", "class", "delete", "false"))
_FUNCTION, _IMPORT, _META, _MODULE, _NEW = (KIND_OF[word] for word in ("function", "import", "meta", "module", "new"))
_NULL, _SUPER, _THIS, _TRUE, _TYPEOF = (KIND_OF[word] for word in ("null", "super", "this", "true", "typeof"))
_VOID, _YIELD = (KIND_OF[word] for word in ("void", "yield"))


@inner_kernel
def operand(data, s, frames):
    """Take the token where an operand is expected."""
    kind, level = s[KIND], s[LEVEL]
    s[EXPORTS] = 0
    if kind == _ASYNC:
        return _async(data, s, frames)
    if IS_NAME[kind]:
        if kind == _MODULE:
            s[EXPORTS], s[EXPORTS_AT] = 1, s[BEGIN]
        s[DELETES] = s[BEFORE] == _DELETE
        operand_seen(s, frames, SIMPLE, A_NAME)
    elif kind in (NUMBER, STRING, REGEX, _TRUE, _FALSE, _NULL):
        operand_seen(s, frames, SIMPLE, OTHER)
    elif kind == _THIS:
        operand_seen(s, frames, SINGLE, OTHER)
    elif kind == ord("("):
        push_bracket(s, frames, PAREN, 0)
    elif kind == ord("["):
        _be_single(frames, level)
        push_bracket(s, frames, ARRAY, 0)
    elif kind == ord("{"):
        _be_single(frames, level)
        push_bracket(s, frames, OBJECT, 0)
        s[MODE] = KEY
    elif kind == ord("`"):
        _be_single(frames, level)
        template(data, s, frames)
    elif kind in (SIGN, NOT, _TYPEOF, _VOID, _DELETE):
        if frames[level, SHAPE] == NONE:
            frames[level, SHAPE] = UNARY
        frames[level, PLACE] = SIGNED
    elif kind == UPDATE:
        if frames[level, SHAPE] != UNARY:
            frames[level, SHAPE] = INVOLVED
        # What stands behind it is checked when the operand ends.
        if frames[level, UPDATES] or frames[level, PLACE] == NEW:
            return fail(s)
        frames[level, PLACE], frames[level, UPDATES] = INNER, 1
    elif kind == _FUNCTION:
        if frames[level, SHAPE] == NONE:
            frames[level, SHAPE] = FUNCTION
        return function(data, s, frames, AS_OPERAND, 0)
    elif kind == _CLASS:
        _be_single(frames, level)
        return class_head(data, s, frames, AS_OPERAND)
    else:
        return _rare_operand(data, s, frames)
    return True


@inner_kernel
def _be_single(frames, level):
    if frames[level, SHAPE] == NONE:
        frames[level, SHAPE] = SINGLE


@inner_kernel
def _rare_operand(data, s, frames):
    kind, level = s[KIND], s[LEVEL]
    what, flags = frames[level, WHAT], frames[level, FLAGS]
    if kind == _NEW:
        if frames[level, SHAPE] != UNARY:
            frames[level, SHAPE] = INVOLVED
        frames[level, PLACE] = NEW
    elif kind == ELLIPSIS:
        fits = what in (ARGUMENTS, PARAMETERS, ARRAY, PAREN)
        if not fits or frames[level, ROLE] == _IMPORT or s[BEFORE] not in (ord("("), ord("["), ord(",")):
            return fail(s)
    elif kind == _AWAIT and flags & IN_ASYNC:
        if frames[level, SHAPE] != UNARY:
            frames[level, SHAPE] = INVOLVED
        frames[level, PLACE] = SIGNED
    elif kind == _YIELD and flags & IN_GENERATOR and frames[level, PLACE] == START:
        return _yield(data, s, frames)
    elif kind == _SUPER and flags & IN_FUNCTION:
        advance(data, s)
        if s[KIND] != ord(".") and s[KIND] != ord("(") and s[KIND] != ord("["):
            return fail(s)
        operand_seen(s, frames, SINGLE, OTHER)
        return False
    elif kind == _IMPORT:
        return _import(data, s, frames)
    elif kind == ord(")"):
        return _empty(s, frames)
    elif kind == ord("]") and what == ARRAY and frames[level, SHAPE] == NONE:
        s[LEVEL] -= 1
        operand_seen(s, frames, SINGLE, A_LITERAL)
    elif kind == ord(",") and what == ARRAY and frames[level, SHAPE] == NONE and s[BEFORE] != ELLIPSIS:
        return True
    elif kind == ord(";") and what == FOR and frames[level, ROLE] < 2 and frames[level, SHAPE] == NONE:
        frames[level, ROLE] += 1
        frames[level, FLAGS] &= ~NO_IN
    else:
        return fail(s)
    return True


@inner_kernel
def _yield(data, s, frames):
    frames[s[LEVEL], SHAPE] = INVOLVED
    advance(data, s)
    kind = s[KIND]
    if kind == ord("*"):
        return True
    ends = kind == 0 or kind == ord(")") or kind == ord("]") or kind == ord("}") or kind == ord(",") or kind == ord(";")
    if ends or kind == ord(":") or s[NEWLINE]:
        operand_seen(s, frames, INVOLVED, WHOLE)
    return False


@inner_kernel
def _import(data, s, frames):
    """`import(` or `import.meta`."""
    advance(data, s)
    if s[KIND] == ord("("):
        operand_seen(s, frames, SINGLE, OTHER)
        frames[s[LEVEL], SHAPE] = INVOLVED if frames[s[LEVEL], SHAPE] != UNARY else UNARY
        push_bracket(s, frames, ARGUMENTS, _IMPORT)
        return True
    if s[KIND] != ord("."):
        return fail(s)
    advance(data, s)
    if s[KIND] != _META:
        return fail(s)
    s[NEWER] = 1
    operand_seen(s, frames, SINGLE, OTHER)
    return True


@inner_kernel
def _empty(s, frames):
    """A closing parenthesis where an operand might stand."""
    level = s[LEVEL]
    what = frames[level, WHAT]
    if what == FOR and frames[level, ROLE] == 2 and frames[level, SHAPE] == NONE:
        s[LEVEL] -= 1
        s[MODE] = STATEMENT
        return True
    if s[BEFORE] != ord("(") and s[BEFORE] != ord(","):
        return fail(s)
    if what == ARGUMENTS and frames[level, ROLE] != _IMPORT:
        s[LEVEL] -= 1
        s[LAST] = ASYNC_CALL if frames[level, ROLE] == _ASYNC else OTHER
        s[MODE] = OPERATOR
        return True
    if what == PARAMETERS:
        # The operator side checks lists of parameters; that nothing follows a comma is fine with it.
        s[MODE] = OPERATOR
        return False
    if what == PAREN:
        s[OPENED] = frames[level, FIRST]
        s[LEVEL] -= 1
        operand_seen(s, frames, SINGLE, NO_OPERAND)
        return True
    return fail(s)


@inner_kernel
def _async(data, s, frames):
    """The word `async` where an operand stands: a function, an arrow function, or a name."""
    level = s[LEVEL]
    s[MODE] = OPERATOR
    advance(data, s)
    if s[KIND] == _FUNCTION and not s[NEWLINE]:
        if frames[level, SHAPE] == NONE:
            frames[level, SHAPE] = ASYNC_FUNCTION
        return function(data, s, frames, AS_OPERAND, ASYNC_BIT)
    if IS_NAME[s[KIND]] and not s[NEWLINE] and frames[level, PLACE] == START:
        advance(data, s)
        if s[KIND] != ARROW_SIGN or s[NEWLINE]:
            return fail(s)
        operand_seen(s, frames, SINGLE, ASYNC_CALL)
        s[OPENED] = s[BEGIN]
        return False
    operand_seen(s, frames, SIMPLE, A_NAME)
    if s[KIND] == ord("(") and not s[NEWLINE]:
        if frames[level, SHAPE] == SIMPLE:
            frames[level, SHAPE] = SINGLE if frames[level, PLACE] == START else INVOLVED
        push_bracket(s, frames, ARGUMENTS, _ASYNC)
        return True
    return False
