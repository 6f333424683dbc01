"""Notebooks as the book and git want them: executed ones without traces of the runner, stored ones without outputs."""

import copy
import json
from pathlib import Path
from typing import Any

from opencoder_lib.book.markdown import fill_numbers, plain
from opencoder_lib.book.project import Card, source_of
from opencoder_lib.errors import ConfigError, InputError

TRACES = ("papermill", "execution", "ExecuteTime", "collapsed", "scrolled")
INJECTED = "injected-parameters"


def stage_notebook(card: Card, executed: dict, measured: dict[str, tuple]) -> dict:
    """The chapter's page: the source's cells with the outputs of its last run, numbers filled in, figures captioned.

    The source leads, so that edited prose shows without a new run; outputs are found by cell id.
    Raises ConfigError for a failed notebook, an unknown number, or a cell with two figures.
    """
    if executed["metadata"].get("papermill", {}).get("exception"):
        raise ConfigError(f"{card.name} failed in its last run and cannot become a page. Run it again.")
    results = {cell["id"]: cell for cell in executed["cells"] if cell["cell_type"] == "code"}
    injected = [cell for cell in results.values() if INJECTED in cell["metadata"].get("tags", [])]
    cells = []
    for source in card.notebook["cells"]:
        place = f"notebooks/{card.path.name}, cell {source['id']}"
        cell = copy.deepcopy(source)
        if cell["cell_type"] == "markdown":
            cell["source"] = fill_numbers(source_of(cell), place, measured)
        elif cell["cell_type"] == "code":
            result = results.get(cell["id"], {"outputs": [], "execution_count": None})
            cell |= {"outputs": copy.deepcopy(result["outputs"]), "execution_count": result["execution_count"]}
            _caption(cell, place)
        cells.append(cell)
        if "parameters" in source["metadata"].get("tags", []):
            # Known only to this run: fold it, and give it an id that is the same each time.
            cells += [
                {**copy.deepcopy(cell), "id": INJECTED, "metadata": {"tags": [INJECTED, "hide-input"]}}
                for cell in injected
            ]
    return {
        **card.notebook,
        "metadata": _clean(card.notebook["metadata"]),
        "cells": [_without_traces(c) for c in cells],
    }


def _caption(cell: dict, place: str) -> None:
    """Move a figure's caption, name and alt text from its output to the cell, where MyST-NB looks for them."""
    outputs = [output for output in cell["outputs"] if not _about(output).get("lab_only")]
    figures = [_about(output) for output in outputs if "caption" in _about(output)]
    if len(figures) > 1:
        raise ConfigError(
            f"{place} shows {len(figures)} figures; a cell can carry one caption, so use one cell for each."
        )
    for about in figures:
        cell["metadata"]["mystnb"] = {
            "figure": {"caption": plain(about["caption"]), "name": about["name"]},
            "image": {"alt": " ".join(about["alt"].split()), "classes": "dark-light"},
        }
    for output in outputs:
        output.get("metadata", {}).pop("cookbook", None)
    cell["outputs"] = outputs


def _about(output: dict) -> dict:
    return output.get("metadata", {}).get("cookbook", {})


def _clean(metadata: dict) -> dict:
    kept = {name: value for name, value in metadata.items() if name not in (*TRACES, "cookbook", "widgets")}
    return kept | {"language_info": {"name": "python"}}


def _without_traces(cell: dict) -> dict:
    return cell | {"metadata": {name: value for name, value in cell["metadata"].items() if name not in TRACES}}


def stored_form(notebook: dict) -> dict:
    """The notebook as git keeps it: no outputs, no execution counts, no traces of papermill or an editor."""
    cells = []
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        if INJECTED in tags or "papermill-error-cell-tag" in tags:
            continue
        kept = _without_traces(cell)
        kept["source"] = source_of(cell)
        if cell["cell_type"] == "code":
            kept |= {"outputs": [], "execution_count": None}
            kept["metadata"] = {name: value for name, value in kept["metadata"].items() if name != "mystnb"}
        cells.append(kept)
    metadata = {name: value for name, value in notebook["metadata"].items() if name not in (*TRACES, "widgets")}
    return {**notebook, "cells": cells, "metadata": metadata | {"language_info": {"name": "python"}}}


def as_text(notebook: dict[str, Any]) -> str:
    """Canonical JSON: one space, sorted keys, a final newline, sources as lists of lines for readable diffs."""
    cells = [{**cell, "source": source_of(cell).splitlines(keepends=True)} for cell in notebook["cells"]]
    return json.dumps({**notebook, "cells": cells}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def strip(folder: Path) -> list[str]:
    """Bring every notebook of `folder` into its stored form; return the names of those that changed."""
    changed = []
    for path in sorted(folder.glob("*.ipynb")):
        before = path.read_text(encoding="utf-8")
        try:
            after = as_text(stored_form(json.loads(before)))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"notebooks/{path.name} is not a notebook: {error!r}. Restore it from git.") from None
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path.name)
    return changed
