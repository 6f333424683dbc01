"""Files whose owners do not want them in a corpus: a list of repositories and paths, taken out before anything else.

One entry a line; `#` at its beginning or after a space begins a comment:

    owner/repository            all files of a repository (capitals do not count)
    owner/repository:path       one file of it, or a folder of it with all below
    :path                       that path in any repository

`*` stands for any characters. A file that stands for others must not have been taken out, so this comes first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from opencoder_lib.errors import InputError
from opencoder_lib.files import mark_removed, remaining

REASON = "preprocess.opt_out"


@dataclass(frozen=True)
class OptOut:
    """Entries as (repository or "", path or ""), in the order of the file."""

    entries: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def name(self, number: int) -> str:
        """The entry as it is written in the file."""
        repo, path = self.entries[number]
        return f"{repo}:{path}" if path else repo


def read_opt_out(path: str | Path) -> OptOut:
    """The list in the file at `path`. Raises InputError if it cannot be read or a line is no entry."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"The opt-out list {str(path)!r} cannot be read ({what}).") from None
    entries = []
    for number, line in enumerate(lines, 1):
        entry = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if not entry:
            continue
        repo, colon, inside = (piece.strip() for piece in entry.partition(":"))
        is_address = inside.startswith("//")
        repo, inside = repo.strip("/"), inside.strip("/")
        if is_address:
            raise InputError(f"Line {number} of {str(path)!r}, {entry!r}, is an address. Write 'owner/repository'.")
        if not (repo or inside) or (colon and not inside):
            raise InputError(
                f"Line {number} of {str(path)!r}, {entry!r}, names nothing. Write 'repository', 'repository:path' or "
                "':path'."
            )
        entries.append((repo, inside))
    return OptOut(tuple(entries))


def drop_opted_out(files: pl.DataFrame, opt_out: OptOut) -> tuple[pl.DataFrame, dict[int, int]]:
    """The files with those of the list removed, reason preprocess.opt_out; and how many each entry took, by number.

    A file that several entries name is counted for the first.
    """
    here = remaining(files).select("doc_id", "repo", "path")
    claimed = here.select("doc_id", entry=_first_entry(here, opt_out.entries)).drop_nulls("entry")
    counts = dict(claimed["entry"].value_counts().sort("entry").iter_rows())
    return mark_removed(files, claimed.select("doc_id", removed_by=pl.lit(REASON))), counts


def _first_entry(here: pl.DataFrame, entries: Sequence[tuple[str, str]]) -> pl.Series:
    """The number of the first entry that names each row, null where none does."""
    first = pl.Series([None], dtype=pl.Int64).new_from_index(0, here.height)
    whole = {}
    for number, (repo, path) in enumerate(entries):
        if not path and "*" not in repo:
            whole.setdefault(repo.lower(), number)
    if whole:
        # A list may hold a hundred thousand repositories; these are looked up, the others tried one by one.
        found = pl.col("repo").str.to_lowercase().replace_strict(whole, default=None, return_dtype=pl.Int64)
        first = here.select(found).to_series()
    for number, (repo, path) in enumerate(entries):
        if path or "*" in repo:
            held = here.select(_named(repo, path)).to_series()
            first = pl.select(
                pl.when(held & ((first > number) | first.is_null())).then(number).otherwise(first)
            ).to_series()
    return first


def _named(repo: str, path: str) -> pl.Expr:
    holds = pl.lit(True)
    if repo:
        holds &= pl.col("repo").str.to_lowercase().str.contains(f"^(?:{_pattern(repo.lower())})$").fill_null(False)
    if path:
        holds &= pl.col("path").str.contains(f"^(?:{_pattern(path)})(?:/|$)")
    return holds


def _pattern(text: str) -> str:
    return "(?s:.*)".join(pl.escape_regex(piece) for piece in text.split("*"))
