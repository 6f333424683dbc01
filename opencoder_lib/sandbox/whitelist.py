"""What a program may be written with. Imported by the process that runs programs, so it imports nothing of ours.

A name that starts with two underscores, an attribute that is no harmless method, a format string and a class are the
ways from a value to the interpreter behind it: none is on the list. Sizes are bounded where they can be read off the
text; what only shows when the program runs is left to the limits of the process.
"""

import ast

MAX_CHARACTERS = 4_000
MAX_NODES = 1_000
MAX_DEPTH = 40
MAX_LOOPS = 4  # `for` clauses within one another, statements and comprehensions together
MAX_INTEGER = 10**9
MAX_EXPONENT = 64
MAX_REPEATS = 10_000

STATEMENTS = (
    *(ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Expr, ast.Pass),
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.If, ast.For, ast.While, ast.Break, ast.Continue),
)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
EXPRESSIONS = (
    *(ast.Constant, ast.Name, ast.Load, ast.Store, ast.Attribute, ast.Subscript, ast.Slice, ast.Starred),
    *(ast.Call, ast.keyword, ast.Lambda, ast.IfExp, ast.NamedExpr, ast.JoinedStr, ast.FormattedValue),
    *(ast.List, ast.Tuple, ast.Dict, ast.Set),
    *(*COMPREHENSIONS, ast.comprehension),
    *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.boolop, ast.operator, ast.unaryop, ast.cmpop),
)
NODES = STATEMENTS + EXPRESSIONS

# Neither `format` and `format_map`, whose fields reach attributes, nor what makes bytes.
METHODS = {
    # of texts
    *("capitalize", "casefold", "center", "count", "endswith", "find", "index", "join", "ljust", "lower", "lstrip"),
    *("isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper"),
    *("partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit"),
    *("rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill"),
    # of lists, dicts, sets and numbers
    *("append", "clear", "copy", "extend", "insert", "pop", "remove", "reverse", "sort"),
    *("get", "items", "keys", "popitem", "setdefault", "update", "values"),
    *("add", "difference", "discard", "intersection", "isdisjoint", "issubset", "issuperset", "symmetric_difference"),
    *("union", "bit_count", "bit_length", "is_integer"),
}
# Not `type`, which makes classes, nor anything that looks up a name or an attribute at run time.
BUILTINS = {
    *("abs", "all", "any", "bin", "bool", "chr", "dict", "divmod", "enumerate", "filter", "float", "frozenset", "hex"),
    *("int", "isinstance", "iter", "len", "list", "map", "max", "min", "next", "oct", "ord", "pow", "range", "repr"),
    *("reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip"),
}


def refusal(source: str) -> str | None:
    """Why a program may not run, as one word such as 'Import' or '.format'; None when it may.

    A program that does not parse may run: it then fails as Python says. Never raises, whatever the text.
    """
    if len(source) > MAX_CHARACTERS:
        return "length"
    if "\0" in source:
        return "null_byte"
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    except (MemoryError, RecursionError):
        return "depth"
    # No recursion of ours: a deep tree must not end the process that reads it.
    waiting, seen = [(tree, 0, 0)], 0
    while waiting:
        node, depth, loops = waiting.pop()
        seen += 1
        # The clauses of a comprehension lie beside what they repeat in the tree, so they count at the whole of it.
        loops += len(node.generators) if isinstance(node, COMPREHENSIONS) else isinstance(node, (ast.For, ast.While))
        if seen > MAX_NODES or depth > MAX_DEPTH:
            return "size" if seen > MAX_NODES else "depth"
        if loops > MAX_LOOPS:
            return "loops"
        if word := _refused(node):
            return word
        waiting += [(child, depth + 1, loops) for child in ast.iter_child_nodes(node)]
    return None


def _refused(node: ast.AST) -> str | None:
    if not isinstance(node, NODES):
        return type(node).__name__
    for name in _names(node):
        if name.startswith("__") or not name.isascii():
            return name if name.isascii() else "identifier"
    if isinstance(node, ast.FunctionDef) and node.decorator_list:
        return "decorator"
    if isinstance(node, ast.Attribute) and (node.attr not in METHODS or not isinstance(node.ctx, ast.Load)):
        return f".{node.attr}"
    if isinstance(node, ast.Constant):
        return _refused_constant(node.value)
    if isinstance(node, ast.BinOp):
        return _refused_growth(node)
    return None


def _names(node: ast.AST) -> list[str]:
    """Every identifier that the node itself writes."""
    found = (getattr(node, part, None) for part in ("id", "attr", "arg", "name"))
    return [name for name in found if isinstance(name, str)]


def _refused_constant(value: object) -> str | None:
    if isinstance(value, (bytes, complex)) or value is ...:
        return type(value).__name__
    if type(value) is int and value > MAX_INTEGER:
        return "integer"
    return None


def _refused_growth(node: ast.BinOp) -> str | None:
    """The operator when the text alone says that the result may be huge."""
    kind = type(node.op).__name__
    left, right = _number(node.left), _number(node.right)
    if kind in ("Pow", "LShift") and isinstance(node.right, ast.BinOp) and kind == type(node.right.op).__name__:
        return kind
    if kind in ("Pow", "LShift") and right is not None and right > MAX_EXPONENT:
        return kind
    repeats = max(left or 0, right or 0)
    if kind == "Mult" and (left is None or right is None) and repeats > MAX_REPEATS:
        return kind
    return None


def _number(node: ast.expr) -> int | None:
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None
