"""Taking a finished chapter as done, or saying why not.

The record build/<profile>/runs/<chapter>.json is written last. Whatever happens before that leaves the chapter
stale, so a half-finished run is never taken as done.
"""

import ast
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from opencoder_lib import errors
from opencoder_lib.book.child import Child, record_state
from opencoder_lib.book.keys import FORMAT, Library
from opencoder_lib.book.project import Project, source_of
from opencoder_lib.durable import file_sha256
from opencoder_lib.errors import CookbookError
from opencoder_lib.store import read_json, write_json

ANSI = re.compile(r"\x1b\[[0-9;]*m")
TRACEBACK_LINES = 12


class ChapterFailed(CookbookError):
    """A chapter that ran and did not finish as a chapter must."""


def accept(project: Project, child: Child, key: dict[str, Any]) -> dict:
    """Move the executed notebook into place and write the chapter's record; return the record.

    Raises ChapterFailed when a cell failed or did not run, when the chapter stored nothing, or read what its card
    does not name.
    """
    name = child.card.name
    notebook = _read_output(child.output)
    check_executed(notebook, child)
    if record_state(project, name) == child.record_before:
        raise ChapterFailed(
            "it ended without chapter.save(...), so it has no results. Its last code cell must call it."
        )
    record = read_json(project.build / "chapters" / f"{name}.json")
    for place in record["inputs"]:
        if place.partition("/")[0] not in child.card.needs:
            raise ChapterFailed(f"it read {place}, but its metadata cookbook.needs lists {list(child.card.needs)}.")
    remove_old_artifacts(project, name, record)
    executed = project.build / "executed" / f"{name}.ipynb"
    executed.parent.mkdir(parents=True, exist_ok=True)
    with open(child.output, "rb+") as stream:
        os.fsync(stream.fileno())
    os.replace(child.output, executed)
    run = {
        "format": FORMAT,
        "key": key,
        "inputs": record["inputs"],
        "artifacts": record["artifacts"],
        "notebook_sha256": file_sha256(executed),
        "seconds": round(child.seconds, 1),
        "peak_memory_mb": child.peak_memory_mb or record["peak_memory_mb"],
        "cells": child.of,
    }
    write_json(project.build / "runs" / f"{name}.json", run)
    (project.build / "failed" / f"{name}.ipynb").unlink(missing_ok=True)
    child.clean()
    return run


def _read_output(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ChapterFailed(f"its executed notebook was not written whole ({error}). Is the disk full?") from None


def check_executed(notebook: dict, child: Child) -> None:
    """Raise ChapterFailed unless every code cell ran to its end.

    papermill takes a SystemExit for success and calls cells that never ran completed, hence the look at each cell.
    """
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                raise ChapterFailed(describe_error(cell["id"], output))
        if cell["execution_count"] is None and source_of(cell).strip():
            raise ChapterFailed(f"cell {cell['id']} did not run.")
    if notebook["metadata"].get("papermill", {}).get("exception"):
        raise ChapterFailed(f"papermill reports a failure at cell {child.cell}.")


def describe_error(cell: str, output: dict) -> str:
    """The failing cell and its error: our own errors in one line, others with the end of their traceback."""
    text = f"cell {cell}: {output['ename']}: {output['evalue']}".rstrip(": ")
    if output["ename"] == "SystemExit":
        return f"cell {cell} left by SystemExit ({output['evalue'] or 'no code'}); a chapter must run to its end."
    if output["ename"] in own_errors():
        return text
    lines = [ANSI.sub("", line) for piece in output["traceback"] for line in piece.splitlines()]
    tail = [line for line in lines if line.strip()][-TRACEBACK_LINES:]
    return "\n".join([text, *(f"    {line}" for line in tail)])


def own_errors() -> set[str]:
    """Names of all CookbookErrors, those defined outside errors.py included."""
    names = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    library = Library(Path(errors.__file__).parent)
    classes = [
        (node.name, {base.id for base in node.bases if isinstance(base, ast.Name)})
        for module in library.paths
        if "Error" in library.source(module)
        for node in ast.walk(library.tree(module))
        if isinstance(node, ast.ClassDef)
    ]
    grew = True
    while grew:
        more = {name for name, bases in classes if bases & names} - names
        names |= more
        grew = bool(more)
    return names


def failure(child: Child, library_log_lines: int = 8) -> str:
    """Why a chapter's process did not end well, in the most telling words there are."""
    where = f"cell {child.cell} ({child.number} of {child.of})" if child.cell else "its start"
    code = child.process.returncode
    try:
        check_executed(_read_output(child.output), child)
    except ChapterFailed as error:
        # A cell that only did not run is a consequence; look for the cause first.
        if "did not run" not in str(error) and "not written whole" not in str(error):
            return str(error)
    if code is not None and code < 0:
        memory = " Most often that means it ran out of memory." if code == -signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-code).name} at {where}.{memory}"
    if child.broke and child.broke["kind"] == "DeadKernelError":
        return f"its kernel died at {where}. Most often that means it ran out of memory."
    if child.broke:
        return f"at {where}: {child.broke['kind']}: {child.broke['text']}"
    try:
        lines = child.log.read_text(encoding="utf-8", errors="replace").splitlines()[-library_log_lines:]
    except OSError:
        lines = []
    return "\n".join([f"its process ended with code {code} at {where}.", *(f"    {line}" for line in lines)])


def keep_failed(project: Project, child: Child) -> Path | None:
    """Move what was executed so far to build/<profile>/failed/ for a look; None when nothing was written."""
    kept = project.build / "failed" / f"{child.card.name}.ipynb"
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.replace(child.output, kept)
    except OSError:
        return None
    child.clean()
    return kept


def remove_old_artifacts(project: Project, chapter: str, record: dict) -> None:
    """Remove artifacts of earlier versions of a chapter, which a later chapter could read by an old name."""
    folder = project.store.folder(chapter)
    keep = {f"{name}.json" for name in record["artifacts"]}
    keep |= {project.store.describe(chapter, name)["file"] for name in record["artifacts"]}
    for path in folder.iterdir():
        if path.is_file() and path.name not in keep:
            path.unlink()
