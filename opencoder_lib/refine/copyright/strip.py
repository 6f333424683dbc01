"""Copyright: the notice that a file starts with goes, and nothing else.

More than 15 % of code files start with a notice such as "Copyright Intel Corporation 2014-2016"; they say nothing about
code and are repeated without end, so the paper removes them from the initial comments (section 2.1.1). It released no
rule: this one is ours.

A notice is what names a copyright holder (copyright, (c) or the sign with a year or a name, all rights reserved, SPDX
tags), or a licence (the sentences of MIT, BSD, Apache, GPL, MPL, ISC, Boost, zlib and others, and those that point to
one: licensed under, see LICENSE); phrases.toml lists them. It is looked for in the initial comments only: those
before the first code. A shebang, an XML declaration or document type, `<?php`, 'use strict', @echo off and the
docstring of a Python module may stand before or between them.

Where a comment is all notice it goes, with its frame, its line end and the blank lines that would leave a hole. Where
it says something else too, only the legal lines of its paragraphs go: descriptions, file names and authors that stand
by themselves are documentation; an author next to a notice line is part of the notice. Lines that a program reads
(encoding, build tags, linter switches) always stay.

Code, data and the text programs whose comments have marks are searched, all in the same way: a notice in the comments
of a manual page or a LaTeX style teaches no more than one in C. The licence that a text itself states is no comment.
"""

import polars as pl

from opencoder_lib.files import remaining
from opencoder_lib.languages import with_languages
from opencoder_lib.refine.copyright.cuts import notice_cuts
from opencoder_lib.refine.copyright.heads import syntax_of
from opencoder_lib.refine.copyright.legal_text import phrases
from opencoder_lib.refine.edits import SPANS, apply

KIND = "notice"
CATEGORIES = ("code", "data", "text")
# A file whose first so many characters have no word of a notice is not looked at.
HEAD_CHARS = 8192


def strip_copyright_notices(files: pl.DataFrame) -> pl.DataFrame:
    """The files without the notice they start with. A second pass changes nothing. Source: section 2.1.1; our rule."""
    return apply(files, find_notices(files), "copyright").files


def find_notices(files: pl.DataFrame) -> pl.DataFrame:
    """Where the initial comments of the files still in are a notice: spans of kind 'notice' as edits.SPANS has them.

    Sorted by doc_id and place, replaced by nothing. Python files parse to the same tree without them; a block comment
    that is cut in part is still closed where it was.
    """
    rows = []
    for doc_id, text, language in _candidates(files).select("doc_id", "text", "language").iter_rows():
        cuts = notice_cuts(text, syntax_of(language))
        if cuts:
            rows += [(doc_id, start, end, "", KIND) for start, end in _in_bytes(text, cuts)]
    return pl.DataFrame(rows, schema=SPANS, orient="row").sort("doc_id", "start")


def notices(files: pl.DataFrame, spans: pl.DataFrame | None = None) -> pl.DataFrame:
    """The text of each notice, to be shown: one row a file with `doc_id` and `notice`, its spans joined by newlines."""
    spans = find_notices(files) if spans is None else spans
    texts = spans.join(files.select("doc_id", "text"), on="doc_id", how="left", maintain_order="left")
    cut = [text.encode()[start:end].decode() for text, start, end in texts.select("text", "start", "end").iter_rows()]
    found = texts.select("doc_id", notice=pl.Series(cut, dtype=pl.String))
    return found.group_by("doc_id", maintain_order=True).agg(pl.col("notice").str.join("\n")).sort("doc_id")


def _candidates(files: pl.DataFrame) -> pl.DataFrame:
    """The files still in whose head has a word of a notice and whose program, looked up where unknown, has comments."""
    here = remaining(files)
    if here["language"].null_count() or here["category"].null_count():
        # Only the type is asked for; the natural language would cost more than the whole search.
        here = with_languages(here.with_columns(natural_language=pl.lit("en")))
    known = [language for language in here["language"].unique() if syntax_of(language)]
    here = here.filter(pl.col("category").cast(pl.String).is_in(CATEGORIES), pl.col("language").is_in(known))
    head = pl.col("text").str.head(HEAD_CHARS)
    return here.filter(head.str.contains_any(phrases().words, ascii_case_insensitive=True))


def _in_bytes(text: str, cuts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Character offsets as offsets into the UTF-8 of the text."""
    found, at, offset = [], 0, 0
    for cut in cuts:
        ends = []
        for place in cut:
            offset += len(text[at:place].encode("utf-8", "surrogatepass"))
            at = place
            ends.append(offset)
        found.append((ends[0], ends[1]))
    return found
