"""Fuzzy deduplication at the level of files, repositories and chunks: what stays of one corpus under each.

The paper compares them in section 6.1 (table 9) and appendix B (table 13). It joins the files of a repository into one
string and compares those. Here a repository can also be compared by the union of its files' shingles: the element-wise
minimum of their signatures is exactly the signature of that union, so it costs no hashing, and it lacks only the
shingles that reach across a border of two files. A chunk is a fixed number of tokens of all files joined at random.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from opencoder_lib.errors import ConfigError, SchemaError
from opencoder_lib.files import SCHEMA, mark_removed, new_files, remaining
from opencoder_lib.paper import fact
from opencoder_lib.refine import fuzzy
from opencoder_lib.refine.clusters import KEEP, survivor_columns
from opencoder_lib.refine.exact import drop_exact_duplicates
from opencoder_lib.refine.minhash import MinHash, band_keys_of, signature_matrix, signatures, sketch
from opencoder_lib.refine.similarity import shingle_sets
from opencoder_lib.seeds import hash_share, rng
from opencoder_lib.shingles import JOINING_BYTES

REPOSITORY = "fuzzy.near_duplicate_repository"
CHUNK_TOKENS = 4096
FILE, REPO, UNION, CHUNK = "file", "repository", "repository (union)", "chunk"
FILE_CHUNK, REPO_CHUNK = f"{FILE} + {CHUNK}", f"{REPO} + {CHUNK}"
# What the paper's levels are called in paper.toml; the union is ours.
PAPER_NAMES = {
    FILE: "file",
    REPO: "repository",
    CHUNK: "chunk",
    FILE_CHUNK: "file_chunk",
    REPO_CHUNK: "repository_chunk",
}
_SPACE, _WORD, _OTHER, _CONTINUED = range(4)
_KIND = np.full(256, _OTHER, np.uint8)
_KIND[0x80:0xC0] = _CONTINUED
_KIND[list(JOINING_BYTES["word"])] = _WORD
_KIND[sorted(set(range(256)) - JOINING_BYTES["space"])] = _SPACE


# Repositories


def repository_signatures(files: pl.DataFrame, signed: pl.DataFrame, minhash: MinHash) -> pl.DataFrame:
    """`repo`, `num_shingles` and `signature` of each repository that has a file still in, sorted by name.

    signed: of `minhash.signatures`, for at least those files. The signature is that of the union of the files' sets of
    shingles; num_shingles is the sum over the files, so at least what the union has. Files without a repository are
    left out. Raises SchemaError when a file is not signed, or with another number of hash functions.
    """
    here = remaining(files).filter(pl.col("repo").is_not_null()).select("doc_id", "repo")
    about = here.join(signed, on="doc_id", how="inner").sort("repo", "doc_id")
    if about.height < here.height:
        raise SchemaError(f"The signatures lack {here.height - about.height:,} of {here.height:,} files.")
    counted = about.group_by("repo", maintain_order=True).agg(pl.len(), pl.col("num_shingles").sum())
    matrix = signature_matrix(about, minhash)
    starts = (counted["len"].cum_sum() - counted["len"]).cast(pl.Int64).to_numpy()
    smallest = np.minimum.reduceat(matrix, starts, axis=0) if len(starts) else matrix
    signature = pl.Series("signature", smallest, dtype=pl.Array(pl.UInt32, minhash.num_hashes))
    return counted.select("repo", "num_shingles").with_columns(signature)


def join_repositories(files: pl.DataFrame) -> pl.DataFrame:
    """`doc_id` (the repository's name) and `text`: its files still in, by path, with a line end between two."""
    here = remaining(files).filter(pl.col("repo").is_not_null()).sort("repo", "path", "doc_id")
    return here.group_by(doc_id="repo", maintain_order=True).agg(pl.col("text").str.join("\n"))


def drop_near_duplicate_repositories(
    files: pl.DataFrame,
    minhash: MinHash | None = None,
    signed: pl.DataFrame | None = None,
    joined: bool = False,
    keep: Sequence[str] = KEEP,
) -> pl.DataFrame:
    """Of each component of near-duplicate repositories one is left; every file of the others is removed.

    The repository with the largest `keep` value of any file stays, of equals the one with the smallest name. A file
    that goes names the smallest doc_id of the repository that stays as its survivor, and `measured` is the Jaccard
    similarity of the two repositories. joined: compare repositories by their files joined into one string, as the paper
    does, and not by the union of the files' shingles. signed: of `minhash.signatures` for these files, which the union
    then uses. Files without a repository stay. Raises ConfigError on unknown columns in `keep`.
    """
    minhash = minhash or MinHash()
    columns = survivor_columns(files, keep)
    here = remaining(files).filter(pl.col("repo").is_not_null())
    texts = join_repositories(here) if joined else None
    keys = _joined_keys(texts, minhash) if joined else _union_keys(here, signed, minhash)
    largest = [pl.col(name).max() for name in columns]
    about = here.group_by(doc_id="repo").agg(pl.col("doc_id").min().alias("first"), *largest)
    known = keys.join(about, on="doc_id", how="left")
    nothing_same = pl.DataFrame(schema=fuzzy.LINKS)
    shared = fuzzy.shared_bands(fuzzy.band_rows(known, nothing_same))
    alike = shared["doc_id"].unique().implode()
    found = fuzzy.candidates(shared, nothing_same)
    members = known.select("doc_id", *columns).join(found, on="doc_id", how="inner")
    if joined:
        sets = shingle_sets(texts.filter(pl.col("doc_id").is_in(alike)), minhash)
    else:
        sets = _union_sets(here.filter(pl.col("repo").is_in(alike)), minhash)
    gone = fuzzy.decide(members, shared, nothing_same, sets, minhash, keep)
    stays = about.select(repo_stays="doc_id", first="first")
    hits = gone.select(repo="doc_id", repo_stays="survivor", measured="measured").join(stays, on="repo_stays")
    hits = here.select("doc_id", "repo").join(hits, on="repo")
    return mark_removed(
        files, hits.select("doc_id", pl.lit(REPOSITORY).alias("removed_by"), "measured", survivor="first")
    )


def _union_keys(here: pl.DataFrame, signed: pl.DataFrame | None, minhash: MinHash) -> pl.DataFrame:
    merged = repository_signatures(here, signatures(here, minhash) if signed is None else signed, minhash)
    band_keys = band_keys_of(signature_matrix(merged, minhash), minhash)
    return _keys(merged["repo"], merged["num_shingles"].to_numpy(), band_keys, minhash)


def _joined_keys(texts: pl.DataFrame, minhash: MinHash) -> pl.DataFrame:
    made = sketch(texts["text"], minhash)
    return _keys(texts["doc_id"], made.num_shingles, made.band_keys, minhash)


def _keys(names: pl.Series, num_shingles: np.ndarray, band_keys: np.ndarray, minhash: MinHash) -> pl.DataFrame:
    keys = pl.Series("band_keys", band_keys, dtype=pl.Array(pl.UInt64, minhash.bands))
    return pl.DataFrame([names.alias("doc_id"), keys]).filter(pl.Series(num_shingles >= minhash.min_shingles))


def _union_sets(here: pl.DataFrame, minhash: MinHash) -> pl.DataFrame:
    """`doc_id` (the repository's name) and `shingles` of the union of its files' sets, ascending."""
    every = shingle_sets(here, minhash).with_columns(doc_id=here["repo"]).explode("shingles")
    return every.group_by("doc_id").agg(pl.col("shingles").drop_nulls().unique().sort())


# Chunks


def token_ends(data: np.ndarray) -> np.ndarray:
    """(T,) places just behind each token of a text given as the (C,) bytes of its UTF-8.

    A token here is a longest run of ASCII letters, digits and underscore, or any other single character that is not
    white space. White space belongs to the token after it, so that cutting at these places loses nothing.
    """
    kind = _KIND[data]
    following = np.append(kind[1:], np.uint8(_SPACE))
    goes_on = (kind == _WORD) & (following == _WORD) | (following == _CONTINUED)
    return np.flatnonzero((kind != _SPACE) & ~goes_on) + 1


def count_tokens(texts: Iterable[str]) -> pl.Series:
    """The number of tokens, as `token_ends` has them, of each text."""
    counts = [len(token_ends(np.frombuffer(text.encode(), np.uint8))) for text in texts]
    return pl.Series("num_tokens", counts, dtype=pl.Int64)


def make_chunks(files: pl.DataFrame, num_tokens: int = CHUNK_TOKENS, seed: int = 0) -> pl.DataFrame:
    """The files still in, joined in a random order and cut into pieces of `num_tokens` tokens: a file frame.

    A line end follows each file, where a training stream has its end-of-text token. The last chunk is what is left. The
    order depends on the ids and the seed alone. Extra column: num_tokens. Raises ConfigError below one token a chunk.
    """
    if num_tokens < 1:
        raise ConfigError(f"A chunk needs at least one token, num_tokens is {num_tokens}.")
    here = remaining(files).sort("doc_id")
    order = rng(seed, "chunks").permutation(here.height)
    pieces, rest = _cut(here["text"].gather(order), num_tokens)
    if rest.strip() or not pieces:
        pieces.append(rest)
    else:
        pieces[-1] += rest
    texts = [piece.decode() for piece in pieces if piece]
    counts = [num_tokens] * (len(texts) - 1) + count_tokens(texts[-1:]).to_list()
    frame = pl.DataFrame(
        {"path": [f"{at:09d}" for at in range(len(texts))], "text": texts, "num_tokens": counts},
        schema={"path": pl.String, "text": pl.String, "num_tokens": pl.Int64},
    )
    return new_files(frame.with_columns(repo=pl.lit(f"chunks of {num_tokens} tokens"), origin=pl.lit("synthetic")))


def _cut(texts: Iterable[str], num_tokens: int) -> tuple[list[bytes], bytes]:
    """(pieces of so many tokens each, the rest) of the texts with a line end behind each; joined they are just that."""
    pieces, waiting, have = [], [], 0
    for text in texts:
        data = text.encode() + b"\n"
        ends = token_ends(np.frombuffer(data, np.uint8))
        start = 0
        for end in ends[num_tokens - have - 1 :: num_tokens].tolist():
            pieces.append(b"".join([*waiting, data[start:end]]))
            waiting, start = [], end
        waiting.append(data[start:])
        have = (have + len(ends)) % num_tokens
    return pieces, b"".join(waiting)


# The comparison


def compare_levels(
    files: pl.DataFrame, minhash: MinHash | None = None, num_tokens: int = CHUNK_TOKENS, seed: int = 0
) -> pl.DataFrame:
    """What stays of the files still in under each level: one row a level.

    Columns: level, total_rows (files, repositories or chunks before anything was removed), retained_rows, frac_rows,
    retained_tokens, frac_tokens. Tokens are those of `token_ends`. files: before exact deduplication, with which the
    level of files begins. `repository` joins the files of each into one string, as the paper does; `+ chunk` cuts what
    that level has left. Files without a repository stay where repositories are compared.
    """
    minhash = minhash or MinHash()
    here = remaining(files)
    here = here.with_columns(count_tokens(here["text"]))
    signed = signatures(here, minhash)
    kept = {
        FILE: remaining(fuzzy.drop_near_duplicates(drop_exact_duplicates(here), minhash, signed)),
        REPO: remaining(drop_near_duplicate_repositories(here, minhash, joined=True)),
        UNION: remaining(drop_near_duplicate_repositories(here, minhash, signed)),
    }
    total = {FILE: here.height} | dict.fromkeys((REPO, UNION), _num_repositories(here))
    left = {FILE: kept[FILE].height} | {level: _num_repositories(kept[level]) for level in (REPO, UNION)}
    for level, uncut in ((CHUNK, here), (FILE_CHUNK, kept[FILE]), (REPO_CHUNK, kept[REPO])):
        chunks = make_chunks(uncut, num_tokens, seed)
        kept[level] = remaining(fuzzy.drop_near_duplicates(chunks, minhash))
        # Like table 13, which counts the chunks of the uncleaned corpus in every row.
        total[level] = chunks.height if level == CHUNK else total[CHUNK]
        left[level] = kept[level].height
    rows = [(level, total[level], left[level], int(kept[level]["num_tokens"].sum())) for level in kept]
    counted = pl.DataFrame(rows, schema=["level", "total_rows", "retained_rows", "retained_tokens"], orient="row")
    return counted.select(
        "level",
        "total_rows",
        "retained_rows",
        (pl.col("retained_rows") / pl.col("total_rows")).alias("frac_rows"),
        "retained_tokens",
        frac_tokens=pl.col("retained_tokens") / max(1, int(here["num_tokens"].sum())),
    )


def _num_repositories(files: pl.DataFrame) -> int:
    return files["repo"].drop_nulls().n_unique()


def with_reported(compared: pl.DataFrame) -> pl.DataFrame:
    """`compare_levels` beside the paper: `frac_rows_in_paper` and `frac_tokens_in_paper`, null where it has no row.

    Both are shares of what the paper started from, computed from its printed counts.
    """
    raw = fact("dedup_level.raw_tokens").value
    rows, tokens = {}, {}
    for level, name in PAPER_NAMES.items():
        retained, total = (fact(f"dedup_level.{name}_{what}").value for what in ("rows", "total"))
        rows[level] = retained / total
        tokens[level] = fact(f"dedup_level.{name}_tokens").value / raw
    return compared.with_columns(
        pl.col("level").replace_strict(found, default=None, return_dtype=pl.Float64).alias(f"frac_{name}_in_paper")
        for name, found in (("rows", rows), ("tokens", tokens))
    )


def rank_levels(tokens: Mapping[str, float]) -> str:
    """The paper's levels in words, fewest tokens first: 'file < repository = chunk'."""
    ranked = sorted((level for level in PAPER_NAMES if level in tokens), key=lambda level: tokens[level])
    signs = [
        "" if not at else " = " if tokens[level] == tokens[ranked[at - 1]] else " < " for at, level in enumerate(ranked)
    ]
    return "".join(sign + level for sign, level in zip(signs, ranked, strict=True))


# Forks, which an index of packages does not have


def add_forks(files: pl.DataFrame, frac_missing: float, seed: int = 0) -> pl.DataFrame:
    """The files still in, and of each repository a fork: an unstarred copy that lacks this share of its files.

    Which files are missing depends on their ids and the seed; what a small share lacks a larger one lacks too. Forks
    are named after their repository and have the origin `planted`. Files without a repository are not copied.
    """
    here = remaining(files)
    share = pl.Series([hash_share(f"fork {seed}", name) for name in here["doc_id"]], dtype=pl.Float64)
    copied = here.filter(share >= frac_missing, pl.col("repo").is_not_null()).with_columns(
        repo=pl.format("{} (fork)", "repo"),
        origin=pl.lit("planted", dtype=SCHEMA["origin"]),
        doc_id=pl.lit(None, dtype=pl.String),
        stars=pl.lit(None, dtype=SCHEMA["stars"]),
    )
    return pl.concat([here, new_files(copied)], how="diagonal")


def compare_levels_on_forks(
    files: pl.DataFrame,
    missing: Sequence[float],
    minhash: MinHash | None = None,
    num_tokens: int = CHUNK_TOKENS,
    seed: int = 0,
) -> pl.DataFrame:
    """What each level makes of forks that lack a share of their files: rows of `compare_levels`, `frac_missing` first.

    Extra column: times_tokens, retained tokens over those of the files without forks: 1 where every fork has gone, and
    nothing else.
    """
    tokens = int(count_tokens(remaining(files)["text"]).sum())
    compared = [
        compare_levels(add_forks(files, share, seed), minhash, num_tokens, seed).select(
            pl.lit(share, dtype=pl.Float64).alias("frac_missing"),
            pl.all(),
            times_tokens=pl.col("retained_tokens") / tokens,
        )
        for share in missing
    ]
    return pl.concat(compared)
