"""The numbers by which the compiled JavaScript scanner calls tokens, places, open constructs and its state.

Legend of the arrays that its kernels share: `data` (n,) uint8 is the text in UTF-8 with null bytes behind it; `s` int64
is the state, one entry a name below; `frames` (levels, columns) int64 is the stack of open constructs, the innermost
one at s[LEVEL].
"""

import numpy as np

# Kinds of tokens: a bracket, `; , . : ? * =` and the back quote are their ASCII codes, the end of the text is 0.
NAME, NUMBER, STRING, REGEX, BINARY, SIGN, UPDATE, NOT, AUGMENTED, ARROW_SIGN = range(130, 140)
ELLIPSIS, CHAIN, NEWER_BINARY, PRIVATE, POWER = range(140, 145)
_RESERVED = (
    "break case catch class const continue debugger default delete do else enum export extends false finally for"
)
_RESERVED += " function if import in instanceof new null return super switch this throw true try typeof var void while"
_RESERVED += " with await yield let static implements interface package private protected public"
_CONTEXTUAL = "async get set of as from module exports meta"
WORDS = _RESERVED.split() + _CONTEXTUAL.split()
_FIRST_WORD = 145
KIND_OF = {word: _FIRST_WORD + number for number, word in enumerate(WORDS)}
# Names that may be declared; any word, which may be a property.
IS_NAME = np.array([kind == NAME or kind >= KIND_OF["async"] for kind in range(256)])
IS_WORD = np.array([kind == NAME or kind >= _FIRST_WORD for kind in range(256)])

# The state: the token (its first byte, the byte behind it, its kind, the kind of the one before, whether a line ends
# between them), what is expected, the innermost construct, the last operand, whether the scanner is not sure, whether
# it saw syntax newer than 2017, how much of `module.exports.name` has just been read and where that began, whether a
# bare name was deleted, how many regular expressions need a closer look, and where the last parenthesis opened.
BEGIN, END, KIND, BEFORE, NEWLINE, MODE, LEVEL, LAST, UNSURE, NEWER = range(10)
EXPORTS, EXPORTS_AT, DELETES, NUM_REGEXES, OPENED = range(10, 15)
# What is expected: a statement, what may follow one, a declared name, an operand, what may follow an operand, a
# property of an object, a member of a class.
STATEMENT, DONE, DECLARATOR, OPERAND, OPERATOR, KEY, MEMBER = range(7)

# Columns of a frame: the construct; in what it lies (the flags below); the shape of its current expression; whether
# that may still be the target of an assignment; a span of the text; what it is for; a number; a `++` to check.
WHAT, FLAGS, SHAPE, PLACE, FIRST, BEHIND, ROLE, NUMBER_OF, UPDATES = range(9)
IN_LOOP, IN_BREAKABLE, IN_FUNCTION, IN_ASYNC, IN_GENERATOR, IN_TEMPLATE, NO_IN = (1 << bit for bit in range(7))
# Constructs. Lists of statements, what has one statement as a body, what an automatic semicolon ends, brackets.
TOP, BLOCK, BODY, SWITCH = range(4)
IF, ELSE, LOOP, LABEL, DO, TRY = range(4, 10)
EXPRESSION, RETURN, THROW, DEFAULT, FIELD, DECLARATION = range(10, 16)
ARROW, TERNARY, CASE, HERITAGE, CLASS = range(16, 21)
PAREN, ARGUMENTS, INDEX, ARRAY, OBJECT, TEMPLATE, HEAD, FOR, PARAMETERS, CAUGHT, COMPUTED = range(21, 32)
# Shapes: nothing yet; a declared name, or pattern, without a value; a literal or name; a unary expression; functions;
# one operand of another sort; an arrow function; anything else.
NONE, BARE, PATTERN, SIMPLE, UNARY, FUNCTION, ASYNC_FUNCTION, SINGLE, ARROW_FUNCTION, INVOLVED = range(10)
# Places: the start of an assignment expression; behind an operator; behind `new`; behind a unary operator.
START, INNER, NEW, SIGNED = range(4)
# Last operands: a name, a property, a list or an object (all these may be assigned to); `a++`; what no operator may
# follow; `()`; something in parentheses; `async()`; any other.
A_NAME, A_PROPERTY, A_LITERAL, UPDATED, WHOLE, NO_OPERAND, IN_PARENTHESES, ASYNC_CALL, OTHER = range(9)
# What a function is: a statement, an operand, a method of an object, one of a class, an arrow function.
AS_STATEMENT, AS_OPERAND, AS_PROPERTY, AS_MEMBER, AS_ARROW = range(5)
# Bits of a property's words: it is `async`, `*`, `get`, `set`, in a class.
ASYNC_BIT, STAR_BIT, GET_BIT, SET_BIT, CLASS_BIT = (1 << bit for bit in range(5))
# The state goes on: the counts in the order of JavaScriptFacts, then where the patterns begin and end.
FUNCTIONS, VARIABLES, SIMPLE_VARIABLES, SIMPLE_RETURNS, IMPORTS, CLASSES, STATEMENTS = range(16, 23)
LEGAL_VARIABLES, LEGAL_FUNCTIONS, LEGAL_CLASSES, FIRST_REGEX = range(23, 27)
# More patterns than this, and the scanner is not sure.
MOST_REGEXES = 2_000
