"""Why a chapter is stale: everything its results depend on, as hashes, and the difference in words.

A chapter depends on its code cells, its parameters, the library modules its imports reach (and the tables beside
them), the reported numbers it names, what it read from earlier chapters, and package versions. Prose, comments
and formatting are not among them: editing those never runs a chapter again.
"""

import ast
import hashlib
import os
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any

from opencoder_lib.book.project import Card, Project, source_of
from opencoder_lib.durable import file_sha256
from opencoder_lib.errors import CookbookError
from opencoder_lib.store import read_json, versions

DATA_SUFFIXES = (".toml", ".csv", ".mplstyle", ".json", ".txt", ".jsonl.gz")
# The form of runs/<chapter>.json. Raise it when a part is added, or older records would be misread.
FORMAT = 2
# Parameters come in resolved, facts one by one; as whole files they would make every chapter stale at each edit.
SEPARATE = ("profiles.toml", "paper.toml")


def short_hash(value: str | bytes) -> str:
    """Sixteen hexadecimal digits of SHA-256."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()[:16]


def code_hash(source: str) -> str:
    """A hash of Python code that comments and formatting do not change."""
    try:
        return short_hash(ast.dump(ast.parse(source)))
    except SyntaxError:
        # A cell with IPython magic.
        return short_hash(source)


class Library:
    """The package's modules by name, with their imports, read without importing anything."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.paths: dict[str, Path] = {}
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            self.paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        self._sources: dict[str, str] = {}
        self._trees: dict[str, ast.Module] = {}

    def source(self, module: str) -> str:
        """A module's text."""
        if module not in self._sources:
            self._sources[module] = self.paths[module].read_text(encoding="utf-8")
        return self._sources[module]

    def tree(self, module: str) -> ast.Module:
        """A module's syntax tree."""
        if module not in self._trees:
            self._trees[module] = ast.parse(self.source(module))
        return self._trees[module]

    def imports(self, tree: ast.AST, package: str = "") -> set[str]:
        """The library's modules that a syntax tree names in an import, with the packages around them."""
        named: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                named.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                named.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                # import_module("opencoder_lib.x") names a module in a string.
                named.add(node.value)
        found = named & self.paths.keys()
        return found | {".".join(name.split(".")[:n]) for name in found for n in range(1, name.count(".") + 1)}

    def reach(self, sources: list[str]) -> set[str]:
        """Every module that running `sources` can load, following imports to the end."""
        todo: set[str] = set()
        for source in sources:
            try:
                todo |= self.imports(ast.parse(source))
            except SyntaxError:
                plain = [line for line in source.splitlines() if line.lstrip()[:1] not in ("%", "!")]
                todo |= self.imports(ast.parse("\n".join(plain)))
        reached: set[str] = set()
        while todo:
            module = todo.pop()
            reached.add(module)
            is_package = self.paths[module].name == "__init__.py"
            package = module if is_package else module.rpartition(".")[0]
            todo |= self.imports(self.tree(module), package) - reached
        return reached

    @cached_property
    def data_files(self) -> list[Path]:
        """Tables and styles inside the package."""
        found = (path for suffix in DATA_SUFFIXES for path in self.folder.rglob(f"*{suffix}"))
        return sorted(path for path in found if path.name not in SEPARATE)

    def reached_data(self, reached: set[str]) -> list[Path]:
        """The data files that a reached module names, or that lie in a package of which a module is reached.

        Files at the top of the library belong to the modules that name them alone.
        """
        found = []
        for path in self.data_files:
            folder = path.parent
            while folder != self.folder and not any(folder.glob("*.py")):
                folder = folder.parent
            owners = {module for module in self.paths if path.name in self.source(module)}
            if folder != self.folder or not owners:
                owners |= {module for module, place in self.paths.items() if place.parent == folder}
            if owners & reached:
                found.append(path)
        return found


def current_key(project: Project, card: Card, parameters: dict[str, Any], library: Library) -> dict[str, Any]:
    """What the chapter's results depend on right now, apart from what it reads from other chapters."""
    code = {
        cell["id"]: source_of(cell)
        for cell in card.notebook["cells"]
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", [])
    }
    reached = library.reach(list(code.values()))
    texts = [*code.values(), *(library.source(module) for module in reached)]
    return {
        "cells": {name: code_hash(source) for name, source in code.items()},
        "order": list(code),
        "parameters": parameters,
        "modules": {module: code_hash(library.source(module)) for module in sorted(reached)},
        "data": {
            path.relative_to(library.folder).as_posix(): short_hash(path.read_bytes())
            for path in library.reached_data(reached)
        },
        "facts": _named_facts(library.folder, texts),
        "folders": _folders(parameters),
        "versions": versions() | _corpus_versions(reached),
    }


def _named_facts(folder: Path, texts: list[str]) -> dict[str, str]:
    """The reported numbers whose key occurs in the texts, each with a hash of its entry."""
    path = folder / "paper.toml"
    if not path.is_file():
        return {}
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    facts = {f"{group}.{name}": entry for group, entries in table.items() for name, entry in entries.items()}
    return {
        key: short_hash(repr(sorted(entry.items())))
        for key, entry in sorted(facts.items())
        if any(key in text for text in texts)
    }


def _folders(parameters: dict[str, Any]) -> dict[str, str]:
    """A hash of names, sizes and times below each parameter that is the full path of a folder: a reader's own input."""
    found = {}
    for value in parameters.values():
        if isinstance(value, str) and os.path.isabs(value) and os.path.isdir(value):
            digest = hashlib.sha256()
            for folder, below, names in os.walk(value):
                below.sort()
                for name in sorted(names):
                    path = os.path.join(folder, name)
                    about = os.lstat(path)
                    digest.update(f"{path}\0{about.st_size}\0{about.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
            found[value] = digest.hexdigest()[:16]
    return found


def _corpus_versions(reached: set[str]) -> dict[str, str]:
    """Versions of the distributions the toy corpus is made of, for the chapter that collects them."""
    if "opencoder_lib.corpora.installed" not in reached:
        return {}
    from opencoder_lib.corpora.installed import listed_versions

    return {f"corpus:{name}": version or "not installed" for name, version in sorted(listed_versions().items())}


def stale_reasons(project: Project, card: Card, key: dict[str, Any]) -> list[str]:
    """Why the chapter must run, in words; empty when its stored results are those of the current sources."""
    try:
        run = read_json(project.build / "runs" / f"{card.name}.json")
    except FileNotFoundError:
        return ["never ran"]
    except CookbookError:
        return ["the record of its last run is damaged"]
    if run.get("format") != FORMAT:
        return ["it was recorded by another version of the runner"]
    return [*_damage(project, card, run), *_differences(run["key"], key), *_new_inputs(project, run)]


def _damage(project: Project, card: Card, run: dict) -> list[str]:
    executed = project.build / "executed" / f"{card.name}.ipynb"
    if not executed.is_file() or file_sha256(executed) != run["notebook_sha256"]:
        return ["its executed notebook is missing or was changed"]
    for name, sha256 in sorted(run["artifacts"].items()):
        try:
            project.store.path(card.name, name)
            intact = project.store.describe(card.name, name)["sha256"] == sha256
        except CookbookError:
            intact = False
        if not intact:
            return [f"artifact {name} changed on disk"]
    return []


def _differences(then: dict, now: dict) -> list[str]:
    reasons = []
    for name in sorted(then["parameters"].keys() | now["parameters"].keys()):
        old, new = then["parameters"].get(name), now["parameters"].get(name)
        # Through JSON a tuple has become a list.
        if old != (list(new) if isinstance(new, tuple) else new):
            reasons.append(f"parameter {name} changed ({old!r} -> {new!r})")
    words = {
        "cells": ("cell {} changed", "cell {} is new", "cell {} is gone"),
        "modules": ("module {} changed", "it now reaches module {}", "it no longer reaches module {}"),
        "data": ("table {} changed", "table {} is new", "table {} is gone"),
        "folders": ("the folder {} changed", "the folder {} is new", "the folder {} is gone"),
        "facts": ("reported value {} changed", "reported value {} is new", "reported value {} is gone"),
    }
    for part, (changed, added, gone) in words.items():
        old, new = then[part], now[part]
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                text = changed if name in old and name in new else added if name in new else gone
                reasons.append(text.format(name))
    if not reasons and then["order"] != now["order"]:
        reasons.append("its cells changed places")
    old, new = then["versions"], now["versions"]
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            label = name.removeprefix("corpus:")
            reasons.append(f"version of {label} changed ({old.get(name, 'none')} -> {new.get(name, 'none')})")
    return reasons


def _new_inputs(project: Project, run: dict) -> list[str]:
    reasons = []
    for place, sha256 in sorted(run["inputs"].items()):
        chapter, _, name = place.partition("/")
        try:
            now = project.store.describe(chapter, name)["sha256"]
        except CookbookError:
            now = None
        reason = f"{chapter} has new results" if now else f"{chapter} no longer has {name}"
        if now != sha256 and reason not in reasons:
            reasons.append(reason)
    return reasons
