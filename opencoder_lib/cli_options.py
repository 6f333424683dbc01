"""What the verbs of the command line share: options with their help, and the number of threads."""

import os
from typing import Annotated

import typer

Profile = Annotated[
    str,
    typer.Option(
        "--profile",
        help="Set of parameters: **toy** (two cores), **study** (two cores, more seeds) or **gpu** (an accelerator).",
    ),
]
Only = Annotated[
    str | None, typer.Option("--only", metavar="CHAPTER", help="By number or name, e.g. **03** or **02,03**.")
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Chapters at the same time; the profile's number by default.")
]
Force = Annotated[bool, typer.Option("--force", help="Run even if nothing changed.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run and why; run nothing.")]
Parameter = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        help="Set a chapter's parameter, e.g. **-p seed=1** for all chapters that have it, **-p 03.bands=32** for one. "
        "May be repeated.",
    ),
]
InputsAndOut = Annotated[
    list[str],
    typer.Argument(metavar="IN... OUT.parquet", help="Inputs, and as the last argument the file to write."),
]
Processes = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Processes, one thread each; one per processor by default.")
]
TextColumn = Annotated[str, typer.Option("--text-column", metavar="NAME", help="Where tables keep the text.")]
PathColumn = Annotated[str, typer.Option("--path-column", metavar="NAME", help="Where tables keep the path.")]
IdColumn = Annotated[
    str,
    typer.Option("--id-column", metavar="NAME", help="Where tables keep ids; derived from repo and path if absent."),
]
RepoColumn = Annotated[str, typer.Option("--repo-column", metavar="NAME", help="Where tables keep the repository.")]
Budgets = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LANGUAGE=SIZE",
        help="Most bytes a language may keep, as **html=2GB**; repeatable; the paper's by default, **none** for none.",
    ),
]
Stars = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.csv|github", help="Stars: a table with the columns repo and stars, or GitHub's by GITHUB_TOKEN."
    ),
]


def names_in(listed: str | None) -> list[str]:
    """The names in 'a, b'."""
    return [name.strip() for name in (listed or "").split(",") if name.strip()]


def limit_threads() -> None:
    """Keep every process at one thread, so that --jobs is what is used."""
    # Before Polars and numba are imported; the processes of --jobs inherit it.
    for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
