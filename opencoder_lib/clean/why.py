"""`opencoder why DIR DOC_ID`: what happened to a file, and which file stands for it."""

from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from opencoder_lib.clean.parts import explained_if_damaged
from opencoder_lib.errors import InputError

ABOUT = ("doc_id", "path", "repo", "language", "n_bytes", "stars", "removed_by", "survivor", "measured")
MOST_STEPS = 20

console = Console(soft_wrap=True, highlight=False)


def explain(folder: Path, name: str) -> list[dict[str, Any]]:
    """The file called `name`, an id or a path, then each file that stands for the one before; the last one is kept.

    Each has the columns of ABOUT and `within`, the folder of the run that knows it. Raises InputError when the folder
    is no complete output or there is no such file, with ids that begin alike.
    """
    if not (folder / "report.json").is_file():
        raise InputError(f"{str(folder)!r} is not the output of a complete run of opencoder clean.")
    found = _find(folder, name)
    chain = [found | {"within": str(folder)}]
    # A survivor of one stage may have gone in a later one; its own survivor then stands for both.
    while chain[-1]["survivor"] and len(chain) < MOST_STEPS:
        last = chain[-1]
        within = last.get("survivor_in") or last["within"]
        chain.append(_find(Path(within), last["survivor"]) | {"within": within})
    return chain


def _find(folder: Path, name: str) -> dict[str, Any]:
    with explained_if_damaged(folder):
        return _found(folder, name)


def _found(folder: Path, name: str) -> dict[str, Any]:
    files = pl.scan_parquet([*folder.glob("kept/*.parquet"), *folder.glob("removed/*.parquet")], glob=False)
    wanted = [*ABOUT, *(["survivor_in"] if "survivor_in" in files.collect_schema() else [])]
    files = files.select(wanted)
    here = files.filter(pl.col("doc_id") == name).head(1).collect()
    if here.is_empty():
        here = files.filter(pl.col("path") == name).head(6).collect()
    if here.is_empty():
        here = files.filter(pl.col("doc_id").str.starts_with(name)).head(6).collect() if name else here
        if here.height != 1:
            some = f" Ids that begin so: {', '.join(here['doc_id'])}." if here.height else ""
            raise InputError(f"No file in {str(folder)!r} has the id or the path {name!r}.{some}")
    if here.height > 1:
        places = "; ".join(f"{row['doc_id']} in {row['repo'] or 'no repository'}" for row in here.iter_rows(named=True))
        raise InputError(f"{here.height} files or more have the path {name!r}. Give an id: {places}.")
    return here.row(0, named=True)


def changes(folder: Path, doc_id: str) -> list[dict[str, Any]]:
    """What transforms changed in a file: `transform`, `kind`, `n` and `bytes_cut`, one row a kind."""
    stored = folder / "transforms.parquet"
    if not stored.is_file():
        return []
    with explained_if_damaged(stored):
        found = pl.scan_parquet(stored, glob=False).filter(pl.col("doc_id") == doc_id).drop("doc_id").collect()
    return found.to_dicts()


def why(folder: Path, name: str) -> None:
    """Print what happened to a file of an output of `clean`."""
    chain = explain(folder, name)
    for number, file in enumerate(chain):
        console.print(_told(file, number), markup=False)
        for change in changes(Path(file["within"]), file["doc_id"]):
            console.print(
                f"{'  ' * number}Its text was changed: {change['n']:,} x {change['kind']} ({change['transform']}), "
                f"{change['bytes_cut']:,} bytes shorter.",
                markup=False,
            )
    last = chain[-1]["doc_id"]
    with explained_if_damaged(folder):
        stands_for = pl.scan_parquet(folder / "clusters.parquet", glob=False).filter(pl.col("survivor") == last)
        if "survivor_in" in stands_for.collect_schema():
            here = pl.lit(None) if chain[-1]["within"] == str(folder) else pl.lit(chain[-1]["within"])
            stands_for = stands_for.filter(pl.col("survivor_in").eq_missing(here))
        stages = stands_for.group_by("stage").len().sort("stage").collect()
    for stage, n in stages.iter_rows():
        console.print(
            f"{last} stands for {n:,} {'file' if n == 1 else 'files'} that went at the stage {stage}.", markup=False
        )


def _told(file: dict[str, Any], number: int) -> str:
    size = f"{file['n_bytes']:,} bytes" if file["n_bytes"] is not None else "size unknown"
    stars = f", {file['stars']:,} stars" if file["stars"] is not None else ""
    who = f"{file['doc_id']}  {file['repo'] or '(no repository)'}  {file['path']}  ({file['language']}, {size}{stars})"
    if file["removed_by"] is None:
        return f"{'  ' * number}{who}\n{'  ' * number}was kept, in {file['within']}."
    measured = f", measured {file['measured']:.4g}" if file["measured"] is not None else ""
    stands = "; kept instead:" if file["survivor"] else "."
    return f"{'  ' * number}{who}\n{'  ' * number}went by {file['removed_by']}{measured}{stands}"
