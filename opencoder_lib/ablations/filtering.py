"""Filtered against unfiltered: what a model loses or gains when the files that the rules remove stay in.

All arms share a body of clean text; what fills the rest of the budget is more clean text, the removed files at their
natural share, or the same clean text again. The last is the control: without it, junk that does no harm by itself looks
harmful, because it takes the place of clean text.
"""

from collections.abc import Sequence

import polars as pl

from opencoder_lib.ablations.experiment import Design
from opencoder_lib.ablations.pools import KEPT, STUDY_STEPS, Corpus, budget, divide, draw, setting
from opencoder_lib.errors import InputError
from opencoder_lib.train.arms import Setting
from opencoder_lib.train.model import find_shape

REFINED, UNFILTERED, FEWER = "refined", "unfiltered", "fewer clean tokens"
CLEAN, JUNK = "clean share of unfiltered", "removed by a rule"
# How far paired differences scattered over the eight seeds of the study.
PAIRED_SD = 0.01


def frac_removed(corpus: Corpus) -> float:
    """The share of a language's bytes that the rules removed from the training repositories."""
    gone, left = int(corpus.removed["n_bytes"].sum()), int(corpus.kept["n_bytes"].sum())
    if not gone or not left:
        raise InputError(
            f"The rules removed {gone:,} of {gone + left:,} bytes of {corpus.language}; filtered and unfiltered differ "
            "only where they removed some and left some."
        )
    return gone / (gone + left)


def design(corpus: Corpus, how: Setting, seeds: Sequence[int]) -> Design:
    """Refined, unfiltered and the control, with equally many tokens; the pieces are drawn anew for each seed.

    refined reads kept files only. unfiltered reads removed files too, at the share of bytes they have in the corpus.
    fewer clean tokens reads the clean text of unfiltered and nothing else, part of it a second time. Raises InputError
    when the rules removed nothing.
    """
    share, sources = frac_removed(corpus), {name: {} for name in (REFINED, CLEAN, JUNK)}
    for seed in seeds:
        refined = _draw(corpus, corpus.kept, budget(how), seed)
        # A corpus smaller than the budget is read several times, and so are its parts.
        tokens = refined["tokens"].sum()
        clean = _draw(corpus, corpus.kept, (1 - share) * tokens, seed)
        junk = _draw(corpus, corpus.removed, share * tokens, seed)
        for name, drawn in zip(sources, (refined, clean, junk), strict=True):
            sources[name][seed] = drawn["text"].to_list()
    return Design(
        name="filtering",
        question="Do the files that the rules remove hurt a model that reads them?",
        setting=how,
        tokenizer=corpus.tokenizer,
        sources=sources,
        arms={REFINED: {REFINED: 1.0}, UNFILTERED: {CLEAN: 1 - share, JUNK: share}, FEWER: {CLEAN: 1.0}},
        baseline=REFINED,
        control=FEWER,
        held_out=corpus.held_out,
        metric=KEPT,
        paired_sd=PAIRED_SD,
        about={"frac_removed": share, "parts": corpus.table()},
    )


def order(corpus, seeds: Sequence[int]) -> Design:
    """What `opencoder ablate filtering` runs, on the Python files of the corpus as chapter 06 left it."""
    shape = find_shape("micro")
    return design(divide(corpus.after("06-sampling"), shape.vocab), setting(shape, STUDY_STEPS), seeds)


def _draw(corpus: Corpus, pool: pl.DataFrame, tokens: float, seed: int) -> pl.DataFrame:
    return draw(pool, round(tokens), corpus.tokenizer, f"draw {seed}")


def by_rule(files: pl.DataFrame, language: str = "python") -> pl.DataFrame:
    """What the rules removed from a language: rule, files, n_bytes and the share of what was removed, largest first."""
    gone = files.filter((pl.col("language") == language) & pl.col("removed_by").str.starts_with("filter."))
    gone = gone.filter(pl.col("origin") != "planted").with_columns(n_bytes=pl.col("text").str.len_bytes())
    counted = gone.group_by(rule=pl.col("removed_by").str.strip_prefix("filter.")).agg(
        files=pl.len(), n_bytes=pl.col("n_bytes").sum().cast(pl.Int64)
    )
    share = (pl.col("n_bytes") / pl.col("n_bytes").sum()).alias("frac_bytes_removed")
    return counted.with_columns(share).sort(["n_bytes", "rule"], descending=[True, False])
