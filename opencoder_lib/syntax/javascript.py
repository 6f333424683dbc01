"""The structure of a JavaScript file: tree-sitter says whether it is one, and a compiled loop what is in it.

Where that loop (javascript_scan) is not sure, queries that run in C count on the tree, which takes as long as parsing.
The release asks the Python port of esprima 4.0.1, which knows JavaScript of 2017. Its grammar is (but for two oddities
repaired here) a subset of tree-sitter's, so a file it accepts has an error-free tree; javascript_es2017 says which of
the error-free trees it would refuse. Counts are those of the release over esprima's tree, translated: parentheses
vanish, `for (var x of y)` declares x, `undefined` is a name.
"""

import re
import threading
from dataclasses import dataclass

import numpy as np
from tree_sitter import Node, Parser, Tree

from opencoder_lib.syntax import javascript_es2017 as es2017
from opencoder_lib.syntax.javascript_scan import PADDING, scan
from opencoder_lib.syntax.javascript_tree import captures, language, query, unwrapped

# Deeper trees make queries quadratic and then crash; the release's recursion ends far before. Null beyond.
DEPTH_LIMIT = 5_000
# More opening brackets than this, hidden in comments or not, may take the parser's recursion beyond the usual stack.
MANY_BRACKETS, DEEP_STACK = 50_000, 512 * 1024 * 1024
_STEP = np.zeros(256, np.int64)
_STEP[list(b"([{")] = 1
_STEP[list(b")]}")] = -1
_NOT_BRACKETS = bytes(code for code in range(256) if code not in b"([{}])")

# Node kinds whose value counts as simple: a literal, a name or a unary expression.
SIMPLE = {"string", "number", "true", "false", "null", "regex", "identifier", "undefined", "unary_expression"}
COMMENTS = {"comment", "html_comment", "hash_bang_line"}
FUNCTIONS = {"function_expression", "generator_function"}
# What esprima takes for a declaration after `export default`, so that a semicolon behind it is a statement of its own.
DECLARATIONS = {"function_expression", "generator_function", "class"}

COUNTED = """
(variable_declarator name: (identifier) @variable)
(variable_declarator name: (identifier) @bound value: [(function_expression) (generator_function)] @bound_to)
(variable_declarator name: (identifier) @wrapped value: (parenthesized_expression) @wrapped_value)
(variable_declarator !value) @bare
(variable_declarator value: (_) @value)
(for_in_statement kind: _ left: (_) @loop_variable)
(for_in_statement kind: _ !value) @bare
(for_in_statement kind: _ value: (_) @value)
[(function_declaration name: (identifier) @function) (generator_function_declaration name: (identifier) @function)]
(class_declaration name: (identifier) @class_name)
(return_statement (_) @returned)
(import_statement) @import
(assignment_expression
  left: [(member_expression object: (member_expression object: (identifier)) @exports)
         (subscript_expression object: (member_expression object: (identifier)) @exports)] @exported
  right: (_) @exported_value)
(augmented_assignment_expression
  left: [(member_expression object: (member_expression object: (identifier)) @exports)
         (subscript_expression object: (member_expression object: (identifier)) @exports)] @exported
  right: (_) @exported_value)
"""

LEGAL_VARIABLE = re.compile(rb"[a-z$][a-zA-Z0-9]*")
LEGAL_FUNCTION = re.compile(rb"[a-zA-Z$][a-zA-Z0-9]*")
LEGAL_CLASS = re.compile(rb"[A-Z][a-zA-Z0-9]*")
_MODULE_EXPORTS = re.compile(rb"module\s*\.\s*exports")
# `export a, {b} from "c"` was a proposal that esprima took up; tree-sitter knows `export {default as a, b} from "c"`.
_EXPORT_FROM = re.compile(rb"\bexport\s+(?!default\b)([\w$]+)\s*(?:,\s*\{([^{}]*)\}\s*)?(?=\bfrom\b)")


@dataclass(frozen=True)
class JavaScriptFacts:
    """Counts over a file's syntax tree, and who accepts the file. All counts are 0 if nobody does.

    accepted: whether esprima 4.0.1 would parse it. modern: whether it is JavaScript of today, JSX included.
    functions: function declarations, and function expressions bound to a plain name or to `module.exports.name`.
    variables: other plain names declared, and other assignments to `module.exports.name`. simple_variables: variables
    (destructured ones too) without a value or with a literal, a name or a unary expression; simple_returns likewise.
    classes: class declarations. statements: at top level. legal_*: how many of the names are in the usual style.
    """

    accepted: bool
    modern: bool
    functions: int = 0
    variables: int = 0
    simple_variables: int = 0
    simple_returns: int = 0
    imports: int = 0
    classes: int = 0
    statements: int = 0
    legal_variables: int = 0
    legal_functions: int = 0
    legal_classes: int = 0


def javascript_facts(text: str) -> JavaScriptFacts | None:
    """What the rules ask about a JavaScript file, or null if it nests too deeply to be walked."""
    data = _source(text)
    tree = _parse(data)
    if tree is None:
        return None
    modern = not tree.root_node.has_error
    if modern:
        facts = _facts_of_tokens(data)
        if facts is not None:
            return facts
    else:
        repaired = _EXPORT_FROM.sub(_named_export, data)
        tree = _parse(repaired) if repaired != data else None
        if tree is None or tree.root_node.has_error:
            return JavaScriptFacts(accepted=False, modern=False)
        data = repaired
    found = captures(query(COUNTED + es2017.NOTICED), tree.root_node)
    accepted = es2017.accepts(data, tree.root_node, found, text.isascii())
    if not (accepted or modern):
        return JavaScriptFacts(accepted=False, modern=False)
    return _facts_of_tree(data, tree.root_node, found, accepted, modern)


def _facts_of_tokens(data: bytes) -> JavaScriptFacts | None:
    """The facts of a text that parses, from its tokens; null if those leave a doubt."""
    counts, understood, newer, patterns = scan(np.frombuffer(data + bytes(PADDING), np.uint8))
    if not understood:
        return None
    accepted = not newer and all(es2017.python_accepts(data[start:end]) for start, end in patterns.tolist())
    return JavaScriptFacts(accepted, True, *counts.tolist())


def _source(text: str) -> bytes:
    """UTF-8 with LF line ends; a null character, which would end tree-sitter's input, becomes another control."""
    data = text.encode("utf-8", "replace")
    for ending in (b"\r\n", b"\r", b"\xe2\x80\xa8", b"\xe2\x80\xa9"):
        if ending in data:
            data = data.replace(ending, b"\n")
    return data.replace(b"\0", b"\1")


def _named_export(match: re.Match) -> bytes:
    return b"export {default as %s, %s} " % (match[1], match[2] or b"")


def _parse(data: bytes) -> Tree | None:
    """The syntax tree, or null if it is deeper than DEPTH_LIMIT (up to twice that may pass)."""
    brackets = np.frombuffer(data.translate(None, _NOT_BRACKETS), np.uint8)
    if len(brackets) > DEPTH_LIMIT:
        depth = np.cumsum(_STEP[brackets])
        if (depth - np.minimum.accumulate(depth)).max() > DEPTH_LIMIT:
            return None
    tree = _parse_on_a_deep_stack(data) if len(brackets) > MANY_BRACKETS else Parser(language()).parse(data)
    # A tree with an error is never walked, and its nodes may lie so wide that finding one by number takes long.
    return None if not tree.root_node.has_error and _too_deep(tree) else tree


def _parse_on_a_deep_stack(data: bytes) -> Tree:
    trees: list[Tree] = []
    before = threading.stack_size(DEEP_STACK)
    try:
        thread = threading.Thread(target=lambda: trees.append(Parser(language()).parse(data)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return trees[0]


def _too_deep(tree: Tree) -> bool:
    """Whether a node lies DEPTH_LIMIT deep, looked for in few places.

    A node twice as deep as the limit has an ancestor at the limit with at least that many nodes below it, and nodes
    are numbered in order: each stretch of that many numbers holds one of them.
    """
    cursor = tree.walk()
    for number in range(DEPTH_LIMIT, tree.root_node.descendant_count, DEPTH_LIMIT):
        cursor.goto_descendant(number)
        if cursor.depth >= DEPTH_LIMIT:
            return True
    return False


def _facts_of_tree(
    data: bytes, root: Node, found: dict[str, list[Node]], accepted: bool, modern: bool
) -> JavaScriptFacts:
    names = {key: [data[n.start_byte : n.end_byte] for n in found.get(key, ())] for key in ("variable", "function")}
    variables, functions = names["variable"], names["function"]
    loops = found.get("loop_variable", ())
    variables += [data[n.start_byte : n.end_byte] for n in loops if n.type == "identifier"]
    bound = _bound_functions(data, found)
    functions += bound
    simple = len(found.get("bare", ())) + sum(unwrapped(node).type in SIMPLE for node in found.get("value", ()))
    legal_variables = _legal(LEGAL_VARIABLE, variables) - _legal(LEGAL_VARIABLE, bound)
    num_variables = len(variables) - len(bound)
    for name, value in _exports(data, found):
        if value.type in FUNCTIONS or value.type == "arrow_function":
            functions.append(name)
        else:
            num_variables += 1
            simple += value.type in SIMPLE
            legal_variables += _legal(LEGAL_VARIABLE, [name])
    classes = [data[n.start_byte : n.end_byte] for n in found.get("class_name", ())]
    return JavaScriptFacts(
        accepted,
        modern,
        functions=len(functions),
        variables=num_variables,
        simple_variables=simple,
        simple_returns=len(found.get("return", ())) - _involved_returns(data, found),
        imports=len(found.get("import", ())),
        classes=len(classes),
        statements=_statements(data, root),
        legal_variables=legal_variables,
        legal_functions=_legal(LEGAL_FUNCTION, functions),
        legal_classes=_legal(LEGAL_CLASS, classes),
    )


def _legal(style: re.Pattern, names: list[bytes]) -> int:
    return sum(map(bool, map(style.fullmatch, names)))


def _bound_functions(data: bytes, found: dict[str, list[Node]]) -> list[bytes]:
    """The names bound to a function expression that is not async; both lists are in the order of the text."""
    pairs = list(zip(found.get("bound", ()), found.get("bound_to", ()), strict=True))
    for name, value in zip(found.get("wrapped", ()), found.get("wrapped_value", ()), strict=True):
        inner = unwrapped(value)
        if inner.type in FUNCTIONS:
            pairs.append((name, inner))
    return [
        data[name.start_byte : name.end_byte]
        for name, value in pairs
        if data[value.start_byte : value.start_byte + 5] != b"async"
    ]


def _exports(data: bytes, found: dict[str, list[Node]]) -> list[tuple[bytes, Node]]:
    """Names and values of the assignments to `module.exports.name` and `module.exports[name]`."""
    exports = []
    columns = (found.get(key, ()) for key in ("exports", "exported", "exported_value"))
    for target, left, value in zip(*columns, strict=True):
        if not _MODULE_EXPORTS.fullmatch(data, target.start_byte, target.end_byte):
            continue
        name = left.child_by_field_name("property" if left.type == "member_expression" else "index")
        if name.type in ("property_identifier", "identifier"):
            exports.append((data[name.start_byte : name.end_byte], unwrapped(value)))
    return exports


def _involved_returns(data: bytes, found: dict[str, list[Node]]) -> int:
    """How many return statements have an argument that is not simple.

    A line break after `return` ends the statement, which tree-sitter overlooks before an opening bracket; esprima
    overlooks it before a string.
    """
    count = 0
    for node in found.get("returned", ()):
        kind = node.type
        if kind in SIMPLE or kind == "comment":
            continue
        if kind == "parenthesized_expression" and unwrapped(node).type in SIMPLE:
            continue
        start = node.start_byte
        gap = data[max(0, start - 80) : start].rpartition(b"return")[2]
        count += b"\n" not in gap or data[start : start + 1] in (b'"', b"'", b"`")
    return count


def _statements(data: bytes, root: Node) -> int:
    """Statements at top level as esprima has them."""
    count = 0
    for node in root.named_children:
        kind = node.type
        count += kind not in COMMENTS
        if kind == "export_statement" and data[node.end_byte - 1 : node.end_byte] == b";":
            value = node.child_by_field_name("value")
            if value is not None:
                count += value.type in DECLARATIONS or data[value.start_byte : value.start_byte + 5] == b"async"
    return count
