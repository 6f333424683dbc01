"""What a JavaScript text that parses holds, from its tokens alone, in one pass of a compiled loop with a stack.

The loop is a parser that knows at each token what may come, so it also tells a division from a regular expression, a
block from an object, and where a line end is a semicolon. It takes less than the language: of anything that is rare,
that esprima 4.0.1 may refuse, or that it does not understand it is not sure, and its counts mean nothing then. Syntax
newer than 2017 it reads and notes. Whether the text parses is left to a real parser. Legend in javascript_codes.
"""

import numpy as np

from opencoder_lib.compiled import inner_kernel, kernel
from opencoder_lib.syntax.javascript_codes import (
    DONE,
    END,
    FIRST_REGEX,
    FUNCTIONS,
    IS_NAME,
    KEY,
    KIND,
    KIND_OF,
    LEVEL,
    MEMBER,
    MODE,
    MOST_REGEXES,
    NEWER,
    NUM_REGEXES,
    OPERAND,
    OPERATOR,
    STATEMENT,
    TOP,
    UNSURE,
    UPDATES,
)
from opencoder_lib.syntax.javascript_frames import DEEPEST, push
from opencoder_lib.syntax.javascript_members import key, member
from opencoder_lib.syntax.javascript_operands import operand
from opencoder_lib.syntax.javascript_operators import operator
from opencoder_lib.syntax.javascript_statements import declarator, done, statement
from opencoder_lib.syntax.javascript_tokens import advance

_SUPER, _THIS = (KIND_OF[word] for word in ("super", "this"))
# Null bytes that must follow the text.
PADDING = 8


@kernel
def scan(data: np.ndarray):
    """The counts (10,), whether all was understood, whether there is syntax newer than 2017, and where the patterns
    stand (r, 2) that Python has to judge."""
    s, frames = np.zeros(FIRST_REGEX + 2 * MOST_REGEXES, np.int64), np.empty((DEEPEST, 9), np.int64)
    understood = _run(data, s, frames)
    patterns = s[FIRST_REGEX : FIRST_REGEX + 2 * s[NUM_REGEXES]].reshape(-1, 2)
    return s[FUNCTIONS:FIRST_REGEX], understood, s[NEWER] > 0, patterns


@inner_kernel
def _run(data, s, frames):
    """Read the text to its end, or to where the scanner is not sure; whether it got to the end."""
    s[LEVEL] = -1
    push(s, frames, TOP, 0, 0)
    s[MODE] = STATEMENT
    s[END] = _start(data, s)
    used = True
    while not s[UNSURE]:
        if used:
            advance(data, s)
        mode = s[MODE]
        if mode == OPERATOR:
            used = operator(data, s, frames)
        elif mode == OPERAND:
            if frames[s[LEVEL], UPDATES] and not (IS_NAME[s[KIND]] or s[KIND] == _THIS or s[KIND] == _SUPER):
                break
            used = operand(data, s, frames)
        elif mode == KEY:
            used = key(data, s, frames)
        elif mode == STATEMENT:
            if s[KIND] == 0 and s[LEVEL] == 0:
                return s[UNSURE] == 0
            used = statement(data, s, frames)
        elif mode == DONE:
            used = done(data, s, frames)
        elif mode == MEMBER:
            used = member(data, s, frames)
        else:
            used = declarator(s, frames)
    return False


@inner_kernel
def _start(data, s):
    """The place behind a byte order mark or a line for the shell."""
    i = 3 if data[0] == 0xEF and data[1] == 0xBB and data[2] == 0xBF else 0
    if data[0] == ord("#") and data[1] == ord("!"):
        s[NEWER] = 1
        while data[i] != 10 and data[i] != 0:
            i += 1
    return i
