"""Whether esprima 4.0.1 (its Python port) would accept a JavaScript file that tree-sitter parses without an error.

It knows ECMAScript 2017, the spreading of objects and `import()`, no JSX, and many early errors. Two kinds of answers:
a node that is never accepted, and a node that depends on what surrounds it (`return` needs a function, `with` must not
stand in strict code). Surroundings are found by walking lists of nodes in the order of the text, which queries give:
asking a node for its parent would start at the root each time.

Not looked at, as no engine runs such code either: two constructors or `__proto__`, strict code's own names for eval and
arguments, a `use strict` below parameters with defaults. Refused although esprima accepts it: a template with a broken
`\\u` escape.
"""

import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable
from functools import cache, lru_cache

from tree_sitter import Node

from opencoder_lib.syntax.javascript_tree import Found, captures, in_order, innermost, inside, merged, query, unwrapped

NOTICED = """
[(optional_chain) (field_definition) (private_property_identifier) (class_static_block) (decorator) (using_declaration)
 (namespace_export) (import_attribute) (hash_bang_line) (jsx_element) (jsx_self_closing_element)
 (meta_property "import") (catch_clause !parameter) (for_in_statement "await") (generator_function "async")
 (generator_function_declaration "async") (method_definition "async" "*")] @refused
["??" "??=" "&&=" "||="] @refused

(expression_statement . [(function_expression) (generator_function) (class)]) @refused
(expression_statement . (call_expression function: [(function_expression) (generator_function) (class)])) @refused
(expression_statement . (call_expression function: (member_expression object: (function_expression)))) @refused
(expression_statement
  . (assignment_expression left: (member_expression object: [(function_expression) (class)]))) @refused
[(unary_expression argument: [(assignment_expression) (augmented_assignment_expression) (arrow_function)])
 (binary_expression right: [(assignment_expression) (augmented_assignment_expression) (arrow_function)])
 (new_expression constructor: (arrow_function)) (class_heritage (arrow_function))] @refused
(variable_declarator name: [(object_pattern) (array_pattern)] !value) @refused
(lexical_declaration kind: "const" (variable_declarator !value) @refused)
(try_statement !handler !finalizer) @refused
(for_in_statement operator: "of" right: (sequence_expression)) @refused
(binary_expression left: [(unary_expression) (parenthesized_expression (unary_expression))] operator: "**") @refused
(update_expression argument: [(call_expression) (new_expression) (binary_expression) (unary_expression) (number)
  (string) (update_expression) (await_expression) (this) (true) (false) (null) (function_expression)
  (ternary_expression)]) @refused
(method_definition ["get" "static get"] parameters: (formal_parameters
 [(identifier) (assignment_pattern) (rest_pattern) (object_pattern) (array_pattern)])) @refused
(export_statement !source (export_clause (export_specifier name: "default"))) @refused
[(import_specifier name: (string)) (export_specifier name: (string)) (export_specifier alias: (string))] @refused
(labeled_statement body: [(class_declaration) (generator_function_declaration) (lexical_declaration)]) @refused
[(if_statement consequence: (lexical_declaration)) (else_clause (lexical_declaration))] @refused
[(while_statement body: (lexical_declaration)) (do_statement body: (lexical_declaration))
 (for_statement body: (lexical_declaration)) (for_in_statement body: (lexical_declaration))] @refused

[(assignment_expression left: (parenthesized_expression) @target)
 (augmented_assignment_expression left: (parenthesized_expression) @target)
 (update_expression argument: (parenthesized_expression) @target)
 (for_in_statement left: (parenthesized_expression) @target)]
(method_definition "set" parameters: (formal_parameters) @setter)
(call_expression function: (import) arguments: (arguments) @import_arguments)
(shorthand_property_identifier) @shorthand
(html_comment) @html
(lexical_declaration kind: "let" . (variable_declarator name: (object_pattern))) @let_object
(template_substitution) @substitution

[(function_declaration) (function_expression) (generator_function) (generator_function_declaration) (arrow_function)
 (method_definition)] @scope
[(while_statement) (do_statement) (for_statement) (for_in_statement)] @loop
(switch_statement) @switch
(switch_default) @default
(labeled_statement) @labeled
(break_statement) @break
(continue_statement) @continue
(return_statement) @return
(await_expression) @await
(yield_expression) @yield
(super) @super
(meta_property "target") @new_target
[(import_statement) (export_statement)] @module

(regex_pattern) @regex
(number) @number
(expression_statement . (string) @directive)
[(class) (class_declaration)] @class
(formal_parameters . (_) . ",") @parameters
(arrow_function parameters: (formal_parameters . (_) . ",") @arrow_parameters)
(with_statement) @sloppy
(unary_expression operator: "delete" argument: (identifier)) @sloppy
(if_statement consequence: (function_declaration)) @sloppy
(else_clause (function_declaration)) @sloppy
(labeled_statement body: (function_declaration)) @sloppy
"""
ESCAPES = "(string (escape_sequence) @string_escape) (template_string (escape_sequence) @template_escape)"
# tree-sitter lets arguments and properties be left out, as elements of arrays may be.
HOLES = "".join(
    f'({kind} "{before}" . ",") @hole '
    for kind in ("arguments", "object", "object_pattern")
    for before in "({,"
    if (kind == "arguments") != (before == "{") or before == ","
)
BEFORE_A_HOLE = (b",,", b", ,", b"(,", b"( ,", b"{,", b"{ ,")
NAME_KINDS = {"identifier", "shorthand_property_identifier", "shorthand_property_identifier_pattern"}
NAMES = f"[{' '.join(f'({kind})' for kind in sorted(NAME_KINDS))}] @name"
# Looking up the node at one place takes as long as its level is wide: more places than this, and all names are asked.
FEW = 16
OPAQUE = "[(comment) (html_comment) (string_fragment) (escape_sequence) (regex_pattern)] @opaque"

# What an assignment in parentheses may go to.
TARGETS = {"identifier", "undefined", "member_expression", "subscript_expression", "object", "array"}
# `await` outside async functions is a name, which these may follow.
AFTER_A_NAME = b"([`+-"
STRICT_NAMES = (b"implements", b"interface", b"let", b"package", b"private", b"protected", b"public", b"static")
KEYWORDS = frozenset(
    b"break case catch class const continue debugger default delete do else enum export extends false finally for if "
    b"function import in instanceof new null return super switch this throw true try typeof var void while with".split()
)
_NEWER_NUMBER = re.compile(rb"_|[0-9a-fA-F]n$|[0-9]n ")
_OCTAL_NUMBER = re.compile(rb"0[0-7]+")
_SIGN = re.compile(rb"\s*(.)")
_OCTAL_ESCAPE = re.compile(rb"\\[1-7]|\\0[0-7]")
_ESCAPED_DIGIT = re.compile(rb"\\[0-9]")
# What may stand before a directive: white space, comments and other directives.
_PROLOGUE = re.compile(rb"""(?>\s|//[^\n]*|/\*.*?\*/|"[^"\n]*"|'[^'\n]*'|;)*+""", re.DOTALL)
PROLOGUE_LIMIT = 10_000

# Characters beyond ASCII that esprima lets stand outside comments and strings, besides letters, marks and digits.
NAME_CATEGORIES = {"Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Mn", "Mc", "Nd", "Pc"}
OTHER_CHARACTERS = set(
    "\u2118\u212e\u309b\u309c\u00b7\u0387\u19da\u200c\u200d\u00a0\u1680\u180e\u202f\u205f\u3000\ufeff"
)
OTHER_CHARACTERS |= set(map(chr, [*range(0x1369, 0x1372), *range(0x2000, 0x200B)]))


def accepts(data: bytes, root: Node, found: Found, is_ascii: bool) -> bool:
    """Whether the file with this error-free tree parses; `found` holds the captures of NOTICED in the order of text."""
    if "refused" in found:
        return False
    if _ESCAPED_DIGIT.search(data):
        found = found | captures(query(ESCAPES), root)
    return not (
        any(unwrapped(node).type not in TARGETS for node in found.get("target", ()))
        or any(not _takes_one(node) for node in found.get("setter", ()))
        or any(_num_parts(node) != 1 for node in found.get("import_arguments", ()))
        or any(_wrong_shorthand(data, node) for node in found.get("shorthand", ()))
        or any(_wrong_html(data, node, "module" in found) for node in found.get("html", ()))
        or any(map(_repeats, _texts(data, found, "arrow_parameters")))
        or _NEWER_NUMBER.search(b" ".join([*_texts(data, found, "number"), b""]))
        or not all(map(python_accepts, set(_texts(data, found, "regex"))))
        or _misplaced(data, found)
        or (any(sign in data for sign in BEFORE_A_HOLE) and captures(query(HOLES), root))
        or _escapes_digits(data, found)
        or _strange_names(data, root)
        or (not is_ascii and _strange_characters(data, root))
        or _breaks_strict_mode(data, root, found)
    )


def _texts(data: bytes, found: Found, key: str) -> list[bytes]:
    return [data[node.start_byte : node.end_byte] for node in found.get(key, ())]


def _num_parts(node: Node) -> int:
    return sum(child.type != "comment" for child in node.named_children)


def _takes_one(parameters: Node) -> bool:
    return [c.type != "rest_pattern" for c in parameters.named_children if c.type != "comment"] == [True]


def _wrong_shorthand(data: bytes, node: Node) -> bool:
    """A keyword as a property, or `async` as the last one, after which esprima expects a method."""
    name = data[node.start_byte : node.end_byte]
    return name in KEYWORDS or (name == b"async" and next_sign(data, node) == b"}")


def _wrong_html(data: bytes, node: Node, is_module: bool) -> bool:
    """An HTML comment opened in a module, or closed behind code."""
    if data.startswith(b"<", node.start_byte):
        return is_module
    line = data.rfind(b"\n", 0, node.start_byte) + 1
    return not _PROLOGUE.fullmatch(data[max(line, node.start_byte - PROLOGUE_LIMIT) : node.start_byte])


def next_sign(data: bytes, node: Node) -> bytes:
    """The first byte behind the node that is no white space."""
    match = _SIGN.match(data, node.end_byte)
    return match[1] if match else b""


def _repeats(parameters: bytes) -> bool:
    """Whether a plain parameter list has a name twice. Lists with defaults or patterns are not looked at."""
    names = [name.strip() for name in parameters[1:-1].rstrip().removesuffix(b",").split(b",")]
    return len(set(names)) < len(names) and not any(sign in parameters for sign in (b"=", b"{", b"["))


def _misplaced(data: bytes, found: Found) -> bool:
    """Whether a node that needs certain surroundings lacks them."""
    get: Callable[[str], list[Node]] = lambda key: found.get(key, [])  # noqa: E731
    scopes = get("scope")
    functions = merged(scopes)
    return (
        not all(inside(get("return"), functions))
        or not all(inside(get("super"), functions))
        or any(next_sign(data, node) not in (b".", b"(", b"[") for node in get("super"))
        or not all(inside(get("new_target"), functions))
        or any(inside(get("module"), functions))
        or any(inside(get("let_object"), merged(get("substitution"))))
        or _wrong_jump(data, found)
        or _wrong_await(data, found)
        or _wrong_yield(get("yield"), scopes)
        or _two_defaults(get("default"), get("switch"))
    )


def _wrong_jump(data: bytes, found: Found) -> bool:
    """A break or continue outside a loop or switch, or one to a label that is not around it."""
    jumps = in_order(found.get("break", ()), found.get("continue", ()))
    if "labeled" in found and _wrong_label(data, found, jumps):
        return True
    if not jumps:
        return False
    plain = [jump for jump in jumps if jump.child_by_field_name("label") is None]
    if "labeled" not in found and len(plain) < len(jumps):
        return True
    loops, switches = found.get("loop", []), found.get("switch", [])
    outer = in_order(loops, switches)
    scopes = found.get("scope", [])
    shielding = [scope for scope, within in zip(scopes, inside(scopes, merged(outer)), strict=True) if within]
    around = in_order(outer, shielding)
    loops_only = in_order(loops, shielding)
    breakable = {"while_statement", "do_statement", "for_statement", "for_in_statement"}
    continues = [jump for jump in plain if jump.type == "continue_statement"]
    breaks = [jump for jump in plain if jump.type == "break_statement"]
    return any(s is None or s.type not in breakable | {"switch_statement"} for s in innermost(breaks, around)) or any(
        s is None or s.type not in breakable for s in innermost(continues, loops_only)
    )


def _wrong_label(data: bytes, found: Found, jumps: list[Node]) -> bool:
    """Walks labels, functions and jumps in order with the set of labels that each open function has."""
    open_nodes: list[tuple[int, bytes | None]] = []
    labels: list[set[bytes]] = [set()]
    for node in in_order(found.get("labeled", ()), found.get("scope", ()), jumps):
        while open_nodes and open_nodes[-1][0] <= node.start_byte:
            _, label = open_nodes.pop()
            if label is None:
                labels.pop()
            else:
                labels[-1].discard(label)
        label = node.child_by_field_name("label")
        name = label and data[label.start_byte : label.end_byte]
        if node.type == "labeled_statement":
            if name in labels[-1]:
                return True
            labels[-1].add(name)
            open_nodes.append((node.end_byte, name))
        elif node.type not in ("break_statement", "continue_statement"):
            labels.append(set())
            open_nodes.append((node.end_byte, None))
        elif name and name not in labels[-1]:
            return True
    return False


def _is_async(data: bytes, scope: Node) -> bool:
    # A method may start with `static`; its keywords stand before the name and have no field.
    if scope.type == "method_definition":
        return any(child.type == "async" for child in scope.children)
    return data[scope.start_byte : scope.start_byte + 5] == b"async" and scope.child(0).type == "async"


def _wrong_await(data: bytes, found: Found) -> bool:
    """An await outside async functions, unless it may be a call or the like of something named await.

    esprima lets plain methods inherit the right to await from the function around them.
    """
    awaits = found.get("await", [])
    scopes = found.get("scope", ()) if awaits else ()
    scopes = [scope for scope in scopes if scope.type != "method_definition" or _is_async(data, scope)]
    for node, scope in zip(awaits, innermost(awaits, scopes), strict=True):
        if scope is None or not _is_async(data, scope):
            after = data[node.start_byte + 5 : node.end_byte].lstrip()[:1]
            if "module" in found or after not in AFTER_A_NAME:
                return True
    return False


def _wrong_yield(yields: list[Node], scopes: list[Node]) -> bool:
    """A yield with an operand outside generators (esprima lets async methods have it); a bare one is a name."""
    for node, scope in zip(yields, innermost(yields, scopes), strict=True):
        generates = scope is not None and any(child.type in ("*", "async") for child in scope.children)
        if node.child_count > 1 and not (generates and scope.type != "arrow_function"):
            return True
    return False


def _two_defaults(defaults: list[Node], switches: list[Node]) -> bool:
    seen: set[int] = set()
    for switch in innermost(defaults, switches):
        if switch.id in seen:
            return True
        seen.add(switch.id)
    return False


@lru_cache(maxsize=16384)
def python_accepts(pattern: bytes) -> bool:
    """Whether Python's `re` compiles the regular expression, which is the check that esprima's port makes."""
    try:
        text = re.sub(r"\\u\{([0-9a-fA-F]+)\}|\\u([0-9a-fA-F]{4})", _code_point, pattern.decode())
        with warnings.catch_warnings():
            # Doubtful sets are the file's business.
            warnings.simplefilter("ignore")
            re.compile(re.sub("[\ud800-\udbff][\udc00-\udfff]", "\uffff", text))
    except (re.error, ValueError, OverflowError, RecursionError, MemoryError):
        return False
    return True


def _code_point(escape: re.Match) -> str:
    code = int(escape[1] or escape[2], 16)
    if code > 0x10FFFF:
        raise ValueError(f"\\u{{{code:x}}} is no code point: the last one is \\u{{10ffff}}.")
    return chr(code) if code <= 0xFFFF else "\uffff"


def _escapes_digits(data: bytes, found: Found) -> bool:
    """Whether a string escapes 8 or 9, or a template an octal number."""
    return any(data[n.start_byte + 1] in b"89" for n in found.get("string_escape", ())) or any(
        data[n.start_byte + 1] in b"1234567" or data[n.start_byte + 1 : n.start_byte + 3].isdigit()
        for n in found.get("template_escape", ())
    )


def _strange_characters(data: bytes, root: Node) -> bool:
    """Whether a character that is part of no name and no white space stands outside comments, strings and the like."""
    code, position = [], 0
    for node in captures(query(OPAQUE), root).get("opaque", ()):
        code.append(data[position : node.start_byte])
        position = max(position, node.end_byte)
    code.append(data[position:])
    beyond = set(b"".join(code).decode("utf-8", "ignore")) - OTHER_CHARACTERS
    return any(unicodedata.category(c) not in NAME_CATEGORIES for c in beyond if c > "\x7f")


def _named(data: bytes, root: Node, words: Iterable[bytes]) -> list[Node]:
    """The names that are one of `words` and stand before a sign that may follow a name."""
    places = [match.span(1) for word in words if word in data for match in _name(word).finditer(data)]
    if len(places) > FEW:
        nodes = captures(query(NAMES), root).get("name", [])
        wanted = {start for start, _ in places}
        return [node for node in nodes if node.start_byte in wanted]
    nodes = [root.descendant_for_byte_range(*place) for place in places]
    return [node for node in nodes if node.type in NAME_KINDS]


@cache
def _name(word: bytes) -> re.Pattern:
    # The word first: that is what makes the search fast.
    return re.compile(rb"(%s)(?<![.\w$]%s)(?=\s*[=,;)\]}]|\Z)" % (word, word))


def _strange_names(data: bytes, root: Node) -> bool:
    return bool(_named(data, root, (b"enum",)))


def _breaks_strict_mode(data: bytes, root: Node, found: Found) -> bool:
    """Whether strict code (a module, a class, code after `use strict`) has what only sloppy code may have."""
    strict = _strict_stretches(data, found)
    return bool(strict) and any(inside(_sloppy(data, root, found), strict))


def _sloppy(data: bytes, root: Node, found: Found) -> list[Node]:
    nodes = list(found.get("sloppy", ()))
    parameters = found.get("parameters", ())
    nodes += [node for node in parameters if _repeats(data[node.start_byte : node.end_byte])]
    numbers = found.get("number", ())
    nodes += [
        n for n in numbers if data[n.start_byte] == 48 and _OCTAL_NUMBER.fullmatch(data, n.start_byte, n.end_byte)
    ]
    escapes = found.get("string_escape", ())
    nodes += [n for n in escapes if _OCTAL_ESCAPE.match(data, n.start_byte)]
    return in_order(nodes, _named(data, root, STRICT_NAMES))


def _strict_stretches(data: bytes, found: Found) -> list[tuple[int, int]]:
    if "module" in found:
        return [(0, len(data))]
    directives = [n for n in found.get("directive", ()) if data[n.start_byte + 1 : n.end_byte - 1] == b"use strict"]
    strict = []
    for node, scope in zip(directives, innermost(directives, found.get("scope", ())), strict=True):
        body = 0 if scope is None else scope.child_by_field_name("body").start_byte + 1
        before = data[max(body, node.start_byte - PROLOGUE_LIMIT) : node.start_byte]
        if _PROLOGUE.fullmatch(before):
            if scope is None:
                return [(0, len(data))]
            strict.append(scope)
    return merged(in_order(strict, found.get("class", ())))
