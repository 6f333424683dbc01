"""The rules that make a notebook a chapter, checked on every notebook of the book."""

import ast
import io
import json
import re
import sys
import tokenize
from pathlib import Path

import pytest

from opencoder_lib.book.notebooks import as_text, stored_form
from opencoder_lib.book.project import PACKAGE, read_card, read_cards, source_of
from opencoder_lib.paper import facts

FOLDER = PACKAGE.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# A reader wants to see PCA(2), not a wrapper of it: the card's packages, Polars and ours, besides the standard library.
ALLOWED = {"torch", "transformers", "datasketch", "matplotlib", "sklearn", "polars", "opencoder_lib"}
MOST_LINES = 12
MOST_PARAMETERS = 10
ROLE = re.compile(r"\{(?:paper|measured)\}`([^`]+)`")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict]:
    return [cell for cell in read_card(path).notebook["cells"] if cell["cell_type"] == kind]


def test_there_are_chapters_and_their_needs_exist():
    assert len(read_cards(PACKAGE.parent)) == len(NOTEBOOKS) > 0


@every_notebook
def test_it_is_stored_in_its_canonical_form_without_outputs(path):
    text = path.read_text(encoding="utf-8")
    assert text == as_text(stored_form(json.loads(text))), "Run: opencoder strip"


@every_notebook
def test_its_cells_come_in_the_order_of_every_chapter(path):
    ids = [cell["id"] for cell in read_card(path).notebook["cells"]]
    assert ids[:4] == ["title", "question", "parameters", "setup"]
    assert ids[-1] == "exercises"
    late = [name for name in ids if name in ("examples", "verdict", "save", "exercises")]
    assert late == ["examples", "verdict", "save", "exercises"]
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in ids)


@every_notebook
def test_it_has_one_title_and_a_card(path):
    notebook = read_card(path).notebook
    headings = [
        line
        for cell in cells(path, "markdown")
        for line in re.sub(r"(?ms)^```.*?^```", "", source_of(cell)).splitlines()
        if line.startswith("# ")
    ]
    assert len(headings) == 1
    card = notebook["metadata"]["cookbook"]
    assert card["part"] in ("I", "II", "III", "IV", "V", "VI")
    assert {"toy", "gpu"} <= card["minutes"].keys()
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)


@every_notebook
def test_its_parameters_are_at_most_ten_literals_each_with_a_comment(path):
    card = read_card(path)
    assert len(card.defaults) <= MOST_PARAMETERS
    assert card.defaults["profile"] == "toy"
    assert card.defaults["seed"] == 0
    source = next(source_of(cell) for cell in cells(path, "code") if cell["id"] == "parameters")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    commented = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    for node in ast.parse(source).body:
        assert {node.lineno - 1, node.lineno, node.end_lineno} & commented, f"line {node.lineno} has no comment"


@every_notebook
def test_its_code_cells_are_short_and_define_nothing(path):
    for cell in cells(path, "code"):
        source = source_of(cell)
        assert len(source.splitlines()) <= MOST_LINES, cell["id"]
        nodes = list(ast.walk(ast.parse(source)))
        assert not [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)]
        assert "filterwarnings" not in source, "A warning is shown or mended, not silenced."


@every_notebook
def test_it_imports_only_what_a_reader_wants_to_see(path):
    tops = set()
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(source_of(cell))):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                tops.add((node.module or "").split(".")[0])
    assert tops <= ALLOWED | sys.stdlib_module_names


@every_notebook
def test_a_figure_stands_alone_in_its_cell_and_the_chapter_saves_and_judges(path):
    sources = {cell["id"]: source_of(cell) for cell in cells(path, "code")}
    assert all(source.count("chapter.figure(") <= 1 for source in sources.values())
    assert any("chapter.figure(" in source for source in sources.values())
    assert "chapter.verdict(" in sources["verdict"]
    assert "chapter.save(" in sources["save"]
    assert f'start_chapter("{path.stem}", profile, seed)' in sources["setup"]


@every_notebook
def test_every_number_it_quotes_exists(path):
    quoted = {key for cell in cells(path, "markdown") for key in ROLE.findall(source_of(cell))}
    assert quoted <= facts().keys()


@pytest.mark.parametrize("path", sorted((PACKAGE.parent / "book").glob("*.md")), ids=lambda path: path.stem)
def test_every_number_a_page_quotes_exists(path):
    text = re.sub(r"``.+?``", "", path.read_text(encoding="utf-8"))
    assert set(ROLE.findall(text)) <= facts().keys()
