"""The stack of open constructs of the compiled JavaScript scanner, and what it counts; legend in javascript_codes."""

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.javascript_codes import (
    A_LITERAL,
    ARROW_FUNCTION,
    ASYNC_FUNCTION,
    BARE,
    BEHIND,
    CLASSES,
    END,
    FIRST,
    FLAGS,
    FUNCTION,
    FUNCTIONS,
    INVOLVED,
    KIND_OF,
    LAST,
    LEGAL_CLASSES,
    LEGAL_FUNCTIONS,
    LEGAL_VARIABLES,
    LEVEL,
    MODE,
    NO_IN,
    NONE,
    NUMBER_OF,
    OPERAND,
    OPERATOR,
    PATTERN,
    PLACE,
    ROLE,
    SHAPE,
    SIMPLE,
    SIMPLE_VARIABLES,
    START,
    UNARY,
    UNSURE,
    UPDATES,
    VARIABLES,
    WHAT,
)

# Deeper nesting than this is left to the parser's own guard.
DEEPEST = 4_000
# Lists of parameters longer than this are not looked through for names that occur twice.
_MOST_PARAMETERS = 64
_CONST = KIND_OF["const"]


@kernel
def fail(s):
    """Give up, with the token taken as used."""
    s[UNSURE] = 1
    return True


@kernel
def push(s, frames, what, flags, role):
    """Open a construct; the level it is at."""
    level = s[LEVEL] + 1
    if level == DEEPEST:
        s[UNSURE] = 1
        return level - 1
    s[LEVEL] = level
    frames[level, WHAT], frames[level, FLAGS], frames[level, ROLE] = what, flags, role
    frames[level, SHAPE], frames[level, PLACE], frames[level, UPDATES], frames[level, NUMBER_OF] = NONE, START, 0, 0
    frames[level, FIRST] = frames[level, BEHIND] = 0
    return level


@kernel
def push_bracket(s, frames, what, role):
    """Open a bracket that holds expressions; the level it is at."""
    level = push(s, frames, what, frames[s[LEVEL], FLAGS] & ~NO_IN, role)
    frames[level, FIRST] = s[END]
    s[MODE] = OPERAND
    return level


@kernel
def expect_operand(s, frames):
    """Begin an expression in the innermost construct."""
    level = s[LEVEL]
    frames[level, SHAPE], frames[level, PLACE] = NONE, START
    s[MODE] = OPERAND


@kernel
def operand_seen(s, frames, shape, last):
    """Note that the innermost construct's expression has an operand."""
    if frames[s[LEVEL], SHAPE] == NONE:
        frames[s[LEVEL], SHAPE] = shape
    s[LAST], s[MODE] = last, OPERATOR


@kernel
def suffix_seen(s, frames):
    """Note a call, a property or the like behind an operand: only a unary expression stays what it is."""
    if frames[s[LEVEL], SHAPE] != UNARY:
        frames[s[LEVEL], SHAPE] = INVOLVED


@kernel
def count_function(data, start, end, counts):
    """Count a function of this name."""
    counts[FUNCTIONS] += 1
    counts[LEGAL_FUNCTIONS] += _is_legal(data, start, end, True, True)


@kernel
def count_class(data, start, end, counts):
    """Count a class of this name."""
    counts[CLASSES] += 1
    counts[LEGAL_CLASSES] += data[start] != ord("$") and _is_legal(data, start, end, False, True)


@kernel
def _count_variable(data, start, end, counts):
    counts[VARIABLES] += 1
    counts[LEGAL_VARIABLES] += _is_legal(data, start, end, True, False)


@kernel
def count_declared(data, s, frames, counts, loops):
    """Count what the declaration that is open has just declared, in the head of a loop over something or not."""
    level = s[LEVEL]
    shape, start, end = frames[level, SHAPE], frames[level, FIRST], frames[level, BEHIND]
    named = end > start
    if shape <= PATTERN:
        if not loops and (shape == PATTERN or frames[level, ROLE] == _CONST):
            s[UNSURE] = 1
    elif shape == FUNCTION:
        if named:
            count_function(data, start, end, counts)
        return
    if named:
        _count_variable(data, start, end, counts)
    counts[SIMPLE_VARIABLES] += shape in (SIMPLE, UNARY, BARE, PATTERN)


@kernel
def count_exported(data, s, frames, counts):
    """Count the assignment to `module.exports.name` that the open statement is."""
    level = s[LEVEL]
    shape, start, end = frames[level, SHAPE], frames[level, FIRST], frames[level, BEHIND]
    if shape in (FUNCTION, ASYNC_FUNCTION, ARROW_FUNCTION):
        count_function(data, start, end, counts)
    else:
        _count_variable(data, start, end, counts)
        counts[SIMPLE_VARIABLES] += shape in (SIMPLE, UNARY)


@kernel
def _is_legal(data, start, end, lower, upper):
    """Whether a name starts with a dollar sign or a letter of these cases, and has letters and digits behind it."""
    first = data[start]
    if not (first == ord("$") or (lower and _is_lower(first)) or (upper and _is_upper(first))):
        return False
    for i in range(start + 1, end):
        if not (_is_lower(data[i]) or _is_upper(data[i]) or (ord("0") <= data[i] <= ord("9"))):
            return False
    return True


@kernel
def _is_lower(char):
    return ord("a") <= char <= ord("z")


@kernel
def _is_upper(char):
    return ord("A") <= char <= ord("Z")


@kernel
def may_repeat(data, start, end):
    """Whether a plain list of parameters may have a name twice; comments are taken for names."""
    for i in range(start, end):
        if data[i] == ord("=") or data[i] == ord("{") or data[i] == ord("["):
            return False
    names = [0] * 0
    i = start
    while i < end:
        if not _in_name(data[i]):
            i += 1
            continue
        first = i
        while i < end and _in_name(data[i]):
            i += 1
        if len(names) == _MOST_PARAMETERS:
            return True
        for other in names:
            k = 0
            while first + k < i and data[other + k] == data[first + k]:
                k += 1
            if first + k == i and not _in_name(data[other + k]):
                return True
        names.append(first)
    return False


@kernel
def _in_name(char):
    return _is_lower(char) or _is_upper(char) or char == ord("_") or char == ord("$") or ord("0") <= char <= ord("9")


@kernel
def is_same_name(data, first, second, end):
    """Whether the name at `first` is the one from `second` to `end`."""
    k = 0
    while second + k < end and data[first + k] == data[second + k]:
        k += 1
    return second + k == end and not _in_name(data[first + k])


@kernel
def is_target(last):
    """Whether the last operand may be assigned to."""
    return last < A_LITERAL
