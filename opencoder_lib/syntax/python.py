"""The structure of a Python file: CPython's own parser says whether it is one, and a compiled loop what is in it.

Making Python objects of a syntax tree takes half the time of `ast.parse`. A symbol table is made without them, and its
success proves that the text parses; what it rejects, `ast.parse` decides. The counts then come from the tokens
(python_scan), and where those leave a doubt from a walk over the tree. Nothing recurses over the input.
"""

import ast
import gc
import inspect
import sys
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from symtable import symtable

import numpy as np

from opencoder_lib.syntax.python_scan import CLASS, FUNCTION, MODULE, structure
from opencoder_lib.syntax.python_tokens import tokens

RECURSION_LIMIT = 10_000
# From this version on a string inside an f-string may have the quotes of the f-string.
QUOTES_NEST = sys.version_info >= (3, 12)
# What the parser raises on text that is no Python: bad syntax, a null character, nesting deeper than its stack.
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
_OWNERS = {ast.ClassDef: CLASS, ast.FunctionDef: FUNCTION, ast.Module: MODULE}
# A docstring with what the release sorts by: kind and name of its owner, then its place in a walk by levels.
Docstring = tuple[int, str, int, str]


@dataclass(frozen=True)
class PythonFacts:
    """Counts over a file's syntax tree. Async functions and loops are no functions and loops here, as in the release:
    they have nodes of their own.

    variables: plain names assigned, looped over, or ordinary parameters. class_variables: plain names assigned or
    annotated directly in the body of a class that is not inside another class. bindings: statements of any kind that
    set a variable, async ones too: assignments, annotations, loops, `with … as`, functions with parameters.
    simple_returns: return statements with no value, a name or a literal, at most one minus before it. docstrings: those
    of classes, functions and the module, cleaned and joined by line feeds. comments: as from the function of this name.
    """

    functions: int
    single_return_functions: int
    classes: int
    variables: int
    class_variables: int
    bindings: int
    passes: int
    imports: int
    simple_returns: int
    docstrings: str
    comments: str | None


def python_facts(text: str) -> PythonFacts | None:
    """What the rules ask about a Python file, or null if it does not parse."""
    with _parser_at_ease():
        tree = None
        if not _has_symbols(text):
            tree = _tree(text)
            if tree is None:
                return None
        return _facts_of_tokens(text) or _facts_of_tree(tree or _tree(text), comments(text))


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or null if this Python cannot parse the text."""
    with _parser_at_ease():
        return _tree(text)


def comments(text: str) -> str | None:
    """The comments that the standard tokenizer of Python 3.11 finds, joined with nothing between; null if it raises."""
    data = text.encode("utf-8", "surrogatepass")
    *_, spans, fails, _ = tokens(np.frombuffer(data, np.uint8), QUOTES_NEST)
    return None if fails else _joined(data, spans)


@contextmanager
def _parser_at_ease() -> Iterator[None]:
    """Room for what the release parses, and no disturbance while a tree of many objects is made."""
    limit, collects = sys.getrecursionlimit(), gc.isenabled()
    # The release parses with this limit; the default of 1,000 would reject long operator chains it accepts.
    sys.setrecursionlimit(max(limit, RECURSION_LIMIT))
    gc.disable()
    try:
        with warnings.catch_warnings():
            # A file's own doubtful escapes are not this program's warnings.
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.setrecursionlimit(limit)
        if collects:
            gc.enable()


def _has_symbols(text: str) -> bool:
    """Whether the text has a symbol table, which it only has if it parses."""
    try:
        symtable(text, "", "exec")
    except UNPARSABLE:
        return False
    return True


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except UNPARSABLE:
        return None


def _facts_of_tokens(text: str) -> PythonFacts | None:
    """The facts of a text that parses; null if its tokens leave a doubt."""
    # A carriage return alone ends a line for the parser but not for the tokenizer.
    if text.count("\r") != text.count("\r\n"):
        return None
    data = text.encode()
    kinds, starts, ends, comment_spans, fails, odd = tokens(np.frombuffer(data, np.uint8), QUOTES_NEST)
    if fails or odd:
        return None
    counts, rows, understood = structure(kinds)
    if not understood:
        return None
    found = []
    for kind, depth, name, first, last in rows.tolist():
        owner = unicodedata.normalize("NFKC", data[starts[name] : ends[name]].decode()) if kind != MODULE else ""
        found.append((kind, owner, depth, _value(data[starts[first] : ends[last]].decode(), first == last)))
    return PythonFacts(*counts.tolist(), _docstrings(found), _joined(data, comment_spans))


def _value(literals: str, single: bool) -> str:
    """The string that one literal or several in a row stand for."""
    if "\\" in literals or not single:
        return ast.literal_eval(literals)
    quoted = literals.lstrip("rRuU")
    size = 3 if quoted[:3] in ("'''", '"""') else 1
    return quoted[size:-size].replace("\r\n", "\n")


def _joined(data: bytes, spans: np.ndarray) -> str:
    parts = [data[start:end] for start, end in zip(*spans.T.tolist(), strict=True)]
    return b"".join(parts).decode("utf-8", "surrogatepass")


def _docstrings(found: Iterable[Docstring]) -> str:
    """Those that are not blank, in the order of the release: of owners with one name the one that a walk by levels
    meets first comes first."""
    return "\n".join(filter(None, [inspect.cleandoc(text) for *_, text in sorted(found, key=lambda entry: entry[:3])]))


def _facts_of_tree(tree: ast.Module, comments: str | None) -> PythonFacts:
    """The facts, from a walk over the statements by levels; expressions hold none."""
    functions = single = classes = variables = class_variables = bindings = passes = imports = simple_returns = 0
    found: list[Docstring] = []
    queue: list[tuple[ast.AST, bool]] = [(tree, False)]
    for place, (node, in_class) in enumerate(queue):
        kind = type(node)
        if kind is ast.FunctionDef:
            functions += 1
            single += len(node.body) == 1 and type(node.body[0]) is ast.Return
            variables += len(node.args.args)
        elif kind is ast.ClassDef:
            classes += 1
            if not in_class:
                class_variables += sum(map(_names_set, node.body))
            in_class = True
        elif kind is ast.Assign:
            variables += _names_set(node)
        elif kind is ast.For:
            variables += type(node.target) is ast.Name
        elif kind is ast.Return:
            simple_returns += _is_simple(node.value)
        bindings += _binds(node)
        passes += kind is ast.Pass
        imports += kind in (ast.Import, ast.ImportFrom)
        if kind in _OWNERS and (text := ast.get_docstring(node, clean=False)):
            found.append((_OWNERS[kind], getattr(node, "name", ""), place, text))
        queue.extend((child, in_class) for child in _statements(node))
    counts = (functions, single, classes, variables, class_variables, bindings, passes, imports, simple_returns)
    return PythonFacts(*counts, _docstrings(found), comments)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements (and handlers and cases, which hold statements) directly inside `node`, in the text's order."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        inner = getattr(node, field, None)
        if type(inner) is list:
            yield from inner


def _names_set(statement: ast.stmt) -> int:
    """How many plain names an assignment or annotation sets."""
    if type(statement) is ast.Assign:
        return sum(type(target) is ast.Name for target in statement.targets)
    return type(statement) is ast.AnnAssign and type(statement.target) is ast.Name


def _binds(node: ast.AST) -> bool:
    """Whether the statement sets a variable of any kind."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return any(getattr(node.args, field) for field in ("posonlyargs", "args", "vararg", "kwonlyargs", "kwarg"))
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return any(item.optional_vars for item in node.items)
    return type(node).__name__ in ("Assign", "AnnAssign", "AugAssign", "TypeAlias", "For", "AsyncFor")


def _is_simple(value: ast.expr | None) -> bool:
    """Whether a return statement has no value, a name or a literal, or a minus and one of these."""
    if type(value) is ast.UnaryOp and type(value.op) is ast.USub:
        value = value.operand
    return value is None or type(value) in (ast.Name, ast.Constant)
