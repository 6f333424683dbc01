"""Python files that compiled before a redaction compile after it."""

import ast
import sys
import warnings
from collections.abc import Sequence

import numpy as np

from opencoder_lib.syntax.python import QUOTES_NEST, RECURSION_LIMIT, UNPARSABLE
from opencoder_lib.syntax.python_tokens import BYTES, FORMATTED, TEXT, tokens

# start, end, replacement, kind: a span of SPANS without its file.
Place = tuple[int, int, str, str]


def kept_syntax(data: bytes, places: Sequence[Place]) -> list[Place]:
    """Those of the places whose replacement leaves Python that compiled Python that compiles.

    All, where that is so or where the file did not compile before; else those in strings and comments (a bare
    `a@b.shape` is a matrix product); else those in comments.
    """
    if _surely_inside(data, places) or compiles(replaced(data, places)) or not compiles(data):
        return list(places)
    for with_strings in (True, False):
        inside = _inside(data, places, with_strings)
        if not inside or compiles(replaced(data, inside)):
            break
    else:
        return []
    return inside


def replaced(data: bytes, places: Sequence[Place]) -> bytes:
    """The bytes with every place replaced; places are in order and do not overlap."""
    parts, at = [], 0
    for start, end, replacement, _ in places:
        parts += [data[at:start], replacement.encode()]
        at = end
    return b"".join([*parts, data[at:]])


def compiles(data: bytes) -> bool:
    """Whether this Python compiles the text."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, RECURSION_LIMIT))
    try:
        with warnings.catch_warnings():
            # A file's own doubtful escapes are not this program's warnings.
            warnings.simplefilter("ignore")
            compile(data.decode("utf-8"), "", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return True
    except UNPARSABLE:
        return False
    finally:
        sys.setrecursionlimit(limit)


def _surely_inside(data: bytes, places: Sequence[Place]) -> bool:
    """Whether the tokens alone show that only comments and the insides of plain strings change; parsing is slower."""
    kinds, starts, ends, comments, fails, odd = tokens(np.frombuffer(data, np.uint8), QUOTES_NEST)
    if fails or odd or data.count(b"\r") != data.count(b"\r\n"):
        return False
    edges = _edges(kinds, starts, ends, comments, (TEXT, BYTES))
    # A place that touches the quotes of a literal holds one, and one with a backslash holds part of an escape.
    return all(_covered(edges, start, end) and not set(data[start:end]) & set(b"\\\"'") for start, end, _, _ in places)


def _inside(data: bytes, places: Sequence[Place], with_strings: bool) -> list[Place]:
    """The places that lie within one comment, or within one string literal."""
    kinds, starts, ends, comments, _, _ = tokens(np.frombuffer(data, np.uint8), QUOTES_NEST)
    edges = _edges(kinds, starts, ends, comments, (TEXT, BYTES, FORMATTED) if with_strings else ())
    return [place for place in places if _covered(edges, place[0], place[1])]


def _edges(kinds, starts, ends, comments: np.ndarray, literals: tuple[int, ...]) -> np.ndarray:
    """(n, 2) starts and ends of the comments and of the string literals of these kinds, in order."""
    literal = np.isin(kinds, literals)
    edges = np.concatenate([comments, np.stack([starts[literal], ends[literal]], axis=1)])
    return edges[np.argsort(edges[:, 0])]


def _covered(edges: np.ndarray, start: int, end: int) -> bool:
    at = int(np.searchsorted(edges[:, 0], start, side="right")) - 1
    return at >= 0 and end <= int(edges[at, 1])
