"""A two-chapter book in a temporary folder, quick to run: the second chapter doubles what the first one stored."""

import json
from pathlib import Path

from opencoder_lib.book.project import Project

SETUP = """from opencoder_lib.chapter import start_chapter

chapter = start_chapter("{name}", profile, seed)"""


def markdown(name: str, source: str) -> dict:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


def code(name: str, source: str, *tags: str) -> dict:
    metadata = {"tags": list(tags)} if tags else {}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }


def notebook(*cells: dict, needs: tuple[str, ...] = ()) -> dict:
    return {
        "cells": list(cells),
        "metadata": {
            "cookbook": {"needs": list(needs), "part": "I"},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def first(
    size: str = "3", body: str = "numbers = list(range(size))", save: str = "chapter.save(numbers=numbers)"
) -> dict:
    return notebook(
        markdown(
            "title", "# Counting\n\nThe paper says {paper}`exact.frac_removed`, here {measured}`exact.frac_removed`."
        ),
        code("parameters", f'profile = "toy"\nseed = 0\nsize = {size}  # numbers to make', "parameters"),
        code("setup", SETUP.format(name="01-count")),
        code("run-count", body),
        code("save", save),
    )


def second(body: str = "doubled = [2 * number for number in numbers]") -> dict:
    return notebook(
        markdown("title", "# Doubling"),
        code("parameters", 'profile = "toy"\nseed = 0', "parameters"),
        code("setup", SETUP.format(name="02-double") + '\nnumbers = chapter.load("numbers", of="01-count")'),
        code("run-double", body),
        code("save", "chapter.save(doubled=doubled)"),
        needs=("01-count",),
    )


def write(root: Path, **notebooks: dict) -> None:
    """Write notebooks by name, underscores standing for the dash after the number: _01_count=..."""
    for name, content in notebooks.items():
        stem = name.strip("_").replace("_", "-")
        (root / "notebooks" / f"{stem}.ipynb").write_text(json.dumps(content), encoding="utf-8")


def make(root: Path) -> Project:
    """A checkout with both chapters, seen through the toy profile."""
    (root / "notebooks").mkdir(parents=True)
    (root / "_config.yml").write_text("title: Fake\n", encoding="utf-8")
    write(root, _01_count=first(), _02_double=second())
    return Project(root, "toy")
