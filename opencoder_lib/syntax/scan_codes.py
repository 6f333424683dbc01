"""The numbers that the rules of scan_table.py are made of, and the bytes that the compiled code looks at.

They are compiled into the kernels: `compiled` counts this module among their sources because of its name.
"""

import numpy as np

# Columns of `rules`: where the literal and the close stand in `pool`, codes as below, the next rule to try.
LITERAL, LITERAL_END, GUARD, ACTION, CLOSE, CLOSE_END, FLAGS, CHANGE, TARGET, NEXT = range(10)
ACTIONS = (
    "skip",  # the literal alone
    "escape",  # the literal and the byte after it
    "line",  # up to the line end
    "until",  # up to a close
    "character",  # one quoted character
    "regex",  # a JavaScript regular expression, or the rest of the line
    "heredoc",  # a shell here-document
    "delimited",  # a form whose close repeats its opening: see DELIMITERS
    "tag",  # an HTML or XML tag
    "value",  # the value of an attribute
    "document",  # a Ruby here-document, whose body starts at the next line
)
SKIP, ESCAPE, LINE, UNTIL, CHARACTER, REGEX, HEREDOC, DELIMITED, TAG, VALUE, DOCUMENT = range(len(ACTIONS))
CHANGES = ("keep", "push", "then", "pop", "reset")
KEEP, PUSH, THEN, POP, RESET = range(len(CHANGES))
FLAG_NAMES = (
    "comment",
    "escapes",  # a backslash hides the next byte
    "ends_with_line",  # ends with the line at the latest
    "closed",  # without a close it is none
    "nested",
    "takes_newline",
    "continues",  # a backslash at the line end continues the line
    "doubled",  # a doubled close stands for itself
    "without_close",  # its close counts as code
)
COMMENT, ESCAPES, ENDS_WITH_LINE, CLOSED, NESTED, TAKES_NEWLINE, CONTINUES, DOUBLED, WITHOUT_CLOSE = (
    1 << bit for bit in range(len(FLAG_NAMES))
)
GUARDS = (
    "anywhere",
    "line_start",  # only blanks before it in its line
    "column_0",
    "file_start",
    "word_start",  # no letter, digit or underscore before it
    "token_start",  # a shell token starts here
    "no_operator",  # no PHP operator before it
    "regex_place",  # JavaScript: after an operator or one of the family's words, or at column 0
    "docstring",  # Python: starts a line, but for prefix letters
    "formatted",  # Python: after a prefix with f
    "raw",  # Python: after a prefix with r and without f
    "attribute",  # after a name
    "zero_after",  # line_start, and white space and a 0 follow
    "no_symbol_around",  # no part of a Haskell operator
    "no_underscore",  # no underscore before it
    "ruby_regex",  # Ruby: where the lexer takes a slash for a regular expression
    "ruby_character",  # Ruby: no word around it
    "colon_after",  # a name and a colon follow
    "after_digit",
)
(ANYWHERE, LINE_START, COLUMN_0, FILE_START, WORD_START, TOKEN_START, NO_OPERATOR, REGEX_PLACE) = range(8)
(DOCSTRING, FORMATTED, RAW, ATTRIBUTE, ZERO_AFTER, NO_SYMBOL_AROUND, NO_UNDERSCORE) = range(8, 15)
RUBY_REGEX, RUBY_CHARACTER, COLON_AFTER, AFTER_DIGIT = range(15, len(GUARDS))
# R"x(…)x", r#"…"#, [=[…]=], <<<X…X, ~s(…) and %w[…].
DELIMITERS = ("parentheses", "hashes", "brackets", "php", "sigil", "percent")
PARENTHESES, HASHES, BRACKETS, PHP, SIGIL, PERCENT = range(6)
# Searches for a close that the text itself names may read this many times the file; then they are given up.
BUDGET = 64

NEWLINE, BACKSLASH, QUOTE, APOSTROPHE, SLASH, DOLLAR, EQUALS, LESS, GREATER = 10, 92, 34, 39, 47, 36, 61, 60, 62
ZERO, NINE, HASH, MINUS, SEMICOLON, OPEN, CLOSE_BRACKET, BRACKET = 48, 57, 35, 45, 59, 40, 93, 91
UNDERSCORE, BRACE, COMMA, TILDE, BACKTICK, COLON = 95, 123, 44, 126, 96, 58


def _set_of(marks: bytes) -> np.ndarray:
    table = np.zeros(256, np.bool_)
    table[list(marks)] = True
    return table


SPACE = _set_of(b" \t\n\v\f\r\x1c\x1d\x1e\x1f")
WORD = _set_of(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_" + bytes(range(128, 256)))
LETTER = _set_of(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
SIGIL_MARK = _set_of(b"({[</|\"'")
TAG_NAME = WORD | _set_of(b":.-")
SHELL_BREAK = SPACE | _set_of(b"=[]{}()$\"'`\\<&|;")
BEFORE_REGEX = _set_of(b"{([;,+-~?:=!<>*%&^|/")
BEFORE_RUBY_REGEX = _set_of(b"=<>~!:")
RUBY_KIND = _set_of(b"QWxqswr")
PHP_OPERATOR = _set_of(b"~!%^&*+=|:.<>/@-")
HASKELL_SYMBOL = _set_of(b"!#$%&*+./<=>?@^|~:\\-")
REGEX_FLAGS = _set_of(b"gimuysd")
# The letters of a Python string's prefix.
B, F, R, U = 98, 102, 114, 117
