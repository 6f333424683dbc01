"""The verbs of the command line that train models; cli.py registers them."""

from pathlib import Path
from typing import Annotated

import typer

from opencoder_lib.cli_options import Profile, limit_threads, names_in


def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG", help="A TOML file, or **toy**, **base**, **opencoder-1.5b**, **opencoder-8b**."
        ),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting; may be repeated."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Take away an earlier run first; its tokens stay.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it does and what it takes; train nothing.")
    ] = False,
) -> None:
    """Train a model: tokenise a corpus, train, write a folder that transformers loads.

    The same command goes on from the newest whole checkpoint; Ctrl-C saves one first. On several devices:
    **torchrun --nproc-per-node 8 -m opencoder_lib train run.toml --set parallel.strategy=fsdp**. The end is in
    OUT/model, a line for every step in OUT/log.jsonl.
    """
    from opencoder_lib.train.job.command import train

    train(config, fresh, dry_run, changes or [])


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
    chapters of the profile left (**opencoder run --only 06**); the models are those of the study, on the processor,
    whatever the profile. After an interruption the same command goes on; more seeds or arms add to what is there, but
    in annealing-data, whose arms share a trunk, other arms train a seed again. DIR gets one CSV a table.
    """
    limit_threads()
    from opencoder_lib.ablations.command import ablate
    from opencoder_lib.chapter import check_profile

    check_profile(profile)

    ablate(name, seeds, names_in(arms), out, profile, workers, dry_run)
