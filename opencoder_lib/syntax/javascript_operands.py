"""Operands of JavaScript expressions, properties and members, for the compiled scanner; legend in javascript_codes.

A kernel here takes the current token and says whether it is used up.
"""

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.javascript_codes import (
    A_LITERAL,
    A_NAME,
    ARGUMENTS,
    ARRAY,
    ARROW_SIGN,
    AS_MEMBER,
    AS_OPERAND,
    AS_PROPERTY,
    AS_STATEMENT,
    ASYNC_BIT,
    ASYNC_CALL,
    ASYNC_FUNCTION,
    BEFORE,
    BEGIN,
    BODY,
    CLASS,
    CLASS_BIT,
    COMPUTED,
    DELETES,
    DONE,
    ELLIPSIS,
    EXPORTS,
    EXPORTS_AT,
    FIELD,
    FIRST,
    FLAGS,
    FOR,
    FUNCTION,
    GET_BIT,
    HERITAGE,
    IN_ASYNC,
    IN_FUNCTION,
    IN_GENERATOR,
    IN_TEMPLATE,
    INNER,
    INVOLVED,
    IS_NAME,
    IS_WORD,
    KEY,
    KIND,
    KIND_OF,
    LAST,
    LEVEL,
    MEMBER,
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
    OPERAND,
    OPERATOR,
    OTHER,
    PARAMETERS,
    PAREN,
    PLACE,
    PRIVATE,
    REGEX,
    ROLE,
    SET_BIT,
    SHAPE,
    SIGN,
    SIMPLE,
    SINGLE,
    STAR_BIT,
    START,
    STATEMENT,
    STRING,
    TEMPLATE,
    UNARY,
    UPDATE,
    UPDATES,
    WHAT,
    WHOLE,
)
from opencoder_lib.syntax.javascript_frames import (
    expect_operand,
    fail,
    operand_seen,
    push,
    push_bracket,
)
from opencoder_lib.syntax.javascript_tokens import advance, template_goes_on

_ASYNC, _AWAIT, _CLASS, _DELETE, _EXTENDS = (KIND_OF[word] for word in ("async", "await", "class", "delete", "extends"))
_FALSE, _FUNCTION, _GET, _IMPORT, _META = (KIND_OF[word] for word in ("false", "function", "get", "import", "meta"))
_MODULE, _NEW, _NULL, _SET, _STATIC, _SUPER = (KIND_OF[w] for w in ("module", "new", "null", "set", "static", "super"))
_THIS, _TRUE, _TYPEOF, _VOID, _YIELD = (KIND_OF[word] for word in ("this", "true", "typeof", "void", "yield"))


@kernel
def operand(data, s, frames, regexes):
    """Take the token where an operand is expected."""
    kind, level = s[KIND], s[LEVEL]
    s[EXPORTS] = 0
    if kind == _ASYNC:
        return _async(data, s, frames, regexes)
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
        frames[level, PLACE] = INNER
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
        return function(data, s, frames, regexes, AS_OPERAND, 0)
    elif kind == _CLASS:
        _be_single(frames, level)
        return class_head(data, s, frames, regexes, AS_OPERAND)
    else:
        return _rare_operand(data, s, frames, regexes)
    return True


@kernel
def _be_single(frames, level):
    if frames[level, SHAPE] == NONE:
        frames[level, SHAPE] = SINGLE


@kernel
def _rare_operand(data, s, frames, regexes):
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
        frames[level, PLACE] = INNER
    elif kind == _YIELD and flags & IN_GENERATOR and frames[level, PLACE] == START:
        return _yield(data, s, frames, regexes)
    elif kind == _SUPER and flags & IN_FUNCTION:
        advance(data, s, regexes)
        if s[KIND] != ord(".") and s[KIND] != ord("(") and s[KIND] != ord("["):
            return fail(s)
        operand_seen(s, frames, SINGLE, OTHER)
        return False
    elif kind == _IMPORT:
        return _import(data, s, frames, regexes)
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


@kernel
def _yield(data, s, frames, regexes):
    frames[s[LEVEL], SHAPE] = INVOLVED
    advance(data, s, regexes)
    kind = s[KIND]
    if kind == ord("*"):
        return True
    ends = kind == 0 or kind == ord(")") or kind == ord("]") or kind == ord("}") or kind == ord(",") or kind == ord(";")
    if ends or kind == ord(":") or s[NEWLINE]:
        operand_seen(s, frames, INVOLVED, WHOLE)
    return False


@kernel
def _import(data, s, frames, regexes):
    """`import(` or `import.meta`."""
    advance(data, s, regexes)
    if s[KIND] == ord("("):
        operand_seen(s, frames, SINGLE, OTHER)
        frames[s[LEVEL], SHAPE] = INVOLVED if frames[s[LEVEL], SHAPE] != UNARY else UNARY
        push_bracket(s, frames, ARGUMENTS, _IMPORT)
        return True
    if s[KIND] != ord("."):
        return fail(s)
    advance(data, s, regexes)
    if s[KIND] != _META:
        return fail(s)
    s[NEWER] = 1
    operand_seen(s, frames, SINGLE, OTHER)
    return True


@kernel
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


@kernel
def template(data, s, frames):
    """Read a template, or its next part, up to where an expression stands in it."""
    if template_goes_on(data, s):
        push_bracket(s, frames, TEMPLATE, 0)
        frames[s[LEVEL], FLAGS] |= IN_TEMPLATE
    else:
        s[LAST], s[MODE] = OTHER, OPERATOR


@kernel
def _async(data, s, frames, regexes):
    """The word `async` where an operand stands: a function, an arrow function, or a name."""
    level = s[LEVEL]
    s[MODE] = OPERATOR
    advance(data, s, regexes)
    if s[KIND] == _FUNCTION and not s[NEWLINE]:
        if frames[level, SHAPE] == NONE:
            frames[level, SHAPE] = ASYNC_FUNCTION
        return function(data, s, frames, regexes, AS_OPERAND, ASYNC_BIT)
    if IS_NAME[s[KIND]] and not s[NEWLINE] and frames[level, PLACE] == START:
        advance(data, s, regexes)
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


@kernel
def function(data, s, frames, regexes, role, words):
    """Read from behind the word `function` to the parameters."""
    s[MODE] = OPERAND
    advance(data, s, regexes)
    if s[KIND] == ord("*"):
        words |= STAR_BIT
        advance(data, s, regexes)
    if IS_NAME[s[KIND]]:
        advance(data, s, regexes)
    elif role == AS_STATEMENT:
        return fail(s)
    return parameters(s, frames, role, words)


@kernel
def parameters(s, frames, role, words):
    """Open a function at the bracket before its parameters."""
    if s[KIND] != ord("("):
        return fail(s)
    flags = function_flags(frames[s[LEVEL], FLAGS], words)
    if words & ASYNC_BIT and words & STAR_BIT:
        s[NEWER] = 1
    push(s, frames, BODY, flags, role)
    push_bracket(s, frames, PARAMETERS, words)
    frames[s[LEVEL], FLAGS] &= ~(IN_ASYNC | IN_GENERATOR)
    return True


@kernel
def function_flags(flags, words):
    """What the body of such a function lies in."""
    flags = (flags & IN_TEMPLATE) | IN_FUNCTION
    if words & ASYNC_BIT:
        flags |= IN_ASYNC
    if words & STAR_BIT:
        flags |= IN_GENERATOR
    return flags


@kernel
def class_head(data, s, frames, regexes, role):
    """Read from behind the word `class`, or behind its name, to the members or to what it extends."""
    if role == AS_OPERAND:
        advance(data, s, regexes)
        if IS_NAME[s[KIND]]:
            advance(data, s, regexes)
    flags = frames[s[LEVEL], FLAGS] & ~NO_IN
    push(s, frames, CLASS, flags, role)
    if s[KIND] == _EXTENDS:
        push(s, frames, HERITAGE, flags, 0)
        expect_operand(s, frames)
        return True
    s[MODE] = MEMBER
    return True if s[KIND] == ord("{") else fail(s)


@kernel
def key(data, s, frames, regexes):
    """A property of an object, or its end."""
    kind = s[KIND]
    if kind == ord("}"):
        s[LEVEL] -= 1
        s[LAST], s[MODE] = A_LITERAL, OPERATOR
        return True
    expect_operand(s, frames)
    return True if kind == ELLIPSIS else _property(data, s, frames, regexes, 0)


@kernel
def member(data, s, frames, regexes):
    """A member of a class, or its end."""
    kind, level = s[KIND], s[LEVEL]
    if kind == ord(";"):
        return True
    if kind == ord("}"):
        s[LEVEL] -= 1
        if frames[level, ROLE] == AS_OPERAND:
            s[LAST], s[MODE] = OTHER, OPERATOR
        else:
            s[MODE] = DONE
        return True
    if kind == _STATIC:
        advance(data, s, regexes)
        if s[KIND] == ord("(") or s[KIND] == ord("=") or s[KIND] == ord(";") or s[NEWLINE]:
            return fail(s)
    return _property(data, s, frames, regexes, CLASS_BIT)


@kernel
def _property(data, s, frames, regexes, words):
    """Read the words before a property and its key, and go on behind it."""
    s[MODE] = OPERAND
    kind, start = s[KIND], s[BEGIN]
    while kind in (_ASYNC, _GET, _SET):
        advance(data, s, regexes)
        after = s[KIND]
        if not (IS_WORD[after] or after in (STRING, NUMBER, PRIVATE) or after == ord("[")):
            if not (after == ord("*") and kind == _ASYNC):
                return after_key(data, s, frames, regexes, kind, start, words)
        if s[NEWLINE] or words & (ASYNC_BIT | GET_BIT | SET_BIT):
            return fail(s)
        words |= ASYNC_BIT if kind == _ASYNC else GET_BIT if kind == _GET else SET_BIT
        kind, start = after, s[BEGIN]
    if kind == ord("*"):
        words |= STAR_BIT
        advance(data, s, regexes)
        kind = s[KIND]
    if kind == ord("["):
        push_bracket(s, frames, COMPUTED, words)
        return True
    if not (IS_WORD[kind] or kind in (STRING, NUMBER) or (kind == PRIVATE and words & CLASS_BIT)):
        return fail(s)
    advance(data, s, regexes)
    return after_key(data, s, frames, regexes, kind, start, words)


@kernel
def after_key(data, s, frames, regexes, kind, start, words):
    """What follows the key (of this kind, which began at start) of a property."""
    after = s[KIND]
    if after == ord("("):
        return parameters(s, frames, AS_MEMBER if words & CLASS_BIT else AS_PROPERTY, words)
    if words & ~CLASS_BIT:
        return fail(s)
    if words:
        return _field(s, frames)
    if after == ord(":"):
        return True
    if not IS_NAME[kind] or kind == _ASYNC:
        return fail(s)
    if after == ord("="):
        frames[s[LEVEL], SHAPE] = INVOLVED
        return True
    # The property is the name alone.
    operand_seen(s, frames, SIMPLE, WHOLE)
    return False if after == ord(",") or after == ord("}") else fail(s)


@kernel
def _field(s, frames):
    s[NEWER] = 1
    if s[KIND] == ord("="):
        push(s, frames, FIELD, frames[s[LEVEL], FLAGS] & IN_TEMPLATE | IN_FUNCTION, 0)
        expect_operand(s, frames)
        return True
    s[MODE] = MEMBER
    return s[KIND] == ord(";") if s[KIND] in (ord(";"), ord("}")) or s[NEWLINE] else fail(s)
