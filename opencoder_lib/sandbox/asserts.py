"""Asserts as cases: the call, and the value it must give. What an assert says in another form is not guessed at."""

import ast
import re
from collections.abc import Sequence

from opencoder_lib.errors import InputError
from opencoder_lib.sandbox.process import Candidate, Case
from opencoder_lib.sandbox.whitelist import MAX_CHARACTERS

FENCED = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def parse_asserts(asserts: Sequence[str], entry_point: str) -> tuple[Case, ...]:
    """The cases that lines such as `assert add(2, 3) == 5` state, with literal arguments and a literal value.

    `is` may stand for `==`. Raises InputError quoting the first one of another form.
    """
    cases = []
    for text in asserts:
        tree = _parsed(text.strip())
        cases += [_case(node, entry_point) for node in tree.body]
    return tuple(cases)


def parse_program(text: str) -> Candidate:
    """The first function of a program and the asserts after it, at the top or in functions named test_*.

    text: a Python program, or a page whose fenced Python blocks are one. Raises InputError when there is no function or
    no assert, and on what `parse_asserts` refuses.
    """
    blocks = FENCED.findall(text)
    program = "\n".join(blocks) if blocks else text
    tree = _parsed(program)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    solutions = [node for node in functions if not node.name.startswith("test_")]
    asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    if not solutions or not asserts:
        missing = "assert" if solutions else "function"
        raise InputError(f"The program {_short(program)} has no {missing}, so nothing of it can be tested.")
    name = solutions[0].name
    source = ast.get_source_segment(program, solutions[0]) + "\n"
    return Candidate(source, name, tuple(_case(node, name) for node in asserts))


def _parsed(text: str) -> ast.Module:
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"The program {_short(text)} has {len(text):,} characters; {MAX_CHARACTERS:,} can be read.")
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise InputError(f"The program {_short(text)} is not Python ({type(error).__name__}).") from None


def _case(node: ast.stmt, entry_point: str) -> Case:
    match node:
        case ast.Assert(
            test=ast.Compare(
                left=ast.Call(func=ast.Name(id=name), args=args, keywords=[]),
                ops=[ast.Eq() | ast.Is()],
                comparators=[value],
            )
        ) if name == entry_point:
            try:
                return Case(tuple(ast.literal_eval(arg) for arg in args), ast.literal_eval(value))
            except (ValueError, TypeError):
                pass
    raise InputError(
        f"{_short(ast.unparse(node))} is not of the form `assert {entry_point}(literals) == literal`, the only one "
        "that can be judged from outside the program. Write it so."
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
