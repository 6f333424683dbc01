"""Jupyter notebooks as the sequence of markdown, code and output that the paper trains on.

The form is StarCoder's Jupyter-structured one, which the paper takes over (appendix C); the script form is dropped
there as redundant. A notebook becomes one text:

    <jupyter_start><jupyter_text>markdown<jupyter_code>code<jupyter_output>output<jupyter_text>...

As the published conversion has it, neighbouring cells of one kind are one block, a block of code is followed by the
output of its last cell, cut at 1,000 characters with `[...]`, and `<empty_output>` stands where there is none. Unlike
it, this keeps the lines, headings and tags of Markdown, code before the first and Markdown after the last pair, the
results of expressions and errors, and notebooks of every language: what is lost there is lost for no stated reason.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

import polars as pl

from opencoder_lib import MB
from opencoder_lib.errors import InputError
from opencoder_lib.files import SCHEMA, check, mark_removed, remaining

START, TEXT, CODE, OUTPUT, EMPTY = (
    "<jupyter_start>",
    "<jupyter_text>",
    "<jupyter_code>",
    "<jupyter_output>",
    "<empty_output>",
)
LANGUAGE = "jupyter notebook"
BROKEN, NO_CELLS = "preprocess.broken_notebook", "preprocess.empty_notebook"
MAX_BYTES = 8 * MB
MAX_OUTPUT = 1_000  # characters of a block's output, as the published conversion has it
MAX_DEPTH = 64  # of nested lists and objects; notebooks need 6, widgets some more
MARKERS = re.compile(r"<(jupyter|empty)_(start|text|code|output)>")
# Colours, cursor movements, window titles and links of terminals.
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# A string without an end goes to the end of the text: any other way the search would start again at each quote.
STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
# The order in which `structured` puts markers.
LETTERS = {START: "s", TEXT: "t", CODE: "c", OUTPUT: "o", EMPTY: "e"}
IN_ORDER = re.compile(r"s(?:t|(?=c))(?:coe?t?)*")
DONE = {"doc_id": pl.String, "opencoder:text": pl.String, "removed_by": pl.String}
PLACEHOLDER = re.compile(r"<[^<>\n]*>")


@dataclass(frozen=True)
class Cell:
    """One cell: kind 'markdown' or 'code', its source and, of code, its outputs as text."""

    kind: str
    source: str
    output: str = ""


@dataclass(frozen=True)
class Triplet:
    """What was written, the code after it, and what that printed; each may be empty."""

    markdown: str
    code: str
    output: str


@dataclass(frozen=True)
class Notebook:
    """The cells of a notebook with something in them, its language, and how many parts were left out, by kind."""

    cells: list[Cell]
    language: str | None
    dropped: Counter = field(default_factory=Counter)


def structure_notebooks(files: pl.DataFrame, max_bytes: int = MAX_BYTES) -> pl.DataFrame:
    """The notebooks among `files` in the structured form, as code of the language "jupyter notebook".

    Of files still in whose path ends in .ipynb: one that is no JSON or no notebook is removed as
    preprocess.broken_notebook, one without a cell that says anything as preprocess.empty_notebook. Larger ones than
    `max_bytes` are left to keep_source_files, which comes after this and would remove all others as an excluded type.
    `n_bytes` stays the size that was found. A second pass changes nothing.
    """
    files = check(files)
    here = remaining(files).filter(
        pl.col("path").str.ends_with(".ipynb") & (pl.col("n_bytes") <= max_bytes) & ~_is_structured()
    )
    if here.is_empty():
        return files
    rows = [(name, *_structured(text)) for name, text in here.select("doc_id", "text").iter_rows()]
    done = pl.DataFrame(rows, schema=DONE, orient="row")
    is_text = pl.col("opencoder:text").is_not_null()
    after = files.join(done.drop("removed_by"), on="doc_id", how="left", maintain_order="left").with_columns(
        text=pl.coalesce("opencoder:text", "text"),
        language=pl.when(is_text).then(pl.lit(LANGUAGE)).otherwise("language"),
        category=pl.when(is_text).then(pl.lit("code", dtype=SCHEMA["category"])).otherwise("category"),
    )
    gone = done.filter(pl.col("removed_by").is_not_null()).select("doc_id", "removed_by")
    return mark_removed(after.select(files.columns), gone)


def _is_structured() -> pl.Expr:
    # The table of languages excludes notebooks, so only this stage makes one code.
    made = (pl.col("language") == LANGUAGE) & (pl.col("category").cast(pl.String) == "code")
    return made.fill_null(False) & pl.col("text").str.starts_with(START)


def _structured(text: str) -> tuple[str | None, str | None]:
    # What this stage made, read again.
    if text.startswith(START) and IN_ORDER.fullmatch("".join(LETTERS[mark[0]] for mark in MARKERS.finditer(text))):
        return text, None
    try:
        notebook = read_notebook(text)
    except InputError:
        return None, BROKEN
    return (structured(triplets(notebook.cells)), None) if notebook.cells else (None, NO_CELLS)


def structured(parts: Iterable[Triplet]) -> str:
    """The text of a notebook from its triplets; a part that is not there has no marker.

    Markers inside a part are broken (`<jupyter-text>`), so that no document can pretend to have another structure.
    """
    pieces = [START]
    for part in parts:
        markdown, code, output = (MARKERS.sub(r"<\1-\2>", side) for side in (part.markdown, part.code, part.output))
        # An indent of the first line of code has a meaning.
        pieces += [TEXT, markdown.strip()] if markdown.strip() else []
        pieces += [CODE, code.strip("\n").rstrip(), OUTPUT, output.strip() or EMPTY] if code.strip() else []
    return "".join(pieces)


def triplets(cells: Iterable[Cell]) -> list[Triplet]:
    """The cells in pairs of what was written and the code after it, with the output of that code's last cell.

    The first may have no markdown, the last no code. Between cells of Markdown is an empty line, of code a line end.
    """
    found: list[Triplet] = []
    for kind, run in groupby(cells, key=lambda cell: cell.kind):
        block = list(run)
        if kind == "markdown":
            found.append(Triplet("\n\n".join(cell.source.strip() for cell in block), "", ""))
            continue
        markdown = found.pop().markdown if found and not found[-1].code else ""
        found.append(Triplet(markdown, "\n".join(cell.source.strip("\n") for cell in block), block[-1].output))
    return found


def read_notebook(text: str) -> Notebook:
    """A notebook of format 2, 3 or 4. Raises InputError if the text is no JSON or has no list of cells.

    Source and outputs may be strings or lists of them; raw cells are dropped, headings of format 3 become Markdown
    ones, and what is of another type than it should be is passed over.
    """
    document = _loaded(text.removeprefix("\ufeff"))
    metadata = _dict(document.get("metadata"))
    dropped: Counter = Counter()
    raw = [cell for cell in _raw_cells(document) if isinstance(cell, dict)]
    cells = [cell for one in raw if (cell := _cell(one, dropped)) is not None]
    for kind, run in groupby(cells, key=lambda cell: cell.kind):
        if kind == "code":
            dropped["output before the last of a block"] += sum(bool(cell.output) for cell in list(run)[:-1])
    languages = [
        _dict(metadata.get("language_info")).get("name"),
        _dict(metadata.get("kernelspec")).get("language"),
        *(cell.get("language") for cell in raw),
    ]
    language = next((name.lower() for name in languages if isinstance(name, str) and name), None)
    return Notebook(cells, language, +dropped)


def _loaded(text: str) -> dict:
    # Counted outside strings, and before parsing: a parser's own limit depends on who calls it.
    if text.count("[") + text.count("{") > MAX_DEPTH:
        depth = deepest = 0
        for bracket in re.findall(r"[\[\]{}]", STRING.sub("", text)):
            depth += 1 if bracket in "[{" else -1
            deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            raise InputError(
                f"Not a notebook: lists and objects are nested {deepest} deep, at most {MAX_DEPTH} are read."
            )
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"Not a notebook, since not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise InputError(f"Not a notebook: its JSON is a {type(document).__name__}, not an object.")
    return document


def _raw_cells(document: dict) -> list:
    if isinstance(document.get("cells"), list):
        return document["cells"]
    if not isinstance(document.get("worksheets"), list):
        raise InputError("Not a notebook: it has neither a list of cells nor, as formats 2 and 3, of worksheets.")
    sheets = [_dict(sheet).get("cells") for sheet in document["worksheets"]]
    return [_with_line_ends(cell) for sheet in sheets if isinstance(sheet, list) for cell in sheet]


def _with_line_ends(value):
    """A value of format 2 or 3, whose lists may hold lines without their ends."""
    if isinstance(value, dict):
        return {key: _with_line_ends(part) if key != "traceback" else part for key, part in value.items()}
    if not isinstance(value, list):
        return value
    if value and all(isinstance(line, str) for line in value):
        return ("" if value[0].endswith(("\n", "\r")) else "\n").join(value)
    return [_with_line_ends(part) for part in value]


def _dict(value) -> dict:
    return value if isinstance(value, dict) else {}


def _text(value) -> str:
    """A string, or a list of them as formats store it, without what no text may hold: lone surrogates and NUL."""
    parts = value if isinstance(value, list) else [value]
    whole = "".join(part for part in parts if isinstance(part, str))
    return whole.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _cell(cell: dict, dropped: Counter) -> Cell | None:
    kind = cell.get("cell_type")
    source = _text(cell.get("input" if kind == "code" and "source" not in cell else "source"))
    if kind == "code":
        output = _outputs(cell.get("outputs"), dropped)
        return Cell("code", source, output) if source.strip() else None
    if kind == "heading" and source.strip():
        level = cell.get("level")
        depth = level if isinstance(level, int) and 1 <= level <= 6 else 1
        return Cell("markdown", "#" * depth + " " + " ".join(source.split()))
    if kind in ("markdown", "html"):
        return Cell("markdown", source) if source.strip() else None
    dropped["raw cell"] += 1
    return None


def _outputs(outputs, dropped: Counter) -> str:
    """The text of a code cell's outputs, at most MAX_OUTPUT characters and then '[...]'."""
    found = [_output(one, dropped) for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []
    # A stream comes in pieces, each with its own line ends; any other output begins on a new line.
    whole = ""
    for is_stream, piece in found:
        whole += piece if is_stream or not whole or whole.endswith("\n") else "\n" + piece
    plain = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in ANSI.sub("", whole).split("\n")).strip()
    if len(plain) <= MAX_OUTPUT:
        return plain
    dropped["end of a long output"] += 1
    return plain[:MAX_OUTPUT] + "[...]"


def _output(output: dict, dropped: Counter) -> tuple[bool, str]:
    """Whether it is a stream, and its text."""
    kind = output.get("output_type")
    if kind == "stream":
        return True, _text(output.get("text"))
    if kind in ("error", "pyerr"):
        trace = output.get("traceback")
        lines = [_text(line) for line in trace] if isinstance(trace, list) else []
        return False, "\n".join(
            lines
        ) or f"{_text(output.get('ename') or output.get('etype'))}: {_text(output.get('evalue'))}"
    # Format 4 has MIME types in `data`; before, they stood by short names beside `output_type`.
    data = _dict(output.get("data")) or {OLD_MIME.get(name, ""): value for name, value in output.items()}
    rich = {_family(mime) for mime, value in data.items() if mime and mime != "text/plain" and value}
    for family in rich:
        dropped[family] += 1
    plain = _text(data.get("text/plain"))
    # "<Figure size 640x480 with 1 Axes>" only stands in for what is dropped.
    return False, "" if rich and PLACEHOLDER.fullmatch(plain.strip()) else plain


OLD_MIME = {
    **{
        "text": "text/plain",
        "html": "text/html",
        "latex": "text/latex",
        "svg": "image/svg+xml",
        "json": "application/json",
    },
    **{"png": "image/png", "jpeg": "image/jpeg", "pdf": "application/pdf", "javascript": "application/javascript"},
}


def _family(mime: str) -> str:
    if mime.startswith("image/"):
        return "image"
    if mime == "text/html":
        return "html"
    return "widget" if mime.startswith("application/vnd.jupyter.widget") else "other rich output"


def count_notebooks(files: pl.DataFrame) -> pl.DataFrame:
    """What the notebooks among `files`, not yet structured, hold and lose: one row a language and part.

    Columns: language (null where the notebook does not say), part (notebook, markdown cell, code cell, code cell with
    output, and what was left out: image, html, widget, ...), kept (whether it is in the structured text), n.
    """
    here = remaining(files).filter(pl.col("path").str.ends_with(".ipynb") & ~_is_structured())
    counts: Counter = Counter()
    for text in here["text"]:
        try:
            notebook = read_notebook(text)
        except InputError:
            counts[None, "broken notebook", False] += 1
            continue
        counts[notebook.language, "notebook", bool(notebook.cells)] += 1
        for cell in notebook.cells:
            counts[notebook.language, f"{cell.kind} cell", True] += 1
            counts[notebook.language, "code cell with output", True] += bool(cell.output)
        for part, n in notebook.dropped.items():
            counts[notebook.language, part, False] += n
    rows = [(*key, n) for key, n in counts.items() if n]
    schema = {"language": pl.String, "part": pl.String, "kept": pl.Boolean, "n": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.sort("language", "kept", "n", "part", descending=[False, True, True, False], nulls_last=True)
