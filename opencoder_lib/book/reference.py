"""Reference pages read from the sources: every public function with its docstring, every command with its help."""

import ast
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from opencoder_lib.book.keys import Library
from opencoder_lib.book.markdown import escaped, literal, plain


def api_page(folder: Path) -> str:
    """Public functions and classes of every module, read without importing any.

    Docstrings are escaped, so that nothing in them can become markup.
    """
    library = Library(folder)
    lines = [
        "# API reference\n",
        f"What chapters and scripts may call, module by module; each lies in the package `{folder.name}`. Names that "
        "begin with an underscore are left out.\n",
    ]
    # The tools that build the book are for those who change it; they come last.
    for module in sorted(library.paths, key=lambda name: (name.split(".")[1:2] in (["book"], ["cli"]), name)):
        tree = library.tree(module)
        entries = list(_public(tree))
        about = ast.get_docstring(tree)
        if module == folder.name or not about or not (entries or library.paths[module].name == "__init__.py"):
            continue
        lines += [f"## {module.removeprefix(folder.name + '.')}\n", as_prose(about)]
        for signature, text in entries:
            lines += [literal(signature, "python"), as_prose(text)]
    return "\n".join(lines)


def as_prose(docstring: str) -> str:
    """A docstring as paragraphs; indented stretches, such as examples, as code."""
    paragraphs = [part for part in docstring.split("\n\n") if part.strip()]
    return "\n".join(
        literal(dedent(part)) if all(line.startswith("    ") for line in part.splitlines()) else _inline(part) + "\n"
        for part in paragraphs
    )


def _inline(text: str) -> str:
    """Escaped text in which `names` stay code."""
    pieces = " ".join(text.split()).split("`")
    if len(pieces) % 2 == 0:
        return plain(text)
    return "".join(f"`{piece}`" if index % 2 and piece else escaped(piece) for index, piece in enumerate(pieces))


def _public(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield _signature(node), ast.get_docstring(node) or ""
            if isinstance(node, ast.ClassDef):
                for member in node.body:
                    if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                        yield _signature(member, f"{node.name}."), ast.get_docstring(member) or ""


def _signature(node: ast.FunctionDef | ast.ClassDef, owner: str = "") -> str:
    """`def name(...) -> ...` as written; for a class its fields, as its constructor takes them."""
    if isinstance(node, ast.FunctionDef):
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        shown = f"def {owner}{node.name}({ast.unparse(node.args)}){result}"
    else:
        fields = [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
        made = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
        arguments = ast.unparse(made.args).removeprefix("self").removeprefix(", ") if made else ", ".join(fields)
        bases = "".join(f"  # a {ast.unparse(base)}" for base in node.bases[:1])
        shown = f"class {node.name}({arguments}){bases}"
    return shown if len(shown) <= 100 else shown.replace(", ", ",\n    ")


def commands_page() -> str:
    """The help text of every command, as the terminal shows it."""
    import typer
    from typer.testing import CliRunner

    from opencoder_lib.cli import app

    runner = CliRunner()
    environment = {"COLUMNS": "76", "TERMINAL_WIDTH": "76", "NO_COLOR": "1", "TERM": "dumb"}

    def shown(*words: str) -> str:
        help_text = runner.invoke(app, [*words, "--help"], env=environment, prog_name="opencoder").output
        return literal("\n".join(line.rstrip() for line in help_text.strip("\n").splitlines()))

    lines = [
        "# Command reference\n",
        "Each verb works as `opencoder VERB`, as `python -m opencoder_lib VERB`, and the common ones as `make VERB`.\n",
        shown(),
    ]
    for name in typer.main.get_command(app).commands:
        lines += [f"## {plain(name)}\n", shown(name)]
    return "\n".join(lines)
