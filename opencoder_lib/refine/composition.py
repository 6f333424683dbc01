"""What a corpus is made of: files, bytes and tokens by language or source, beside the paper's tables.

Sizes before are as found (`n_bytes`) or, for one stage, what reached it; sizes after are those of the text as it now
stands. Planted files are never counted. A frame of counts (`language`, `n_files`, `n_bytes`), as the metadata of a
finished corpus gives it, may stand in for the files: it has no before.
"""

from collections.abc import Callable

import polars as pl

from opencoder_lib import GB
from opencoder_lib.errors import ConfigError, SchemaError, did_you_mean
from opencoder_lib.files import in_hash_order, reached, real, remaining
from opencoder_lib.intervals import Z_95
from opencoder_lib.languages import category_of
from opencoder_lib.paper import fact, facts
from opencoder_lib.refine.sampling import paper_budgets

NOTEBOOK = "jupyter notebook"
NO_GROUP = "(none)"
SOURCES = {
    "installed": "installed packages",
    "folder": "folders",
    "git": "git repositories",
    "hub": "hub data sets",
    "web": "web pages",
    "synthetic": "synthetic text",
}
# Table 2: the heading a source stands under.
TABLE_2 = {
    **dict.fromkeys(("github_code", "jupyter_notebooks", "the_stack_v2"), "raw code"),
    **dict.fromkeys(("common_crawl", "skypile", "fineweb"), "web"),
    "automathtext": "open-source data",
}
NOW = pl.col("text").str.len_bytes().cast(pl.Int64)


def composition(files: pl.DataFrame, by: str = "language", stage: str | None = None) -> pl.DataFrame:
    """Files and bytes before and after, one row for each value of `by`; most bytes after first.

    files: a file frame, or counts with `n_files` and `n_bytes`. by: language, category, origin, repo or another column;
    stage: count as before what reached this stage, at its size then, instead of all files as found. Columns: `by`,
    category (when by language), files_before, files_after, bytes_before, bytes_after, frac_bytes_before and
    frac_bytes_after (of all languages together), frac_bytes_surviving. Raises ConfigError on an unknown column.
    """
    if by not in files.columns:
        raise ConfigError(f"There is no column {by!r} to count by.{did_you_mean(by, files.columns)}")
    if "doc_id" in files.columns:
        here = real(files) if stage is None else reached(real(files), stage)
        counts = _count(here, by, pl.col("n_bytes") if stage is None else pl.coalesce(NOW, "n_bytes"))
    elif {"n_files", "n_bytes"} <= set(files.columns):
        counts = _take_over(files, by)
    else:
        raise SchemaError(f"Neither a file frame nor counts with n_files and n_bytes; the columns are {files.columns}.")
    if by == "language":
        kind = pl.col("language").map_elements(category_of, return_dtype=pl.String)
        counts = counts.with_columns(category=kind).select("language", "category", pl.exclude("language", "category"))
    shares = [
        (pl.col(f"bytes_{side}") / pl.col(f"bytes_{side}").sum()).alias(f"frac_bytes_{side}")
        for side in ("before", "after")
    ]
    share = pl.when(pl.col("bytes_before") > 0).then(pl.col("bytes_after") / pl.col("bytes_before"))
    counts = counts.with_columns(*shares, frac_bytes_surviving=share)
    order = ["bytes_after", "bytes_before", by]
    return counts.sort(order, descending=[True, True, False], nulls_last=True)


def _count(here: pl.DataFrame, by: str, size_before: pl.Expr) -> pl.DataFrame:
    kept = pl.col("removed_by").is_null()
    return here.group_by(pl.col(by).cast(pl.String).fill_null(NO_GROUP)).agg(
        files_before=pl.len().cast(pl.Int64),
        files_after=kept.sum().cast(pl.Int64),
        bytes_before=size_before.sum(),
        bytes_after=NOW.filter(kept).sum(),
    )


def _take_over(counts: pl.DataFrame, by: str) -> pl.DataFrame:
    none = pl.lit(None, dtype=pl.Int64)
    return counts.group_by(pl.col(by).cast(pl.String).fill_null(NO_GROUP)).agg(
        files_before=none,
        files_after=pl.col("n_files").sum().cast(pl.Int64),
        bytes_before=none,
        bytes_after=pl.col("n_bytes").sum().cast(pl.Int64),
    )


def bytes_per_token(
    files: pl.DataFrame, tokens_of: Callable[[list[str]], list[int]], per_language: int = 200, key: str = "tokens"
) -> pl.DataFrame:
    """How many bytes of each language make a token, from its first `per_language` files in the order of a hash.

    tokens_of: number of tokens of each text. Columns: language, files_sampled, repos_sampled, bytes_sampled,
    tokens_sampled, bytes_per_token (all bytes by all tokens), plus_minus: half a 95 % interval, with repositories as
    units because files of one project are alike; null for fewer than two. Files without a byte are left out.
    """
    here = in_hash_order(remaining(real(files)).filter(NOW > 0).select("doc_id", "language", "repo", "text"), key)
    sample = here.group_by("language", maintain_order=True).head(per_language)
    numbers = tokens_of(sample["text"].to_list())
    if len(numbers) != sample.height:
        raise ConfigError(f"tokens_of gave {len(numbers):,} numbers for {sample.height:,} texts. Give one a text.")
    counted = sample.select(
        "language", "repo", n_bytes=NOW, tokens=pl.Series(numbers, dtype=pl.Int64), file=pl.lit(1, dtype=pl.Int64)
    )
    # Sums of fractions depend on the order in their last digit, so there is one.
    repos = counted.group_by("language", "repo").agg(pl.col("n_bytes", "tokens", "file").sum()).sort("language", "repo")
    ratio = pl.col("n_bytes").sum() / pl.col("tokens").sum()
    # The linearised variance of a ratio of two sums, each over independent repositories.
    apart = pl.col("n_bytes") - ratio * pl.col("tokens")
    spread = ((apart**2).sum() * pl.len() / (pl.len() - 1)).sqrt() / pl.col("tokens").sum()
    return (
        repos.group_by("language", maintain_order=True)
        .agg(
            files_sampled=pl.col("file").sum(),
            repos_sampled=pl.len().cast(pl.Int64),
            bytes_sampled=pl.col("n_bytes").sum(),
            tokens_sampled=pl.col("tokens").sum(),
            bytes_per_token=ratio,
            plus_minus=pl.when(pl.len() > 1).then(Z_95 * spread),
        )
        .sort("bytes_sampled", "language", descending=[True, False])
    )


def token_shares(files: pl.DataFrame, ratios: pl.DataFrame, by: str = "language") -> pl.DataFrame:
    """Bytes and tokens of what is still in, with shares, one row for each value of `by`; most tokens first.

    ratios: of `bytes_per_token` for the same files. Tokens are estimated, the bytes of each language by its bytes per
    token. Columns: `by`, n_bytes, tokens, bytes_per_token, frac_bytes, frac_tokens. Raises SchemaError when a language
    that has bytes is not in `ratios`.
    """
    ratios = ratios.select("language", ratio="bytes_per_token")
    here = remaining(real(files)).select(
        _by=pl.col(by).cast(pl.String).fill_null(NO_GROUP), language="language", size=NOW
    )
    parts = here.group_by("_by", "language").agg(n_bytes=pl.col("size").sum()).join(ratios, on="language", how="left")
    unknown = parts.filter(pl.col("ratio").is_null() & (pl.col("n_bytes") > 0))["language"]
    if unknown.len():
        raise SchemaError(f"No bytes per token are known of {unknown[0]!r}. Measure them on the same files.")
    sums = (
        parts.sort("_by", "language")
        .group_by(pl.col("_by").alias(by), maintain_order=True)
        .agg(pl.col("n_bytes").sum(), tokens=(pl.col("n_bytes") / pl.col("ratio")).sum().round().cast(pl.Int64))
    )
    return sums.with_columns(
        bytes_per_token=pl.when(pl.col("tokens") > 0).then(pl.col("n_bytes") / pl.col("tokens")),
        frac_bytes=pl.col("n_bytes") / pl.col("n_bytes").sum(),
        frac_tokens=pl.col("tokens") / pl.col("tokens").sum(),
    ).sort("tokens", "n_bytes", by, descending=[True, True, False])


def with_source(files: pl.DataFrame) -> pl.DataFrame:
    """Return `files` with `source`: notebooks by themselves, everything else by where it was found."""
    found = pl.col("origin").cast(pl.String).replace(SOURCES)
    notebook = pl.col("language") == NOTEBOOK
    return files.with_columns(source=pl.when(notebook).then(pl.lit(_table_2("jupyter_notebooks"))).otherwise(found))


def _table_2(name: str) -> str:
    return fact(f"table2.{name}").what


def beside_table2(shares: pl.DataFrame) -> pl.DataFrame:
    """The paper's tokens by source, and below them this run's: of `token_shares` by `source`.

    Columns: heading, source, paper_billion_tokens, frac_paper (of the sum, not as printed), tokens_here, frac_here.
    """
    total = fact("overview.corpus_tokens").value
    paper = pl.DataFrame(
        {
            "heading": list(TABLE_2.values()),
            "source": [_table_2(name) for name in TABLE_2],
            "paper_billion_tokens": [fact(f"table2.{name}").value for name in TABLE_2],
        }
    ).with_columns(frac_paper=pl.col("paper_billion_tokens") / total)
    here = shares.select("source", tokens_here="tokens", frac_here="frac_tokens")
    both = paper.join(here, on="source", how="full", coalesce=True, maintain_order="left_right")
    web = pl.col("source") == SOURCES["web"]
    heading = pl.coalesce("heading", pl.when(web).then(pl.lit("web")).otherwise(pl.lit("raw code")))
    return both.select(heading.alias("heading"), pl.exclude("heading"))


def beside_table15(
    name: str, tokens: int, languages: int, web_tokens: int, rules: int, own_rules: bool
) -> pl.DataFrame:
    """The paper's comparison of code corpora with this run as the last row.

    own_rules: whether single languages have rules of their own. Columns: corpus, billion_tokens, languages,
    billion_web_tokens, rules, rules_for_single_languages.
    """
    rows = [
        (
            label,
            *(
                fact(f"table15.{of}_{what}").value
                for what in ("tokens", "languages", "web_tokens", "rules", "language_rules")
            ),
        )
        for label, of in (("The Stack v1", "stack_v1"), ("The Stack v2", "stack_v2"))
    ]
    keys = ("overview.corpus_tokens", "collect.num_languages", "overview.web_tokens", "overview.num_rules")
    rows.append(("RefineCode", *(fact(key).value for key in keys), fact("table15.refinecode_language_rules").value))
    rows.append((name, tokens / 10**9, languages, web_tokens / 10**9, rules, "yes" if own_rules else "no"))
    columns = ["corpus", "billion_tokens", "languages", "billion_web_tokens", "rules", "rules_for_single_languages"]
    types = [pl.String, pl.Float64, pl.Int64, pl.Float64, pl.Int64, pl.String]
    return pl.DataFrame(rows, schema=dict(zip(columns, types, strict=True)), orient="row", strict=False)


def table_16() -> pl.DataFrame:
    """The rows of Table 16 as printed, most bytes after filtering first, with what is odd about them in `note`.

    Columns: language, paper_files_before, paper_GB_before, frac_paper_before, the same three after, note.
    """
    names = [f"{of}_{side}" for side in ("before", "after") for of in ("paper_files", "paper_GB", "frac_paper")]
    rows = [
        (key.removeprefix("table16.").replace("_", " "), *map(float, found.value), found.note or None)
        for key, found in facts().items()
        if key.startswith("table16.")
    ]
    schema = {"language": pl.String, **dict.fromkeys(names, pl.Float64), "note": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    frame = frame.with_columns(pl.col("^paper_files_.*$").cast(pl.Int64), pl.col("^frac_.*$") / 100)
    return frame.sort("paper_GB_after", "language", descending=[True, False])


def beside_table16(composed: pl.DataFrame) -> pl.DataFrame:
    """Table 16 beside this run, `composed` by language: the paper's rows, then those only this run has.

    Columns: those of `table_16`, frac_paper_surviving, and those of `composition` but for the category. Give
    `composition(files, stage="filter")` taken before sampling, since the table ends with the filter.
    """
    surviving = pl.col("paper_GB_after") / pl.col("paper_GB_before")
    paper = table_16().select(pl.exclude("note"), surviving.alias("frac_paper_surviving"), "note")
    here = composed.select(pl.exclude("category"))
    return paper.join(here, on="language", how="full", coalesce=True, maintain_order="left_right")


def paper_sampling() -> pl.DataFrame:
    """The paper's languages as `composition` has them, before and after sampling, from Table 16 and the two cuts.

    How many files the cut languages keep is not printed, so it is null. 42 languages only: the others are not printed.
    """
    budgets = {language: float(size) for language, size in paper_budgets().items()}
    cut = pl.col("language").replace_strict(budgets, default=None, return_dtype=pl.Float64)
    before = (pl.col("paper_GB_after") * GB).round()
    kind = pl.col("language").map_elements(category_of, return_dtype=pl.String)
    return table_16().select(
        "language",
        category=kind,
        files_before="paper_files_after",
        files_after=pl.when(cut.is_null()).then("paper_files_after"),
        bytes_before=before.cast(pl.Int64),
        bytes_after=pl.min_horizontal(before, cut).cast(pl.Int64),
    )
