"""The structure and the comments of a Python file as the specification words them: slow and obvious."""

import ast
import re

# The release sorts docstrings by these words, then by name; among equals those of outer levels come first.
OWNERS = {ast.ClassDef: "Class", ast.FunctionDef: "Function/Method", ast.Module: "Module"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What the tokenizer looks for within a line, the first that fits; anything else is skipped character by character.
PIECE = re.compile(
    r"""(?P<comment>\#[^\r\n]*)
    | (?P<triple>\'{3}|"{3})
    | (?P<string>'[^\n'\\]*(?:\\.[^\n'\\]*)*' | "[^\n"\\]*(?:\\.[^\n"\\]*)*")
    | (?P<unfinished>(?P<quote>['"])(?:\\.|(?!(?P=quote))[^\n\\])*?\\\r?\n)
    | (?P<joined>\\\r?\n)
    | (?P<opened>[(\[{]) | (?P<closed>[)\]}])
    | (?s:.)""",
    re.VERBOSE,
)


def facts(text: str) -> dict[str, int | str]:
    """Every count of a text that parses, and its docstrings, from its syntax tree."""
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))

    def of(*kinds: type) -> list:
        return [node for node in nodes if type(node) in kinds]

    named_targets = [target for node in of(ast.Assign) for target in node.targets] + [n.target for n in of(ast.For)]
    parameters = [argument for node in of(ast.FunctionDef) for argument in node.args.args]
    return {
        "functions": len(of(ast.FunctionDef)),
        "single_return_functions": sum([type(n) for n in node.body] == [ast.Return] for node in of(ast.FunctionDef)),
        "classes": len(of(ast.ClassDef)),
        "variables": len(parameters) + sum(isinstance(target, ast.Name) for target in named_targets),
        "class_variables": sum(map(_class_variables, _outer_classes(tree))),
        "bindings": len(of(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor))
        + len([node for node in nodes if type(node).__name__ == "TypeAlias"])
        + sum(any(item.optional_vars for item in node.items) for node in of(ast.With, ast.AsyncWith))
        + sum(any(isinstance(part, ast.arg) for part in ast.iter_child_nodes(node.args)) for node in of(*FUNCTIONS)),
        "passes": len(of(ast.Pass)),
        "imports": len(of(ast.Import, ast.ImportFrom)),
        "simple_returns": sum(_is_simple(node.value) for node in of(ast.Return)),
        "docstrings": _docstrings(nodes),
    }


def _outer_classes(tree: ast.AST) -> list[ast.ClassDef]:
    """The classes that lie in no other class."""
    found, todo = [], [tree]
    while todo:
        for child in ast.iter_child_nodes(todo.pop()):
            (found if isinstance(child, ast.ClassDef) else todo).append(child)
    return found


def _class_variables(node: ast.ClassDef) -> int:
    targets = [target for part in node.body if isinstance(part, ast.Assign) for target in part.targets]
    targets += [part.target for part in node.body if isinstance(part, ast.AnnAssign)]
    return sum(isinstance(target, ast.Name) for target in targets)


def _is_simple(value: ast.expr | None) -> bool:
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        value = value.operand
    return value is None or isinstance(value, (ast.Name, ast.Constant))


def _docstrings(nodes: list[ast.AST]) -> str:
    found = [(OWNERS[type(n)], getattr(n, "name", ""), ast.get_docstring(n)) for n in nodes if type(n) in OWNERS]
    return "\n".join(text for _, _, text in sorted(found, key=lambda entry: entry[:2]) if text)


def comments(text: str) -> str | None:
    """The comments that the tokenizer of Python 3.11 finds line by line, joined; null where it raises."""
    found: list[str] = []
    indents, brackets, joined, wary = [0], 0, False, False
    rest = None  # what matches the remainder of a string that began on an earlier line
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        place = 0
        if rest is not None:
            end = rest.match(line)
            if end is None:
                if wary and not re.search(r"\\\r?\n\Z", line):
                    rest = None
                continue
            rest, wary, place = None, False, end.end()
        elif brackets == 0 and not joined:
            place = len(line) - len(line.lstrip(" \t\f"))
            if place == len(line):
                break
            if line[place] in "#\r\n":
                found.append(line[place:].rstrip("\r\n") if line[place] == "#" else "")
                continue
            column = len(line[:place].rpartition("\f")[2].expandtabs(8))
            if column > indents[-1]:
                indents.append(column)
            if column not in indents:
                return None
            indents = [indent for indent in indents if indent <= column]
        joined = False
        while place < len(line):
            piece = PIECE.match(line, place)
            kind, place = piece.lastgroup, piece.end()
            if kind == "comment":
                found.append(piece[0])
            elif kind == "triple" or piece["unfinished"]:
                quotes = piece["triple"] or piece["quote"]
                rest = re.compile(rf"(?:\\.|(?!{quotes})[^\\])*?{quotes}")
                end = rest.match(line, place) if kind == "triple" else None
                if end:
                    rest, place = None, end.end()
                else:
                    wary, place = wary or kind != "triple", len(line)
            elif kind == "joined":
                joined = True
            brackets += (kind == "opened") - (kind == "closed")
    return None if rest or brackets or joined else "".join(found)


def num_returns(code: str) -> int:
    """The release's pattern as it stands, which takes quadratic time on blank lines."""
    return len(re.findall(r"^\s*return(\s+.+)?\s*$", code, re.MULTILINE))
