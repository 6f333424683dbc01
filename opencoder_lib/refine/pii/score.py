"""How right the rules are on our hand-labelled lines (labelled.toml): precision and recall by kind."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from opencoder_lib.files import new_files
from opencoder_lib.refine.pii.redact import find_personal_data
from opencoder_lib.refine.pii.rules import PiiRules, unjointed

LABELLED = Path(__file__).with_name("labelled.toml")
_MARK = re.compile(r"⟦(\w+)\|(.*?)⟧", re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """A piece of code, what it is about, and what is to be redacted: (start, end, kind) in bytes."""

    about: str
    path: str
    text: str
    wanted: tuple[tuple[int, int, str], ...]


def labelled_snippets() -> Iterator[Snippet]:
    """The hand-labelled snippets, without their marks."""
    for group in tomllib.loads(LABELLED.read_text(encoding="utf-8"))["group"]:
        for marked in group["snippets"]:
            yield _snippet(group["about"], group["path"], unjointed(marked))


def labelled_score(rules: PiiRules | None = None) -> pl.DataFrame:
    """One row a kind and a last one `all`: what was labelled and found in the labelled snippets.

    Columns: kind, labelled, found, right (the same bytes, the same kind), other_kind (the same bytes), missed,
    false_alarms, precision and recall (of the same bytes, whatever the kind; null where there is nothing to share).
    """
    compared = _compared(rules)
    count = [
        pl.col("wanted").is_not_null().sum().alias("labelled"),
        pl.col("found").is_not_null().sum().alias("found"),
        (pl.col("wanted") == pl.col("found")).sum().alias("right"),
        (pl.col("wanted") != pl.col("found")).sum().alias("other_kind"),
        pl.col("found").is_null().sum().alias("missed"),
        pl.col("wanted").is_null().sum().alias("false_alarms"),
    ]
    rows = compared.group_by(kind=pl.coalesce("wanted", "found")).agg(count).sort("kind")
    both = pl.concat([rows, compared.select(pl.lit("all").alias("kind"), *count)])
    hit = pl.col("labelled") - pl.col("missed")
    share = [(hit / (hit + pl.col("false_alarms"))).alias("precision"), (hit / pl.col("labelled")).alias("recall")]
    return both.with_columns(pl.col(pl.UInt32).cast(pl.Int64)).with_columns(share).fill_nan(None)


def labelled_mistakes(rules: PiiRules | None = None) -> pl.DataFrame:
    """The labelled finds that were missed and the false alarms: about, text, wanted, found (kinds or null)."""
    return _compared(rules).filter(~pl.col("wanted").eq_missing(pl.col("found"))).drop("start", "end")


def _snippet(about: str, path: str, marked: str) -> Snippet:
    text, wanted, at = "", [], 0
    for mark in _MARK.finditer(marked):
        text += marked[at : mark.start()]
        start = len(text.encode())
        text += mark[2]
        wanted.append((start, len(text.encode()), mark[1]))
        at = mark.end()
    return Snippet(about, path, text + marked[at:], tuple(wanted))


def _compared(rules: PiiRules | None) -> pl.DataFrame:
    """One row a place that was labelled or found: about, text, start, end, wanted and found kind."""
    snippets = list(labelled_snippets())
    rows = [
        {"doc_id": str(at), "path": snippet.path, "text": snippet.text, "origin": "planted"}
        for at, snippet in enumerate(snippets)
    ]
    spans = find_personal_data(new_files(rows), rules).select("doc_id", "start", "end", found="kind")
    labels = [(str(at), *wanted) for at, snippet in enumerate(snippets) for wanted in snippet.wanted]
    wanted = pl.DataFrame(
        labels, schema={"doc_id": pl.String, "start": pl.Int64, "end": pl.Int64, "wanted": pl.String}, orient="row"
    )
    places = wanted.join(spans, on=["doc_id", "start", "end"], how="full", coalesce=True)
    about = pl.DataFrame(
        {
            "doc_id": [row["doc_id"] for row in rows],
            "about": [s.about for s in snippets],
            "text": [s.text for s in snippets],
        }
    )
    joined = about.join(places, on="doc_id", how="inner")
    return joined.sort(pl.col("doc_id").cast(pl.Int64), "start").select(
        "about", "text", "start", "end", "wanted", "found"
    )
