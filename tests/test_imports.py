"""Who may import whom: notebooks -> chapter, report, plots, packages -> base, and never sideways."""

import subprocess
import sys

import pytest

from opencoder_lib.book.keys import Library
from opencoder_lib.book.project import PACKAGE

PACKAGES = {"corpora", "refine", "quality", "web", "embed", "train", "synth", "evaluate", "longcontext"}
MAY_IMPORT_EVERYTHING = {"cli", "cli_training", "book", "__main__"}
# These join two packages by design; everything else at the top of the library is base.
JOINS = {
    "clean": {"corpora", "refine", "quality"},
    "data_verbs": {"corpora", "quality"},
    "ablations": {"corpora", "refine", "quality", "embed", "train", "evaluate"},
}
# report formats frames and needs nothing but the base, so packages may use it like the base.
SHOWS = {"chapter", "plots"}

library = Library(PACKAGE)


def top(module: str) -> str:
    """'refine' of 'opencoder_lib.refine.exact'; '' for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imported_tops(module: str) -> set[str]:
    is_package = library.paths[module].name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    return {top(name) for name in library.imports(library.tree(module), package)} - {"", top(module)}


@pytest.mark.parametrize("module", [name for name in library.paths if top(name) in PACKAGES])
def test_a_package_imports_the_base_and_no_other_package(module):
    assert imported_tops(module) & (PACKAGES | SHOWS | MAY_IMPORT_EVERYTHING) == set()


@pytest.mark.parametrize(
    "module",
    [name for name in library.paths if top(name) not in PACKAGES | MAY_IMPORT_EVERYTHING | JOINS.keys() | SHOWS],
)
def test_the_base_imports_the_base(module):
    assert imported_tops(module) & (PACKAGES | SHOWS | MAY_IMPORT_EVERYTHING) == set()


@pytest.mark.parametrize("module", [name for name in library.paths if top(name) in JOINS])
def test_what_joins_packages_joins_those_it_names_and_shows_nothing(module):
    assert imported_tops(module) & (PACKAGES | SHOWS | MAY_IMPORT_EVERYTHING) <= JOINS[top(module)]


@pytest.mark.parametrize("module", [name for name in library.paths if top(name) in SHOWS])
def test_what_shows_results_imports_no_tool_that_builds_the_book(module):
    assert imported_tops(module) & MAY_IMPORT_EVERYTHING == set()


def test_plots_compute_nothing_and_so_import_no_package():
    plots = [name for name in library.paths if top(name) == "plots"]
    assert {found for name in plots for found in imported_tops(name)} & (PACKAGES | {"chapter"}) == set()


def test_the_data_tools_start_without_torch_jupyter_or_a_plot():
    light = [
        name
        for name in library.paths
        if top(name) not in ("book", "plots", "embed", "train", "compute", "__main__", "evaluate", "ablations", "synth")
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {sorted(light)!r}: importlib.import_module(name)\n"
        "heavy = ('torch', 'transformers', 'IPython', 'matplotlib', 'papermill', 'sklearn')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"
