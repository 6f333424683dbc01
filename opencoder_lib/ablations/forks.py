"""Forks of known truth: copies of files, of whole repositories and of passages, different in comments only.

An index of packages holds each project once, so what deduplication is for does not occur in it. Here copies are made:
few files have many and most have none, as on GitHub, and what a copy changes is a comment, so that a model which reads
copies loses nothing but the distinct text it could have read instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.random import Generator

from opencoder_lib import seeds
from opencoder_lib.corpora.generated import Words
from opencoder_lib.errors import ConfigError
from opencoder_lib.files import SCHEMA, new_files, remaining
from opencoder_lib.refine.levels import CHUNK, FILE, REPO

EXACT, REMARK, HEADER = "exact", "remark", "header"
# What a fork knows of itself: the level at which it was made (null for originals), what its comments say beyond those
# of the original, whose text it is, and whose repository (that of another only where all of it was copied).
EXTRA = {"level": pl.String, "edit": pl.String, "family": pl.String, "repo_family": pl.String}
FIRST_YEAR, YEARS = 2009, 15


@dataclass(frozen=True)
class Forks:
    """How much is copied, in bytes over those of the originals, and how unevenly.

    file: single files, into repositories of other copied files, `files_per_repo` each, which no other repository is
    like. repository: whole repositories. chunk: pairs of files pasted into one, which no other file is like. skew: the
    exponent of Zipf's law by which originals are drawn; 0 draws evenly. frac_remark, frac_header: shares of copies with
    a comment of one line at the end, and with a licence header; the others are equal to the last byte.
    """

    file: float = 2.2
    repository: float = 1.0
    chunk: float = 0.1
    skew: float = 1.0
    frac_remark: float = 0.1
    frac_header: float = 0.1
    files_per_repo: int = 8

    def __post_init__(self):
        for name in ("file", "repository", "chunk", "skew", "frac_remark", "frac_header"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}={getattr(self, name)} must not be negative.")
        if self.frac_remark + self.frac_header > 1:
            raise ConfigError(
                f"frac_remark={self.frac_remark} and frac_header={self.frac_header} are shares of all copies and add "
                "up to more than 1."
            )
        if self.files_per_repo < 1:
            raise ConfigError(f"files_per_repo={self.files_per_repo} must be at least 1.")

    def edit(self, rng: Generator) -> str:
        """What one copy changes, drawn by the shares."""
        others = 1 - self.frac_remark - self.frac_header
        return str(rng.choice([REMARK, HEADER, EXACT], p=[self.frac_remark, self.frac_header, others]))


def make_forks(files: pl.DataFrame, seed: int, forks: Forks | None = None) -> pl.DataFrame:
    """The Python files still in and their forks: a file frame with the columns of EXTRA.

    Copies have the origin `planted` and no stars, originals at least 0, so that of a family the original is the one to
    stay. The same files and seed give the same forks. Raises ConfigError when a file is of no repository.
    """
    forks = forks or Forks()
    here = remaining(files).sort("doc_id")
    if here.is_empty() or here["repo"].null_count():
        raise ConfigError(f"Forks are made of files with a repository; {here['repo'].null_count()} have none.")
    unchanged = {"level": pl.lit(None, pl.String), "edit": pl.lit(None, pl.String)}
    originals = here.with_columns(
        pl.col("stars").fill_null(0), **unchanged, family=pl.col("doc_id"), repo_family=pl.col("repo")
    )
    rows = [*_file_forks(here, seed, forks), *_repository_forks(here, seed, forks), *_bundles(here, seed, forks)]
    columns = ("repo", "path", "text", "license", "language", "category", *EXTRA)
    schema = {name: SCHEMA.get(name) or EXTRA[name] for name in columns}
    copies = new_files(pl.DataFrame(rows, schema=schema).with_columns(origin=pl.lit("planted")))
    return pl.concat([originals, copies], how="diagonal")


def edited(text: str, edit: str, name: str, rng: Generator) -> str:
    """The Python text with what a fork called `name` adds to it: a remark, a header, or nothing.

    Only comments are added: a remark behind the last line, a header before the first one that is not itself a
    directive to the interpreter, so the program stays the same.
    """
    if edit == EXACT:
        return text
    if edit == REMARK:
        end = "" if text.endswith("\n") else "\n"
        return f"{text}{end}# Kept by {name}.\n"
    lines = text.splitlines(keepends=True)
    # An interpreter line and a declaration of the encoding count in the first two lines only.
    at = 0
    while at < min(2, len(lines)) and lines[at].startswith("#") and ("!" in lines[at][:2] or "coding" in lines[at]):
        at += 1
    year = FIRST_YEAR + int(rng.integers(YEARS))
    header = f"# Copyright (c) {year} the authors of {name}\n# SPDX-License-Identifier: MIT\n"
    return "".join(lines[:at]) + header + "".join(lines[at:])


def _draw(n_bytes: np.ndarray, times: float, skew: float, rng: Generator) -> list[int]:
    """Places drawn by Zipf's law, in an order of ranks of its own, until they weigh `times` of all."""
    weights = (1.0 + rng.permutation(len(n_bytes))) ** -skew
    drawn = np.empty(0, np.int64)
    wanted = times * n_bytes.sum()
    while n_bytes[drawn].sum() < wanted:
        drawn = np.append(drawn, rng.choice(len(n_bytes), len(n_bytes), p=weights / weights.sum()))
    return drawn[: np.searchsorted(n_bytes[drawn].cumsum(), wanted, side="left") + 1].tolist() if times else []


def _lengths(files: pl.DataFrame) -> np.ndarray:
    return files["text"].str.len_bytes().cast(pl.Int64).to_numpy()


def _name(number: int, rng: Generator) -> str:
    # The number keeps two forks apart that drew the same words.
    return f"{Words(rng).snake()}_{number}"


def _copy(row: dict, repo: str, path: str, **known: str) -> dict:
    return {name: row[name] for name in ("text", "license", "language", "category")} | {
        "repo": repo,
        "path": path,
        "repo_family": repo,
        **known,
    }


def _file_forks(here: pl.DataFrame, seed: int, forks: Forks) -> Iterator[dict]:
    rng = seeds.rng(seed, "forks", FILE)
    rows, name = here.to_dicts(), ""
    for number, place in enumerate(_draw(_lengths(here), forks.file, forks.skew, rng)):
        if number % forks.files_per_repo == 0:
            name = _name(number, rng)
        row, edit = rows[place], forks.edit(rng)
        text = edited(row["text"], edit, name, rng)
        path = f"{number:05d}/{row['path']}"
        yield _copy(row, name, path, level=FILE, edit=edit, family=row["doc_id"]) | {"text": text}


def _repository_forks(here: pl.DataFrame, seed: int, forks: Forks) -> Iterator[dict]:
    rng = seeds.rng(seed, "forks", REPO)
    repos = here.partition_by("repo", maintain_order=True)
    n_bytes = np.array([int(_lengths(repo).sum()) for repo in repos])
    for number, place in enumerate(_draw(n_bytes, forks.repository, forks.skew, rng)):
        # Who forks a repository treats its files alike.
        name, edit = f"{repos[place]['repo'][0]}-{_name(number, rng)}", forks.edit(rng)
        for row in repos[place].iter_rows(named=True):
            text = edited(row["text"], edit, name, rng)
            known = {"level": REPO, "edit": edit, "family": row["doc_id"]}
            yield _copy(row, name, row["path"], **known) | {"text": text, "repo_family": row["repo"]}


def _bundles(here: pl.DataFrame, seed: int, forks: Forks) -> Iterator[dict]:
    rng = seeds.rng(seed, "forks", CHUNK)
    rows, places = here.to_dicts(), _draw(_lengths(here), forks.chunk, forks.skew, rng)
    name = _name(0, rng)
    for number, (one, other) in enumerate(zip(places[::2], places[1::2], strict=False)):
        if number % forks.files_per_repo == 0:
            name = _name(number, rng)
        first, second = rows[one], rows[other]
        family = f"{first['doc_id']}+{second['doc_id']}"
        known = {"level": CHUNK, "edit": EXACT, "family": family}
        text = f"{first['text'].rstrip()}\n\n\n{second['text']}"
        yield _copy(first, f"{name}_bundles", f"{number:05d}.py", **known) | {"text": text}


def judge(after: pl.DataFrame, kind: str = "family") -> pl.DataFrame:
    """What became of the copies: one row a level at which they were made and an edit.

    after: forks of `make_forks` behind a deduplication. kind: `family`, or `repo_family` where repositories were
    compared. Columns: level, edit, copies, found (removed), frac_found, wrong (removed in favour of a file that is no
    copy of the same original).
    """
    gone = _with_survivor(after, kind)
    found = pl.col("removed_by").is_not_null()
    counted = gone.filter(pl.col("level").is_not_null()).group_by("level", "edit")
    table = counted.agg(copies=pl.len(), found=found.sum(), wrong=pl.col("wrong").sum())
    columns = ("level", "edit", "copies", "found", (pl.col("found") / pl.col("copies")).alias("frac_found"), "wrong")
    return table.select(*columns).sort("level", "edit")


def score_forks(after: pl.DataFrame, kind: str = "family") -> dict[str, float | int | None]:
    """Precision and recall of a deduplication against the planted copies of its own level.

    Copies that must go: of files or repositories where files were compared (`family`), of repositories where those were
    (`repo_family`). Returns planted, found, removed, precision (share of removed files whose survivor is of the same
    family, so an original removed for another file counts against it), recall.
    """
    gone = _with_survivor(after, kind)
    must_go = gone.filter(pl.col("level").is_in([FILE, REPO] if kind == "family" else [REPO]))
    removed = gone.filter(pl.col("removed_by").is_not_null())
    planted, found = must_go.height, must_go["removed_by"].count()
    return {
        "planted": planted,
        "found": found,
        "removed": removed.height,
        "precision": 1 - removed["wrong"].sum() / removed.height if removed.height else None,
        "recall": found / planted if planted else None,
    }


def _with_survivor(after: pl.DataFrame, kind: str) -> pl.DataFrame:
    """`after` with the column wrong: it was removed in favour of a file of another family."""
    survivors = after.select(survivor="doc_id", kept=kind)
    joined = after.join(survivors, on="survivor", how="left", maintain_order="left")
    return joined.with_columns(wrong=(pl.col("removed_by").is_not_null() & pl.col(kind).ne_missing(pl.col("kept"))))
