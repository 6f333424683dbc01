"""The structure of a Python file, from CPython's own parser: its answer is the definition.

Only statements are walked, with a list instead of recursion: functions, classes and assignments never hide inside
expressions, and a deeply nested file costs no stack.
"""

import ast
import inspect
import io
import sys
import tokenize
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

RECURSION_LIMIT = 10_000
TOKENIZE_LIMIT, TOKENIZE_LINE_LIMIT = 500_000, 500
# What the parser raises on text that is no Python: bad syntax, a null character, nesting deeper than its stack.
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class PythonFacts:
    """Counts over a file's syntax tree. Async functions count nowhere, as in the release; `async def` has its own node.

    variables: plain names assigned, looped over, or ordinary parameters. class_variables: plain names assigned or
    annotated directly in the body of a class that is not inside another class. docstrings: those of the module, of
    classes and functions, cleaned and joined by line feeds.
    """

    functions: int
    single_return_functions: int
    classes: int
    variables: int
    class_variables: int
    docstrings: str


@contextmanager
def _deep_stack() -> Iterator[None]:
    # The release parses with this limit; the default of 1,000 would reject long operator chains it accepts.
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or null if this Python cannot parse the text."""
    with _deep_stack(), warnings.catch_warnings():
        # A file's own doubtful escapes are not this program's warnings.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except UNPARSABLE:
            return None


def python_facts(text: str) -> PythonFacts | None:
    """What the rules ask about a Python file, or null if it does not parse."""
    tree = parse(text)
    if tree is None:
        return None
    functions = single = classes = variables = class_variables = 0
    documented = [tree]
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, in_class = stack.pop()
        kind = type(node)
        if kind is ast.FunctionDef:
            functions += 1
            single += len(node.body) == 1 and type(node.body[0]) is ast.Return
            variables += len(node.args.args)
            documented.append(node)
        elif kind is ast.ClassDef:
            classes += 1
            documented.append(node)
            if not in_class:
                class_variables += sum(map(_names_set, node.body))
            in_class = True
        elif kind is ast.Assign:
            variables += sum(type(target) is ast.Name for target in node.targets)
        elif kind is ast.For:
            variables += type(node.target) is ast.Name
        stack.extend((child, in_class) for child in _statements(node))
    return PythonFacts(functions, single, classes, variables, class_variables, _docstrings(documented))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements (and handlers and cases, which hold statements) directly inside `node`."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner = getattr(node, field, None)
        if type(inner) is list:
            yield from inner


def _names_set(statement: ast.stmt) -> int:
    """How many plain names an assignment or annotation sets."""
    if type(statement) is ast.Assign:
        return sum(type(target) is ast.Name for target in statement.targets)
    return type(statement) is ast.AnnAssign and type(statement.target) is ast.Name


def _docstrings(nodes: list[ast.AST]) -> str:
    found = []
    for node in nodes:
        first = node.body[0] if node.body else None
        if type(first) is ast.Expr and type(first.value) is ast.Constant and type(first.value.value) is str:
            found.append(inspect.cleandoc(first.value.value))
    return "\n".join(filter(None, found))


def tokenizes(text: str) -> bool | None:
    """Whether the standard tokenizer reads the whole text; null if the text is too long or has too long a line.

    Meant for the few files that do not parse: it reads about 0.5 MB/s and takes quadratic time on a line of quotes.
    """
    if len(text) > TOKENIZE_LIMIT or max(map(len, text.split("\n"))) > TOKENIZE_LINE_LIMIT:
        return None
    try:
        for _ in tokenize.generate_tokens(io.StringIO(text).readline):
            pass
    except (tokenize.TokenError, SyntaxError):
        return False
    return True
