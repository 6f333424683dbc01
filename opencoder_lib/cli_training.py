"""The verbs of the command line that train models; cli.py registers them."""

from pathlib import Path
from typing import Annotated

import typer

from opencoder_lib.cli_options import Profile, limit_threads, names_in


def ablate(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="**dedup-level**, **annealing-data**, **github-stars** or **filtering**."),
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Paired seeds; each trains every arm once.")] = 4,
    arms: Annotated[
        str | None,
        typer.Option("--arms", metavar="NAMES", help="Only these, baseline and control always; all by default."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder for tables and runs; one below build/ by default."),
    ] = None,
    profile: Profile = "toy",
    workers: Annotated[int, typer.Option(min=1, help="Runs at the same time, one thread each.")] = 2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it costs and what it can see; train nothing.")
    ] = False,
) -> None:
    """Run an ablation: arms that differ in their data, for paired seeds.

    Prints what it costs and which differences that many seeds can see before it starts. Data are those that the
    chapters of the profile left (**opencoder run --only 06**). After an interruption the same command goes on; more
    seeds or arms add to what is there. DIR gets one CSV a table.
    """
    limit_threads()
    from opencoder_lib.ablations.command import ablate

    ablate(name, seeds, names_in(arms), out, profile, workers, dry_run)
