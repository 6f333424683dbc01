"""JavaScript functions, classes and properties, for the compiled scanner; legend in javascript_codes.

A kernel here takes the current token and says whether it is used up.
"""

from opencoder_lib.compiled import inner_kernel
from opencoder_lib.syntax.javascript_codes import (
    A_LITERAL,
    AS_MEMBER,
    AS_OPERAND,
    AS_PROPERTY,
    AS_STATEMENT,
    ASYNC_BIT,
    BEGIN,
    BODY,
    CLASS,
    CLASS_BIT,
    COMPUTED,
    DONE,
    ELLIPSIS,
    FIELD,
    FLAGS,
    GET_BIT,
    HERITAGE,
    IN_ASYNC,
    IN_FUNCTION,
    IN_GENERATOR,
    IN_TEMPLATE,
    INVOLVED,
    IS_NAME,
    IS_WORD,
    KIND,
    KIND_OF,
    LAST,
    LEVEL,
    MEMBER,
    MODE,
    NEWER,
    NEWLINE,
    NO_IN,
    NUMBER,
    OPERAND,
    OPERATOR,
    OTHER,
    PARAMETERS,
    PRIVATE,
    ROLE,
    SET_BIT,
    SHAPE,
    SIMPLE,
    STAR_BIT,
    STATEMENT,
    STRING,
    TEMPLATE,
    WHOLE,
)
from opencoder_lib.syntax.javascript_frames import expect_operand, fail, operand_seen, push, push_bracket
from opencoder_lib.syntax.javascript_tokens import advance, template_goes_on

_ASYNC, _EXTENDS, _GET, _SET, _STATIC = (KIND_OF[word] for word in ("async", "extends", "get", "set", "static"))


@inner_kernel
def template(data, s, frames):
    """Read a template, or its next part, up to where an expression stands in it."""
    if template_goes_on(data, s):
        push_bracket(s, frames, TEMPLATE, 0)
        frames[s[LEVEL], FLAGS] |= IN_TEMPLATE
    else:
        s[LAST], s[MODE] = OTHER, OPERATOR


@inner_kernel
def function(data, s, frames, role, words):
    """Read from behind the word `function` to the parameters."""
    s[MODE] = OPERAND
    advance(data, s)
    if s[KIND] == ord("*"):
        words |= STAR_BIT
        advance(data, s)
    if IS_NAME[s[KIND]]:
        advance(data, s)
    elif role == AS_STATEMENT:
        return fail(s)
    return parameters(s, frames, role, words)


@inner_kernel
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


@inner_kernel
def function_flags(flags, words):
    """What the body of such a function lies in."""
    flags = (flags & IN_TEMPLATE) | IN_FUNCTION
    if words & ASYNC_BIT:
        flags |= IN_ASYNC
    if words & STAR_BIT:
        flags |= IN_GENERATOR
    return flags


@inner_kernel
def class_head(data, s, frames, role):
    """Read from behind the word `class`, or behind its name, to the members or to what it extends."""
    if role == AS_OPERAND:
        advance(data, s)
        if IS_NAME[s[KIND]]:
            advance(data, s)
    flags = frames[s[LEVEL], FLAGS] & ~NO_IN
    push(s, frames, CLASS, flags, role)
    if s[KIND] == _EXTENDS:
        push(s, frames, HERITAGE, flags, 0)
        expect_operand(s, frames)
        return True
    s[MODE] = MEMBER
    return True if s[KIND] == ord("{") else fail(s)


@inner_kernel
def key(data, s, frames):
    """A property of an object, or its end."""
    kind = s[KIND]
    if kind == ord("}"):
        s[LEVEL] -= 1
        s[LAST], s[MODE] = A_LITERAL, OPERATOR
        return True
    expect_operand(s, frames)
    return True if kind == ELLIPSIS else _property(data, s, frames, 0)


@inner_kernel
def member(data, s, frames):
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
        advance(data, s)
        if s[KIND] == ord("{"):
            s[NEWER] = 1
            push(s, frames, BODY, frames[level, FLAGS] & IN_TEMPLATE, AS_MEMBER)
            s[MODE] = STATEMENT
            return True
        if s[KIND] == ord("(") or s[KIND] == ord("=") or s[KIND] == ord(";") or s[NEWLINE]:
            return fail(s)
    return _property(data, s, frames, CLASS_BIT)


@inner_kernel
def _property(data, s, frames, words):
    """Read the words before a property and its key, and go on behind it."""
    s[MODE] = OPERAND
    kind, start = s[KIND], s[BEGIN]
    while kind in (_ASYNC, _GET, _SET):
        advance(data, s)
        after = s[KIND]
        named = IS_WORD[after] or after in (STRING, NUMBER, PRIVATE) or after == ord("[")
        if not named and not (after == ord("*") and kind == _ASYNC):
            return after_key(data, s, frames, kind, start, words)
        if s[NEWLINE] or words & (ASYNC_BIT | GET_BIT | SET_BIT):
            return fail(s)
        words |= ASYNC_BIT if kind == _ASYNC else GET_BIT if kind == _GET else SET_BIT
        kind, start = after, s[BEGIN]
    if kind == ord("*"):
        words |= STAR_BIT
        advance(data, s)
        kind = s[KIND]
    if kind == ord("["):
        push_bracket(s, frames, COMPUTED, words)
        return True
    if not (IS_WORD[kind] or kind in (STRING, NUMBER) or (kind == PRIVATE and words & CLASS_BIT)):
        return fail(s)
    advance(data, s)
    return after_key(data, s, frames, kind, start, words)


@inner_kernel
def after_key(data, s, frames, kind, start, words):
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


@inner_kernel
def _field(s, frames):
    s[NEWER] = 1
    if s[KIND] == ord("="):
        push(s, frames, FIELD, frames[s[LEVEL], FLAGS] & IN_TEMPLATE | IN_FUNCTION, 0)
        expect_operand(s, frames)
        return True
    s[MODE] = MEMBER
    return s[KIND] == ord(";") if s[KIND] in (ord(";"), ord("}")) or s[NEWLINE] else fail(s)
