"""The stack of open constructs of the compiled JavaScript scanner, and what it counts; legend in javascript_codes."""

from opencoder_lib.compiled import inner_kernel
from opencoder_lib.syntax.javascript_codes import (
    A_LITERAL,
    ARROW,
    ARROW_FUNCTION,
    ASYNC_FUNCTION,
    BARE,
    BEHIND,
    BODY,
    CLASSES,
    END,
    FIRST,
    FLAGS,
    FUNCTION,
    FUNCTIONS,
    INVOLVED,
    KIND_OF,
    LABEL,
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

_CONST = KIND_OF["const"]
# Deeper nesting than this is left to the parser's own guard.
DEEPEST = 4_000
# Lists of parameters longer than this are not looked through for names that occur twice.
_MOST_PARAMETERS = 64
# So many open constructs are looked through for a label.
_MOST_LEVELS = 200


@inner_kernel
def fail(s):
    """Give up, with the token taken as used."""
    s[UNSURE] = 1
    return True


@inner_kernel
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


@inner_kernel
def push_bracket(s, frames, what, role):
    """Open a bracket that holds expressions; the level it is at."""
    level = push(s, frames, what, frames[s[LEVEL], FLAGS] & ~NO_IN, role)
    frames[level, FIRST] = s[END]
    s[MODE] = OPERAND
    return level


@inner_kernel
def expect_operand(s, frames):
    """Begin an expression in the innermost construct."""
    level = s[LEVEL]
    frames[level, SHAPE], frames[level, PLACE] = NONE, START
    s[MODE] = OPERAND


@inner_kernel
def operand_seen(s, frames, shape, last):
    """Note that the innermost construct's expression has an operand."""
    if frames[s[LEVEL], SHAPE] == NONE:
        frames[s[LEVEL], SHAPE] = shape
    s[LAST], s[MODE] = last, OPERATOR


@inner_kernel
def suffix_seen(s, frames):
    """Note a call, a property or the like behind an operand: only a unary expression stays what it is."""
    if frames[s[LEVEL], SHAPE] != UNARY:
        frames[s[LEVEL], SHAPE] = INVOLVED


@inner_kernel
def count_function(data, s, start, end):
    """Count a function of this name."""
    s[FUNCTIONS] += 1
    s[LEGAL_FUNCTIONS] += _is_legal(data, start, end, True, True)


@inner_kernel
def count_class(data, s, start, end):
    """Count a class of this name."""
    s[CLASSES] += 1
    s[LEGAL_CLASSES] += data[start] != ord("$") and _is_legal(data, start, end, False, True)


@inner_kernel
def _count_variable(data, s, start, end):
    s[VARIABLES] += 1
    s[LEGAL_VARIABLES] += _is_legal(data, start, end, True, False)


@inner_kernel
def count_declared(data, s, frames, loops):
    """Count what the declaration that is open has just declared, in the head of a loop over something or not."""
    level = s[LEVEL]
    shape, start, end = frames[level, SHAPE], frames[level, FIRST], frames[level, BEHIND]
    named = end > start
    if shape <= PATTERN:
        if not loops and (shape == PATTERN or frames[level, ROLE] == _CONST):
            s[UNSURE] = 1
    elif shape == FUNCTION:
        if named:
            count_function(data, s, start, end)
        return
    if named:
        _count_variable(data, s, start, end)
    s[SIMPLE_VARIABLES] += shape in (SIMPLE, UNARY, BARE, PATTERN)


@inner_kernel
def count_exported(data, s, frames):
    """Count the assignment to `module.exports.name` that the open statement is."""
    level = s[LEVEL]
    shape, start, end = frames[level, SHAPE], frames[level, FIRST], frames[level, BEHIND]
    if shape in (FUNCTION, ASYNC_FUNCTION, ARROW_FUNCTION):
        count_function(data, s, start, end)
    else:
        _count_variable(data, s, start, end)
        s[SIMPLE_VARIABLES] += shape in (SIMPLE, UNARY)


@inner_kernel
def _is_legal(data, start, end, lower, upper):
    """Whether a name starts with a dollar sign or a letter of these cases, and has letters and digits behind it."""
    first = data[start]
    if not (first == ord("$") or (lower and _is_lower(first)) or (upper and _is_upper(first))):
        return False
    for i in range(start + 1, end):
        if not (_is_lower(data[i]) or _is_upper(data[i]) or (ord("0") <= data[i] <= ord("9"))):
            return False
    return True


@inner_kernel
def _is_lower(char):
    return ord("a") <= char <= ord("z")


@inner_kernel
def _is_upper(char):
    return ord("A") <= char <= ord("Z")


@inner_kernel
def may_repeat(data, start, end):
    """Whether a plain list of parameters may have a name twice. Others are not looked at."""
    for i in range(start, end):
        if data[i] == ord("=") or data[i] == ord("{") or data[i] == ord("["):
            return False
    found, i = 0, _next_name(data, start, end)
    while i < end:
        found += 1
        if found > _MOST_PARAMETERS or _occurs(data, start, i):
            return True
        i = _next_name(data, _name_end(data, i), end)
    return False


@inner_kernel
def _occurs(data, start, end):
    """Whether the name that begins at end occurs between start and end."""
    start = _next_name(data, start, end)
    while start < end:
        if _is_same_name(data, start, end):
            return True
        start = _next_name(data, _name_end(data, start), end)
    return False


@inner_kernel
def _name_end(data, i):
    while _in_name(data[i]):
        i += 1
    return i


@inner_kernel
def _next_name(data, i, end):
    """The place of the next name that is in no comment, or the end."""
    while i < end and not _in_name(data[i]):
        if data[i] == ord("/") and data[i + 1] == ord("/"):
            while i < end and data[i] != 10:
                i += 1
        elif data[i] == ord("/") and data[i + 1] == ord("*"):
            i += 2
            while i < end and (data[i] != ord("*") or data[i + 1] != ord("/")):
                i += 1
            i += 2
        else:
            i += 1
    return min(i, end)


@inner_kernel
def _in_name(char):
    return _is_lower(char) or _is_upper(char) or char == ord("_") or char == ord("$") or ord("0") <= char <= ord("9")


@inner_kernel
def _is_same_name(data, first, second):
    """Whether the same name begins at both places."""
    while data[first] == data[second] and _in_name(data[first]):
        first, second = first + 1, second + 1
    return not (_in_name(data[first]) or _in_name(data[second]))


@inner_kernel
def count_labels(data, frames, level, begin):
    """How many labels of the function around `level` have the name that begins there: none, one, or 2 for unknown."""
    for outer in range(level, max(0, level - _MOST_LEVELS), -1):
        if frames[outer, WHAT] == BODY or frames[outer, WHAT] == ARROW:
            return 0
        if frames[outer, WHAT] == LABEL and _is_same_name(data, frames[outer, FIRST], begin):
            return 1
    return 0 if level < _MOST_LEVELS else 2


@inner_kernel
def is_target(last):
    """Whether the last operand may be assigned to."""
    return last < A_LITERAL
