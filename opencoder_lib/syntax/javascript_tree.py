"""What the JavaScript modules ask a tree: captures of queries in order, and what surrounds them.

Asking a node for its parent starts at the root each time; walking lists in the order of the text does not.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from operator import attrgetter

import tree_sitter_javascript
from tree_sitter import Language, Node, Query, QueryCursor

Found = dict[str, list[Node]]
_start = attrgetter("start_byte")


@cache
def language() -> Language:
    """The JavaScript grammar, JSX included."""
    return Language(tree_sitter_javascript.language())


@cache
def query(source: str) -> Query:
    """The compiled query."""
    return Query(language(), source)


def captures(asked: Query, root: Node) -> Found:
    """The captured nodes by name, in the order of the text (the binding gives them in none)."""
    found = QueryCursor(asked).captures(root)
    return {name: sorted(nodes, key=_start) for name, nodes in found.items()}


def unwrapped(node: Node) -> Node:
    """The expression inside any number of parentheses."""
    while node.type == "parenthesized_expression":
        node = next((child for child in node.named_children if child.type != "comment"), None) or node.child(0)
    return node


def merged(nodes: Iterable[Node]) -> list[tuple[int, int]]:
    """The stretches of text that nested `nodes`, in order, cover."""
    stretches: list[tuple[int, int]] = []
    end = -1
    for node in nodes:
        start = node.start_byte
        if start >= end:
            end = node.end_byte
            stretches.append((start, end))
    return stretches


def inside(points: Iterable[Node], stretches: list[tuple[int, int]]) -> Iterator[bool]:
    """For each of `points`, in order, whether it starts in one of the stretches."""
    remaining = iter(stretches)
    start, end = next(remaining, (1 << 62, 1 << 62))
    for point in points:
        position = point.start_byte
        while position >= end:
            start, end = next(remaining, (1 << 62, 1 << 62))
        yield position >= start


def innermost(points: list[Node], scopes: Iterable[Node]) -> Iterator[Node | None]:
    """For each of `points` the innermost of `scopes` around it; both in order of the text."""
    remaining = iter(scopes if points else ())
    following = next(remaining, None)
    stack: list[tuple[int, Node]] = []
    for point in points:
        position = point.start_byte
        while following is not None and following.start_byte < position:
            while stack and stack[-1][0] <= following.start_byte:
                stack.pop()
            stack.append((following.end_byte, following))
            following = next(remaining, None)
        while stack and stack[-1][0] <= position:
            stack.pop()
        yield stack[-1][1] if stack else None


def in_order(*lists: Iterable[Node]) -> list[Node]:
    """All nodes by where they start; no two of these kinds start together."""
    return sorted(chain.from_iterable(lists), key=_start)
