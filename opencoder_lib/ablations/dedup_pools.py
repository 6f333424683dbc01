"""What the arms of the dedup-level ablation read: the split, what each level leaves of forks, and the controls."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import polars as pl

from opencoder_lib import MB, seeds
from opencoder_lib.ablations.forks import Forks, edited
from opencoder_lib.errors import ConfigError, SchemaError, did_you_mean
from opencoder_lib.files import in_hash_order, new_files, real, remaining
from opencoder_lib.refine.exact import drop_exact_duplicates
from opencoder_lib.refine.fuzzy import drop_near_duplicates
from opencoder_lib.refine.levels import CHUNK, FILE, REPO, REPO_CHUNK, drop_near_duplicate_repositories, make_chunks
from opencoder_lib.refine.minhash import MinHash
from opencoder_lib.refine.similarity import shingle_sets
from opencoder_lib.train.perplexity import hold_out_repositories

NONE, ORIGINALS = "no deduplication", "originals"
DISTINCT, REPEATED = "distinct files (control)", "fewer files, repeated (control)"
LEVELS = (FILE, REPO, CHUNK, REPO_CHUNK, NONE)


@dataclass(frozen=True)
class Recipe:
    """What is varied in an exercise and nowhere else.

    passes: how often the originals would be read if no fork were left, so that 1 is as much text as there are tokens
    to read. chunk_tokens: of `levels.make_chunks`; the paper's 4,096 find nothing in a corpus of this size. max_bytes,
    min_bytes: of a file, so that no single one is a large part of a pool. held_out_bytes: of each held-out repository.
    """

    passes: float = 1.0
    forks: Forks = field(default_factory=Forks)
    minhash: MinHash = field(default_factory=MinHash)
    chunk_tokens: int = 256
    min_bytes: int = 200
    max_bytes: int = 20_000
    frac_held_out: float = 0.3
    held_out_bytes: int = 6_000

    def __post_init__(self):
        if self.passes <= 0:
            raise ConfigError(f"passes={self.passes} must be above 0; 1 makes the pool as large as the token budget.")


# Which files may be learnt from, and which are scored


def project_of(repo: str) -> str:
    """What forks and companions of a project have in common: the leading letters of its name, without the owner."""
    name = repo.rsplit("/", 1)[-1].lower()
    return re.match("[a-z]*", name).group() or name


def split_projects(files: pl.DataFrame, seed: int, recipe: Recipe | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(seen, unseen): real Python files to learn from, each once, and files of other projects to score on.

    Projects are disjoint by `project_of`. Seen files went through exact and fuzzy deduplication, so that forks planted
    later are the only copies. An unseen file is left out when more than a fifth of its shingles occur in seen files;
    of each unseen repository there are files until they have `held_out_bytes`, none of them larger than that.
    """
    recipe = recipe or Recipe()
    python = remaining(real(files)).filter(pl.col("language") == "python", pl.col("repo").is_not_null())
    here = _as_read(python)
    here = here.filter(pl.col("n_bytes").is_between(recipe.min_bytes, recipe.max_bytes))
    projects = pl.Series([project_of(repo) for repo in here["repo"]], dtype=pl.String)
    sizes = here.group_by(projects.alias("project")).agg(pl.col("n_bytes").sum())
    away = hold_out_repositories(dict(sizes.iter_rows()), recipe.frac_held_out, seed)
    is_away = projects.is_in(away)
    seen = remaining(drop_near_duplicates(drop_exact_duplicates(here.filter(~is_away)), recipe.minhash))
    small = here.filter(is_away, pl.col("n_bytes") <= recipe.held_out_bytes)
    unseen = in_hash_order(_unlike(small, seen, recipe.minhash), f"held out {seed}")
    before = pl.col("n_bytes").cum_sum().over("repo") - pl.col("n_bytes")
    unseen = unseen.filter(before < recipe.held_out_bytes)
    if seen.is_empty() or unseen.is_empty():
        raise ConfigError(
            f"{files.height:,} files give {seen.height:,} to learn from and {unseen.height:,} to score on."
        )
    return seen, unseen


def _as_read(files: pl.DataFrame) -> pl.DataFrame:
    # n_bytes is the size as found; an experiment is about what is read.
    return files.with_columns(n_bytes=pl.col("text").str.len_bytes().cast(pl.Int64))


def _unlike(files: pl.DataFrame, others: pl.DataFrame, minhash: MinHash, most: float = 0.2) -> pl.DataFrame:
    """The files of whose distinct shingles at most this share occur anywhere in the others."""
    known = shingle_sets(others, minhash)["shingles"].explode().drop_nulls().unique()
    found = shingle_sets(files, minhash).explode("shingles")
    shares = found.group_by("doc_id").agg(frac_known=pl.col("shingles").is_in(known.implode()).mean())
    return files.join(shares.filter(pl.col("frac_known") <= most), on="doc_id", how="semi", maintain_order="left")


# What each level leaves


def deduplicate(forked: pl.DataFrame, level: str, recipe: Recipe, seed: int = 0) -> pl.DataFrame:
    """The documents after deduplication at `level`; those still in are what a model would read.

    Levels: FILE (exact, then fuzzy), REPO (files joined, as the paper does), CHUNK, REPO_CHUNK, NONE. At the
    level of chunks a document is a stretch of a file between two chunks that went.
    """
    if level == NONE:
        return forked
    if level == FILE:
        return drop_near_duplicates(drop_exact_duplicates(forked), recipe.minhash)
    if level == REPO:
        return drop_near_duplicate_repositories(forked, recipe.minhash, joined=True)
    if level == CHUNK:
        return drop_repeated_chunks(forked, recipe, seed)
    if level == REPO_CHUNK:
        return drop_repeated_chunks(deduplicate(forked, REPO, recipe), recipe, seed)
    raise ConfigError(f"There is no level {level!r}.{did_you_mean(level, LEVELS)}")


def drop_repeated_chunks(files: pl.DataFrame, recipe: Recipe, seed: int) -> pl.DataFrame:
    """The files still in without the chunks that near-duplicate another one: a frame of stretches of files.

    A model must not see where chunks were cut, only what went, so chunks that follow each other are read as one again,
    and the borders of files stay where they were.
    """
    chunks = drop_near_duplicates(make_chunks(files, recipe.chunk_tokens, seed), recipe.minhash)
    here = remaining(files).sort("doc_id")
    here = here[seeds.rng(seed, "chunks").permutation(here.height)]
    whole = "".join(chunks["text"])
    if whole != "".join(f"{text}\n" for text in here["text"]):
        raise SchemaError("The chunks are not the files in the order that make_chunks draws; borders would be lost.")
    ends = _ends(chunks["text"])
    gone = [span for span, reason in zip(pairwise([0, *ends]), chunks["removed_by"], strict=True) if reason]
    stays = np.ones(len(whole) + 1, bool)
    for start, stop in gone:
        stays[start:stop] = False
    rows = []
    for row, (start, stop) in zip(here.iter_rows(named=True), pairwise([0, *_ends(here["text"], 1)]), strict=True):
        edges = np.flatnonzero(np.diff(stays[start : stop - 1].astype(np.int8), prepend=0, append=0)) + start
        for number, (one, other) in enumerate(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)):
            if whole[one:other].strip():
                rows.append({"repo": row["repo"], "path": f"{row['path']}#{number}", "text": whole[one:other]})
    return new_files(pl.DataFrame(rows).with_columns(origin=pl.lit("synthetic"), language=pl.lit("python")))


def _ends(texts: pl.Series, more: int = 0) -> list[int]:
    return (texts.str.len_chars().cast(pl.Int64) + more).cum_sum().to_list()


# The controls


def replace_copies(left: pl.DataFrame, spare: pl.DataFrame, seed: int) -> pl.DataFrame:
    """As many bytes as `left` holds, with a file of `spare` in place of every copy and the comments the copy had.

    left: what a deduplication left of forks; the originals in it stay. spare: files that are no originals. Raises
    ConfigError when they do not suffice.
    """
    wanted = _num_bytes(left)
    originals, copies = left.filter(pl.col("level").is_null()), left.filter(pl.col("level").is_not_null())
    names, changes = copies["repo"].to_list(), copies["edit"].to_list()
    rng, have, rows = seeds.rng(seed, "distinct files"), _num_bytes(originals), []
    for row in in_hash_order(spare, f"distinct files {seed}").iter_rows(named=True):
        if have >= wanted:
            break
        # More small files than there are copies: their comments are used again.
        at = len(rows) % max(1, len(names))
        text = edited(row["text"], changes[at], names[at], rng) if names else row["text"]
        have += len(text.encode())
        rows.append({"doc_id": row["doc_id"], "text": text})
    if have < wanted:
        raise ConfigError(
            f"A control without copies needs {(wanted - _num_bytes(originals)) / MB:.2f} MB beside the originals; the "
            f"corpus has {_num_bytes(spare) / MB:.2f} MB. Take fewer steps, more passes or a larger corpus."
        )
    changed = pl.DataFrame(rows, schema={"doc_id": pl.String, "text": pl.String})
    others = spare.select(pl.exclude("text")).join(changed, on="doc_id")
    return pl.concat([originals, others], how="diagonal")


def take_fewer(files: pl.DataFrame, n_bytes: float, seed: int) -> pl.DataFrame:
    """Files, in the order of a hash, that weigh `n_bytes`."""
    ordered = in_hash_order(files, f"fewer files {seed}")
    before = ordered["text"].str.len_bytes().cast(pl.Int64).cum_sum().shift(1, fill_value=0)
    return ordered.filter(before < n_bytes)


def distinct_bytes_read(left: pl.DataFrame, n_bytes: float) -> float:
    """Bytes of distinct text that reading `n_bytes` of the documents at random is expected to show.

    A passage with k copies is missed by all with probability (1 - f)^k, where f is the share that is read.
    """
    share = min(1.0, n_bytes / _num_bytes(left))
    # A bundle shows text of other families, none of its own.
    singles = left.filter(pl.col("level").ne_missing(pl.lit(CHUNK)))
    families = singles.group_by("family").agg(size=pl.col("text").str.len_bytes().mean(), copies=pl.len())
    return float((families["size"] * (1 - (1 - share) ** families["copies"])).sum())


def _num_bytes(files: pl.DataFrame) -> int:
    return int(files["text"].str.len_bytes().sum())


# Pools


def draw_originals(seen: pl.DataFrame, n_bytes: float, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(originals, spare): files of `n_bytes` in the order of a hash, and the others. Raises ConfigError if too few."""
    ordered = in_hash_order(seen, f"originals {seed}")
    if _num_bytes(ordered) < n_bytes:
        raise ConfigError(
            f"The files to learn from have {_num_bytes(ordered) / MB:.2f} MB, the originals need {n_bytes / MB:.2f}. "
            "Take fewer steps, more passes or a larger corpus."
        )
    is_original = ordered["n_bytes"].cum_sum().shift(1, fill_value=0) < n_bytes
    return ordered.filter(is_original), ordered.filter(~is_original)


def pools(
    after: Mapping[str, pl.DataFrame], spare: pl.DataFrame, arms: Iterable[str], n_bytes: float, seed: int
) -> dict[str, pl.DataFrame]:
    """What each arm reads from: arm -> documents, all still in, in the order of a hash.

    after: level -> what `deduplicate` returned, FILE and REPO among them. spare: files that are no originals. n_bytes:
    about how many a run reads; how much distinct text the repository arm sees depends on it.
    """
    left = {level: remaining(files) for level, files in after.items()}
    originals = left[FILE].filter(pl.col("level").is_null())
    made = {}
    for arm in arms:
        if arm == ORIGINALS:
            made[arm] = originals
        elif arm == DISTINCT:
            made[arm] = replace_copies(left[REPO], spare, seed)
        elif arm == REPEATED:
            made[arm] = take_fewer(originals, distinct_bytes_read(left[REPO], n_bytes), seed)
        else:
            made[arm] = left[arm]
    return {arm: in_hash_order(documents, f"stream {seed}") for arm, documents in made.items()}
