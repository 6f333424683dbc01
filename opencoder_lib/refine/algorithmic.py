"""The algorithmic corpus: files of the pre-training corpus with one of the paper's keywords, and a stand-in for it.

    keyword_hits(files)             a row a file that has a keyword, with the keywords it has
    count_keywords(files)           finds by keyword and language
    documented_functions(files)     the stand-in: documented functions that need nothing but themselves

The keywords find answers to puzzles, which people keep in repositories of their own. Packages hold next to none of
them, so a corpus of packages needs another way to short text that states a task and solves it. The stand-in is a rule
that can be checked, and whatever uses it must say that it is not the paper's corpus. Source: section 2.2.
"""

import ast
import builtins
from collections.abc import Iterator, Sequence
from symtable import SymbolTable, symtable

import polars as pl

from opencoder_lib.errors import ConfigError
from opencoder_lib.files import remaining
from opencoder_lib.paper import fact
from opencoder_lib.syntax.python import parse

KEYWORDS = tuple(fact("anneal.keywords").value)
FUNCTIONS = {
    **{name: pl.String for name in ("doc_id", "repo", "path", "license", "name", "text")},
    "n_bytes": pl.Int64,
}
LOGIC = (ast.For, ast.While, ast.If, ast.IfExp, ast.comprehension)


def builtin_names() -> frozenset[str]:
    """Names that Python itself brings, the same in a notebook, a script and a shell.

    Notebooks put `display` beside them, the module site `exit`, gettext `_`. What begins with an underscore is left
    out: a function that asks for its module's name or imports by hand needs more than itself.
    """
    return frozenset(
        name
        for name, value in vars(builtins).items()
        if not name.startswith("_")
        and type(value).__module__ == "builtins"
        and getattr(value, "__module__", "builtins") in ("builtins", "io", "_io")
    )


BUILTINS = builtin_names()


def keyword_hits(files: pl.DataFrame, keywords: Sequence[str] = KEYWORDS, ignore_case: bool = True) -> pl.DataFrame:
    """The files still in that contain a keyword, in their order, with the column `keywords`: those they have.

    A keyword counts anywhere in the text, within longer words too. ignore_case: ASCII letters of either case are the
    same; the paper does not say (paper.toml, anneal.keyword_case). Raises ConfigError on no or an empty keyword.
    """
    if isinstance(keywords, str) or not keywords or not all(keywords):
        raise ConfigError(f"keywords={keywords!r}: give at least one, as a list of texts that are not empty.")
    here = remaining(files)
    found = pl.concat_list(
        pl.when(pl.col("text").str.contains_any([word], ascii_case_insensitive=ignore_case)).then(pl.lit(word))
        for word in keywords
    )
    return here.with_columns(keywords=found.list.drop_nulls()).filter(pl.col("keywords").list.len() > 0)


def count_keywords(files: pl.DataFrame, keywords: Sequence[str] = KEYWORDS, ignore_case: bool = True) -> pl.DataFrame:
    """Finds by keyword and language: `keyword`, `language`, `files`, `n_bytes`, and `files_only`, which no other
    keyword finds.

    Keywords come in the order given, languages by files. A keyword that finds nothing has one row with a null language
    and zeros: that it is absent is a result.
    """
    hits = keyword_hits(files, keywords, ignore_case).select(
        "language", "keywords", n_bytes=pl.col("text").str.len_bytes().cast(pl.Int64)
    )
    single = (pl.col("keywords").list.len() == 1).alias("single")
    counted = (
        hits.with_columns(single)
        .explode("keywords")
        .group_by(keyword="keywords", language="language")
        .agg(
            files=pl.len().cast(pl.Int64),
            n_bytes=pl.col("n_bytes").sum(),
            files_only=pl.col("single").sum().cast(pl.Int64),
        )
    )
    order = pl.DataFrame({"keyword": list(keywords), "place": range(len(keywords))})
    joined = order.join(counted, on="keyword", how="left").with_columns(
        pl.col("files", "n_bytes", "files_only").fill_null(0)
    )
    return joined.sort(["place", "files", "language"], descending=[False, True, False]).drop("place")


def documented_functions(files: pl.DataFrame, self_contained: bool = True, max_bytes: int = 4_000) -> pl.DataFrame:
    """One row a function of the Python files still in that satisfies the rule, in the order of files and lines.

    The rule: at the top of its file, undecorated, with a docstring; returns or yields something; has a loop, a
    condition or a comprehension; at most `max_bytes` long. self_contained: every name it uses is its own, a built-in or
    imported inside it, so that the text alone says what it does; False asks for the rest only. Columns: doc_id, repo,
    path and license of the file, name, text (the function alone, ending in a line feed) and n_bytes. Of equal texts the
    first stays. Files that do not parse have none. This is ours and stands in for the corpus of the keywords; the paper
    has no such rule.
    """
    if max_bytes < 1:
        raise ConfigError(f"max_bytes={max_bytes}: a function has at least one byte.")
    # Parsing is the price of this function; most files are ruled out by a look at their lines.
    maybe = remaining(files).filter((pl.col("language") == "python") & pl.col("text").str.contains(r"(?m)(^|\r)def\s"))
    about = maybe.select("doc_id", "repo", "path", "license", "text")
    rows = [
        (*row[:4], name, text, len(text.encode()))
        for row in about.iter_rows()
        for name, text in functions_of(row[4], self_contained)
    ]
    found = pl.DataFrame(rows, schema=FUNCTIONS, orient="row").filter(pl.col("n_bytes") <= max_bytes)
    return found.unique("text", keep="first", maintain_order=True)


def functions_of(text: str, self_contained: bool = True) -> Iterator[tuple[str, str]]:
    """Name and text of each function of a Python file that satisfies the rule of `documented_functions`."""
    tree = parse(text)
    if tree is None:
        return
    # As the parser counts lines: a form feed ends none, a carriage return alone does.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list and ast.get_docstring(node) and _works(node):
            source = "\n".join(lines[node.lineno - 1 : node.end_lineno]) + "\n"
            if not self_contained or _names_from_outside(source) <= {node.name}:
                yield node.name, source


def _works(node: ast.FunctionDef) -> bool:
    """Whether it gives something back and does not do the same whatever it is given."""
    inside = list(ast.walk(node))
    gives = any(isinstance(at, ast.Return | ast.Yield | ast.YieldFrom) and at.value is not None for at in inside)
    return gives and any(isinstance(at, LOGIC) for at in inside)


def _names_from_outside(source: str) -> set[str]:
    """Names that the text uses, does not set and that are not built in."""
    names: set[str] = set()
    tables: list[SymbolTable] = [symtable(source, "", "exec")]
    while tables:
        table = tables.pop()
        at_top = table.get_type() == "module"
        for symbol in table.get_symbols():
            # At the top only defaults and annotations are used, and the function's own name is set.
            used = symbol.is_referenced() and (at_top or symbol.is_global())
            if used or symbol.is_declared_global():
                names.add(symbol.get_name())
        tables.extend(table.get_children())
    return names - BUILTINS
