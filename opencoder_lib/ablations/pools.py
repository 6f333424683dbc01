"""What two experiments on choosing files share: repositories held out, files in pieces, and draws from a pool of them.

A pool is all text that an arm may read; what it does read is drawn from it, as many tokens in every arm. Draws follow
the hash of a piece's id, so that two arms of one seed draw the same pieces wherever their pools have them in common.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl
from tokenizers import Tokenizer

from opencoder_lib.ablations.experiment import Design
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.files import real, stage_of
from opencoder_lib.seeds import hash_share
from opencoder_lib.train.arms import Setting
from opencoder_lib.train.model import Shape
from opencoder_lib.train.tokenizer import encode, train_tokenizer

# Small, so that a budget of a few hundred thousand tokens holds pieces of hundreds of files and not of a dozen.
PIECE_CHARS = 4_096
# Held out are shorter pieces, so that the few bytes of a repository come from several of its files.
UNSEEN_CHARS = 2_048
# Of each held-out repository, so that no large project decides a score alone.
UNIT_BYTES = 3_000
TOKENIZER_BYTES = 4_000_000
# Lines shorter than this are alike everywhere: imports, returns, closing brackets.
LONG_LINE = 30
# A repository with more of its long lines elsewhere is a fork or carries code of another project.
MOST_SHARED = 0.1
# Long enough for the smallest pools of our own corpus to be read more than once, so that their control has a part.
STUDY_STEPS = 320
KEPT, REMOVED = "kept files", "removed files"


@dataclass(frozen=True)
class Corpus:
    """A corpus ready for experiments: pieces to train on and pieces held out, with no repository in common.

    Frames of pieces: piece_id, doc_id, repo, text, n_bytes. kept: of files that the rules let through, removed: of
    those that the rules of `filter` took out. tokenizer: trained on kept pieces, the same for every arm.
    """

    language: str
    kept: pl.DataFrame
    removed: pl.DataFrame
    held_out_kept: pl.DataFrame
    held_out_removed: pl.DataFrame
    tokenizer: Tokenizer

    @property
    def held_out(self) -> dict[str, tuple[list[str], list[str]]]:
        """Texts and repositories of each held-out set, as `train.arms.prepare` takes them; empty sets are left out."""
        sets = {KEPT: self.held_out_kept, REMOVED: self.held_out_removed}
        return {name: (part["text"].to_list(), part["repo"].to_list()) for name, part in sets.items() if part.height}

    def table(self) -> pl.DataFrame:
        """Repositories, files and bytes of each part."""
        parts = {
            "training, kept": self.kept,
            "training, removed by a rule": self.removed,
            "held out, kept": self.held_out_kept,
            "held out, removed by a rule": self.held_out_removed,
        }
        rows = [
            (name, part["repo"].n_unique(), part["doc_id"].n_unique(), int(part["n_bytes"].sum()))
            for name, part in parts.items()
        ]
        return pl.DataFrame(rows, schema=["part", "repositories", "files", "n_bytes"], orient="row")


def divide(
    files: pl.DataFrame, vocab: int, *, language: str = "python", num_held_out: int = 20, seed: int = 0
) -> Corpus:
    """The real files of a language after deduplication and transform, divided by repository; a tokenizer of `vocab`.

    Held out are `num_held_out` repositories, drawn by hash of the name from those that have UNIT_BYTES of kept text and
    at most MOST_SHARED of their long lines in any other repository: a fork would turn the score into one of memory.
    Removed files are copies of each other more often, so of them each held-out piece has to pass the same test.
    Raises InputError when the corpus has too few of them.
    """
    of_language = real(files).filter((pl.col("language") == language) & pl.col("repo").is_not_null())
    stage = stage_of().fill_null("")
    parts = [of_language.filter(stage == name) for name in ("", "filter")]
    candidates, num_repos = _candidates(parts[0]), parts[0]["repo"].n_unique()
    if num_held_out < 2 or len(candidates) < num_held_out or num_repos < 2 * num_held_out:
        raise InputError(
            f"{num_held_out} repositories of {language} cannot be held out: the corpus has {num_repos}, of which "
            f"{len(candidates)} have {UNIT_BYTES:,} bytes and are no fork of another. At least 2 must be held out, and "
            "as many again be left. Take a larger corpus or hold out fewer."
        )
    chosen = sorted(candidates, key=lambda name: (hash_share(f"held-out {seed}", name), name))[:num_held_out]
    unseen = pl.col("repo").is_in(chosen)
    held_out = [_of_each(pieces(part.filter(unseen), UNSEEN_CHARS), seed) for part in parts]
    # Two small files may have become equal when their headers went.
    known = pl.concat(held_out).select("text").unique()
    training = [
        pieces(part.filter(~unseen)).join(known, on="text", how="anti", maintain_order="left") for part in parts
    ]
    held_out[1] = _unlike(held_out[1], pl.concat(training))
    texts = first_bytes(training[0], TOKENIZER_BYTES, f"tokenizer {seed}")["text"].to_list()
    return Corpus(language, *training, *held_out, train_tokenizer(texts, vocab))


def pieces(files: pl.DataFrame, most_chars: int = PIECE_CHARS) -> pl.DataFrame:
    """Every file in stretches of at most `most_chars` characters: piece_id, doc_id, repo, text, n_bytes.

    A stretch ends with a line where it can. Put together again they are the file; those of white space alone are left
    out.
    """
    rows = [
        (f"{doc_id}-{number}", doc_id, repo, text)
        for doc_id, repo, whole in files.select("doc_id", "repo", "text").iter_rows()
        for number, text in enumerate(_stretches(whole, most_chars))
        if not text.isspace()
    ]
    columns = ("piece_id", "doc_id", "repo", "text")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    return frame.with_columns(n_bytes=pl.col("text").str.len_bytes().cast(pl.Int64))


def _stretches(text: str, most_chars: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        stop = start + most_chars
        if stop < len(text):
            # Behind the last line end within reach; a longer line is cut where it is.
            stop = text.rfind("\n", start, stop) + 1 or stop
        yield text[start:stop]
        start = stop


def draw(pool: pl.DataFrame, num_tokens: int, tokenizer: Tokenizer, key: str) -> pl.DataFrame:
    """The first pieces of a pool, in the order of a hash of (key, piece_id), that hold `num_tokens` tokens or more.

    With their number of `tokens`; the whole pool when it holds fewer.
    """
    parts, found = [], 0
    for some in _in_hash_order(pool, key).iter_slices(256):
        # One more for the end token that the packer writes.
        tokens = [len(ids) + 1 for ids in encode(some["text"].to_list(), tokenizer)]
        parts.append(some.with_columns(tokens=pl.Series(tokens, dtype=pl.Int64)))
        found += sum(tokens)
        if found >= num_tokens:
            break
    drawn = pl.concat(parts)
    return drawn.filter(pl.col("tokens").cum_sum().shift(1, fill_value=0) < num_tokens)


def first_bytes(pool: pl.DataFrame, n_bytes: int, key: str) -> pl.DataFrame:
    """The first pieces of a pool, in the order of a hash of (key, piece_id), that have `n_bytes` together, or all."""
    return _in_hash_order(pool, key).filter(pl.col("n_bytes").cum_sum() - pl.col("n_bytes") < n_bytes)


def joined(first: Design, second: Design) -> Design:
    """Both experiments as one grid, with the name, the question and the control of the first; the baseline is trained
    once. Raises ConfigError unless they agree in everything else."""
    for what in ("setting", "baseline", "metric", "held_out"):
        if getattr(first, what) != getattr(second, what):
            raise ConfigError(f"{first.name} and {second.name} differ in {what}, so they are no one experiment.")
    for name in first.sources.keys() & second.sources.keys():
        if first.sources[name] != second.sources[name]:
            raise ConfigError(f"{first.name} and {second.name} have different texts called {name!r}.")
    return replace(
        first,
        sources={**first.sources, **second.sources},
        arms={**first.arms, **second.arms},
        about={**first.about, **second.about},
    )


def setting(shape: Shape, num_steps: int = 220, **given) -> Setting:
    """How each run is trained: four looks at the held-out texts on the way; other settings as given."""
    return Setting(shape, num_steps, evaluate_every=max(1, num_steps // 4), **given)


def budget(how: Setting) -> int:
    """Tokens that a source must hold so that a run reads none of it twice: the run's, and one window to spare."""
    return how.tokens + how.shape.context + 1


def shared_lines(texts: pl.DataFrame) -> pl.DataFrame:
    """Per repository with long lines, `frac_shared`: the share of them, each counted once, that another one has too."""
    lines = _long_lines(texts, "repo")
    known = lines.group_by("line").agg(repositories=pl.len())
    counted = lines.join(known, on="line").group_by("repo").agg(frac_shared=(pl.col("repositories") > 1).mean())
    return counted.sort("repo")


def _unlike(some: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """The pieces of which at most MOST_SHARED of the long lines are in `others` too."""
    known = _long_lines(others, "repo").select("line").unique()
    lines = _long_lines(some, "piece_id")
    shared = lines.join(known.with_columns(known=pl.lit(True)), on="line", how="left").group_by("piece_id")
    copies = shared.agg(frac=pl.col("known").fill_null(False).mean()).filter(pl.col("frac") > MOST_SHARED)
    return some.join(copies, on="piece_id", how="anti", maintain_order="left")


def _long_lines(texts: pl.DataFrame, of: str) -> pl.DataFrame:
    """`of` and `line`: the different long lines of each."""
    lines = texts.select(of, pl.col("text").str.split("\n").alias("line")).explode("line")
    lines = lines.with_columns(pl.col("line").str.strip_chars())
    return lines.filter(pl.col("line").str.len_bytes() >= LONG_LINE).unique()


def _candidates(kept: pl.DataFrame) -> list[str]:
    n_bytes = pl.col("text").str.len_bytes().sum()
    enough = kept.group_by("repo").agg(n_bytes).filter(pl.col("text") >= UNIT_BYTES)
    forks = shared_lines(kept).filter(pl.col("frac_shared") > MOST_SHARED)
    return sorted(enough.join(forks, on="repo", how="anti")["repo"])


def _of_each(part: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Of each repository the first pieces by hash that have UNIT_BYTES together, or all."""
    before = pl.col("n_bytes").cum_sum().over("repo") - pl.col("n_bytes")
    return _in_hash_order(part, f"unit {seed}").filter(before < UNIT_BYTES).sort("repo", maintain_order=True)


def _in_hash_order(pool: pl.DataFrame, key: str) -> pl.DataFrame:
    place = pl.Series([hash_share(key, name) for name in pool["piece_id"]], dtype=pl.Float64)
    return pool.with_columns(_place=place).sort("_place", "piece_id").drop("_place")
