"""The structure of a Python text that is known to parse, from its tokens alone, in one pass of a compiled loop.

A statement starts with a logical line, after a semicolon or after the colon of a one-line body, and its first words say
which one it is: no grammar is needed. What the loop does not understand it says, and then its counts mean nothing.

Legend: `kinds` (t,) uint8 as in python_tokens; k is an index into it. A block, the body of the module or of a compound
statement, is a row of `blocks`, the innermost one at `level`. Depths are those of nodes in the syntax tree.
"""

import numpy as np

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.python_tokens import (
    AUGMENTED,
    BRACKETS,
    BYTES,
    DEDENT,
    END,
    INDENT,
    KIND_OF,
    NAME,
    NEWLINE,
    NUMBER,
    TEXT,
)

# Entries of the counts.
FUNCTIONS, SINGLE_RETURNS, CLASSES, VARIABLES, CLASS_VARIABLES, BINDINGS, PASSES, IMPORTS, SIMPLE_RETURNS = range(9)
# Kinds of blocks, those with docstrings first, in the order in which the release sorts these. Async functions have
# plain blocks.
CLASS, FUNCTION, MODULE, PLAIN, MATCH, NO_BLOCK = range(6)
# Columns of a docstring: kind and depth of its owner, the token of the owner's name, its own first and last token.
OWNER_KIND, OWNER_DEPTH, OWNER_NAME, FIRST, LAST = range(5)
# Columns of a block: its kind, the token of its owner's name, statements so far, whether the first is a return, whether
# the owner lies in a class, the depth of its statements, the depth of the last compound one of them (of its last
# `elif`), and whether it ends with its line.
_KIND, _NAME, _STATEMENTS, _RETURNS, _IN_CLASS, _DEPTH, _CLAUSE, _ONE_LINE = range(8)

_DEF, _CLASS, _ASYNC, _FOR, _IN, _WITH = (KIND_OF[word] for word in ("def", "class", "async", "for", "in", "with"))
_ELIF, _ELSE, _EXCEPT, _FINALLY, _MATCH = (KIND_OF[word] for word in ("elif", "else", "except", "finally", "match"))
_AS, _CASE = KIND_OF["as"], KIND_OF["case"]
_IMPORT, _FROM, _RETURN, _PASS, _LAMBDA = (KIND_OF[word] for word in ("import", "from", "return", "pass", "lambda"))

# By kind of token: the block it opens, and whether it may be a variable.
_OPENS = np.full(256, NO_BLOCK)
_OPENS[[KIND_OF[word] for word in ["if", "elif", "else", "for", "while", "with", "try", "except", "finally"]]] = PLAIN
_OPENS[_CLASS], _OPENS[_DEF] = CLASS, FUNCTION
_IS_NAME = np.array([kind in (NAME, _MATCH, _CASE) for kind in range(256)])


@kernel
def structure(kinds: np.ndarray):
    """The counts (9,), the docstrings (d, 5) in the order of the text, and whether all was understood."""
    counts = np.zeros(9, np.int64)
    blocks = np.zeros((np.sum(kinds == INDENT) + 3, 8), np.int64)
    docstrings = np.zeros((np.sum(kinds == _DEF) + np.sum(kinds == _CLASS) + 1, 5), np.int64)
    blocks[0, _KIND], blocks[0, _DEPTH] = MODULE, 1
    level = num_docstrings = k = 0
    starts_line = True
    while kinds[k] != END:
        block = blocks[level]
        if kinds[k] == DEDENT or (kinds[k] == NEWLINE and block[_ONE_LINE]):
            if level == 0:
                return counts, docstrings[:0], False
            _close(block, counts)
            level -= 1
            k += kinds[k] == DEDENT
            continue
        if kinds[k] == NEWLINE or kinds[k] == ord(";"):
            starts_line = kinds[k] == NEWLINE
            k += 1
            continue
        if kinds[k] == ord("@"):
            k = _line_end(kinds, k)
            continue
        opens = _opens(kinds, k, block, starts_line)
        if opens == NO_BLOCK:
            first, k, starts_line = k, _simple(kinds, k, block, counts), False
            if block[_STATEMENTS] == 1 and block[_KIND] <= MODULE and _is_text(kinds, first, k):
                _note(docstrings[num_docstrings], block, first, k - 1)
                num_docstrings += 1
            continue
        colon = _colon(kinds, k)
        starts_line = kinds[colon + 1] == NEWLINE
        if kinds[colon] == NEWLINE or level + 1 == len(blocks) or (starts_line and kinds[colon + 2] != INDENT):
            return counts, docstrings[:0], False
        level += 1
        _open(kinds, k, colon, block, opens, blocks[level], counts)
        blocks[level, _ONE_LINE] = not starts_line
        k = colon + 3 if starts_line else colon + 1
    for open_level in range(1, level + 1):
        _close(blocks[open_level], counts)
    return counts, docstrings[:num_docstrings], True


@kernel
def _note(docstring, block, first, last):
    """Note the docstring of `block` that the tokens from `first` to `last` make up."""
    docstring[OWNER_KIND], docstring[OWNER_DEPTH], docstring[OWNER_NAME] = block[_KIND], block[_DEPTH] - 1, block[_NAME]
    docstring[FIRST], docstring[LAST] = first, last


@kernel
def _opens(kinds, k, block, starts_line):
    """The kind of block that the statement at k, which stands in `block`, opens."""
    # All that stands in a match statement is its cases.
    if block[_KIND] == MATCH or kinds[k] == _ASYNC:
        return PLAIN
    # `match` is also a name; but only before a block a line ends with a colon.
    if kinds[k] == _MATCH and starts_line and kinds[_line_end(kinds, k) - 1] == ord(":"):
        return MATCH
    return _OPENS[kinds[k]]


@kernel
def _open(kinds, k, colon, block, opens, inner, counts):
    """Count the compound statement from k to the colon, which stands in `block`, and set up its block `inner`."""
    kind, depth, is_async = kinds[k], 1, kinds[k] == _ASYNC
    k += is_async
    if kind == _ELIF:
        # It is an `if` inside the `else` of the one before.
        block[_CLAUSE] += 1
    elif kind == _EXCEPT:
        depth = 2
    elif kind != _ELSE and kind != _FINALLY:
        block[_CLAUSE] = block[_DEPTH]
        block[_STATEMENTS] += 1
    if kinds[k] == _DEF:
        ordinary, has_any = _parameters(kinds, k + 2)
        counts[BINDINGS] += has_any
        counts[FUNCTIONS] += not is_async
        counts[VARIABLES] += 0 if is_async else ordinary
    elif kinds[k] == _FOR:
        counts[BINDINGS] += 1
        counts[VARIABLES] += not is_async and _loops_over_name(kinds, k)
    elif kinds[k] == _WITH:
        counts[BINDINGS] += np.any(kinds[k:colon] == _AS)
    counts[CLASSES] += opens == CLASS
    inner[:] = 0
    inner[_KIND], inner[_NAME], inner[_DEPTH] = opens, k + 1, block[_CLAUSE] + depth
    inner[_IN_CLASS] = block[_IN_CLASS] or block[_KIND] == CLASS


@kernel
def _close(block, counts):
    """Count the function that ends, if its body was a single return."""
    counts[SINGLE_RETURNS] += block[_KIND] == FUNCTION and block[_STATEMENTS] == 1 and block[_RETURNS] == 1


@kernel
def _simple(kinds, k, block, counts):
    """Count the simple statement at k, which stands in `block`; its end."""
    block[_STATEMENTS] += 1
    if kinds[k] == _RETURN:
        block[_RETURNS] |= block[_STATEMENTS] == 1
        end = _statement_end(kinds, k)
        counts[SIMPLE_RETURNS] += _is_simple_value(kinds, k + 1, end)
        return end
    counts[PASSES] += kinds[k] == _PASS
    counts[IMPORTS] += kinds[k] == _IMPORT or kinds[k] == _FROM
    assigned, annotated, binds, end = _names_set(kinds, k)
    counts[BINDINGS] += binds
    counts[VARIABLES] += assigned
    if block[_KIND] == CLASS and not block[_IN_CLASS]:
        counts[CLASS_VARIABLES] += assigned + annotated
    return end


@kernel
def _names_set(kinds, k):
    """How many plain names the simple statement at k assigns and annotates, whether it sets anything, and its end."""
    assigned = annotated = brackets = names = 0
    only_names, before_value, binds = True, True, False
    while kinds[k] != NEWLINE and not (kinds[k] == ord(";") and brackets == 0):
        kind = kinds[k]
        if before_value and brackets == 0 and kind == ord("="):
            assigned += only_names and names == 1
            names, only_names, binds = 0, True, True
        elif before_value and brackets == 0 and (kind == ord(":") or kind == _LAMBDA):
            # An annotation or a lambda's arguments follow: the equals signs there assign nothing that counts.
            annotated += kind == ord(":") and only_names and names == 1
            binds |= kind == ord(":")
            before_value = False
        elif kind == AUGMENTED:
            binds = True
        elif _IS_NAME[kind]:
            names += 1
        else:
            brackets += BRACKETS[kind]
            only_names &= kind == ord("(") or kind == ord(")")
        k += 1
    return assigned, annotated, binds, k


@kernel
def _loops_over_name(kinds, k):
    """Whether the target of the `for` at k is a plain name, parentheses or not."""
    brackets = names = 0
    k += 1
    while kinds[k] != _IN:
        if _IS_NAME[kinds[k]]:
            names += 1
        elif kinds[k] == ord(")") or (kinds[k] == ord("(") and names == 0):
            brackets += BRACKETS[kinds[k]]
        else:
            return False
        k += 1
    # With an open bracket it is the `in` of a comparison.
    return names == 1 and brackets == 0


@kernel
def _parameters(kinds, k):
    """How many parameters of the function whose name ends before k are neither positional only nor keyword only, and
    whether it has any at all."""
    brackets = lambdas = found = 0
    while kinds[k] != NEWLINE and not (kinds[k] == ord("(") and brackets == 0):
        brackets += BRACKETS[kinds[k]]
        k += 1
    brackets, expected, k = 1, True, k + 1
    has_any = kinds[k] != ord(")")
    while brackets > 0 and kinds[k] != NEWLINE:
        kind = kinds[k]
        brackets += BRACKETS[kind]
        if expected and kind == ord("*"):
            break
        if expected and kind == ord("/"):
            found = 0
        elif expected and brackets > 0:
            found += 1
        if brackets == 1 and kind == _LAMBDA:
            lambdas += 1
        elif brackets == 1 and kind == ord(":") and lambdas > 0:
            lambdas -= 1
        # The commas between the arguments of a lambda end no parameter.
        expected = brackets == 1 and kind == ord(",") and lambdas == 0
        k += 1
    return found, has_any


@kernel
def _is_simple_value(kinds, k, end):
    """Whether the tokens are nothing, a name or a literal, at most one minus before it, parentheses or not."""
    value, minus, closed, empty = 0, False, False, k == end
    while k < end:
        kind = kinds[k]
        if kind == ord("("):
            if value:
                return False
        elif kind == ord("-"):
            if value or minus:
                return False
            minus = True
        elif kind == ord(")"):
            closed = True
        elif kind in (TEXT, BYTES):
            # Strings in a row are one literal.
            if value == NAME or closed:
                return False
            value = TEXT
        elif _IS_NAME[kind] or kind == NUMBER:
            if value or closed:
                return False
            value = NAME
        else:
            return False
        k += 1
    return empty or value > 0


@kernel
def _is_text(kinds, k, end):
    """Whether the tokens are nothing but string literals, parentheses around them or not."""
    found, closed = False, False
    while k < end:
        if kinds[k] == TEXT and not closed:
            found = True
        elif kinds[k] == ord(")"):
            closed = True
        elif kinds[k] != ord("(") or found or closed:
            return False
        k += 1
    return found


@kernel
def _colon(kinds, k):
    """The colon before the body of the compound statement at k, or the end of its line."""
    brackets = lambdas = 0
    while kinds[k] != NEWLINE:
        if brackets == 0 and kinds[k] == _LAMBDA:
            lambdas += 1
        elif brackets == 0 and kinds[k] == ord(":"):
            if lambdas == 0:
                return k
            lambdas -= 1
        brackets += BRACKETS[kinds[k]]
        k += 1
    return k


@kernel
def _statement_end(kinds, k):
    """The semicolon or the line end after the simple statement at k."""
    brackets = 0
    while kinds[k] != NEWLINE and not (kinds[k] == ord(";") and brackets == 0):
        brackets += BRACKETS[kinds[k]]
        k += 1
    return k


@kernel
def _line_end(kinds, k):
    """The end of the logical line of k."""
    while kinds[k] != NEWLINE:
        k += 1
    return k
