"""JavaScript statements that hold no other one, for the compiled scanner; legend in javascript_codes.

A kernel here takes the current token and says whether it is used up.
"""

from opencoder_lib.compiled import inner_kernel
from opencoder_lib.syntax.javascript_codes import (
    BEFORE,
    BEGIN,
    DONE,
    FLAGS,
    IN_BREAKABLE,
    IN_FUNCTION,
    IN_LOOP,
    IS_NAME,
    KIND,
    KIND_OF,
    LEVEL,
    MODE,
    NEWLINE,
    OPERAND,
    RETURN,
    SIMPLE_RETURNS,
    STRING,
    UNSURE,
)
from opencoder_lib.syntax.javascript_frames import count_labels, fail, push
from opencoder_lib.syntax.javascript_tokens import advance

_AS, _BREAK, _DEFAULT, _FROM = (KIND_OF[word] for word in ("as", "break", "default", "from"))


@inner_kernel
def end_statement(s):
    """End a statement before this token, or with it."""
    s[MODE] = DONE
    explicit = s[KIND] == ord(";")
    return explicit if explicit or s[KIND] == 0 or s[KIND] == ord("}") or s[NEWLINE] else fail(s)


@inner_kernel
def give_back(data, s, frames):
    """A return statement, as far as its expression."""
    flags = frames[s[LEVEL], FLAGS]
    if not flags & IN_FUNCTION:
        return fail(s)
    s[MODE] = OPERAND
    advance(data, s)
    kind = s[KIND]
    if s[NEWLINE] or kind == ord(";") or kind == ord("}") or kind == 0:
        s[SIMPLE_RETURNS] += 1
        # esprima looks for a string behind the line end too.
        return fail(s) if s[NEWLINE] and (kind == STRING or kind == ord("`")) else end_statement(s)
    push(s, frames, RETURN, flags, 0)
    return False


@inner_kernel
def jump(data, s, frames):
    """A `break` or `continue`."""
    flags = frames[s[LEVEL], FLAGS]
    needed = IN_BREAKABLE if s[KIND] == _BREAK else IN_LOOP
    advance(data, s)
    if IS_NAME[s[KIND]] and not s[NEWLINE]:
        if count_labels(data, frames, s[LEVEL], s[BEGIN]) != 1:
            return fail(s)
        advance(data, s)
    elif not flags & needed:
        return fail(s)
    return end_statement(s)


@inner_kernel
def names_from(data, s, imports):
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
        advance(data, s)
        if source or (not imports and before == ord("}") and s[KIND] != _FROM):
            break
    if depth != 0 or (default and not imports and not source):
        return fail(s)
    return end_statement(s)
