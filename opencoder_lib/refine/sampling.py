"""Sampling: a language that would drown the others is cut to a budget of bytes (paper section 2.1.1).

    keys(shard, budgets)          one small row a file of the languages with a budget: its place and its bytes
    cut_offs(keys, budgets)       all rows meet here; one number a language: who stands before it stays
    mark(shard, cut_offs)         the shard with the files behind the cut-off removed

The place of a file is a number in [0, 1) hashed from its `doc_id` and a key, so no order of rows or shards moves it.
What stays is the longest prefix in the order of places whose bytes fit: a smaller budget keeps a subset, and a larger
corpus of the same files-and-more takes from the same order. Files with one and the same place (52 bits: some hundred
pairs among 10^9 files) stay or go together, so one number decides and nothing else has to cross between shards.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches

import polars as pl

from opencoder_lib import GB
from opencoder_lib.errors import ConfigError
from opencoder_lib.files import mark_removed, remaining
from opencoder_lib.languages import UNKNOWN, category_of, language_of, program_names
from opencoder_lib.paper import fact
from opencoder_lib.seeds import hash_share

STAGE = "sample"
REASON = "sample.over_budget"
KEYS = {"language": pl.String, "place": pl.Float64, "n_bytes": pl.Int64}
CUT_OFFS = {
    **{"language": pl.String, "budget": pl.Int64, "cut_off": pl.Float64},
    **{name: pl.Int64 for name in ("files_before", "bytes_before", "files_after", "bytes_after")},
}
# Only the bin in which a budget is crossed is ever sorted: of 10^9 files of one language, some 250,000.
BINS = 4096
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
# The largest size a column of 64 bits holds.
MOST_BYTES = 2**63 - 1


def downsample(files: pl.DataFrame, budgets: Mapping[str, int], key: str = STAGE) -> pl.DataFrame:
    """In each language of `budgets` the first files, in the order of their places, that fit are left.

    budgets: bytes of UTF-8 by language, counted in the text as it now stands. The others are removed for REASON, with
    their place in `measured`. A budget larger than what there is removes nothing; where the first file alone is
    larger than the budget, nothing of that language stays; `cut_offs` counts both. Raises ConfigError on a budget that
    is not a positive whole number. Source: section 2.1.1; that the order is a hash is our choice.
    """
    return mark(files, cut_offs(keys(files, budgets, key), budgets), key)


def keys(shard: pl.DataFrame, budgets: Mapping[str, int], key: str = STAGE) -> pl.DataFrame:
    """`language`, `place` and `n_bytes` (of the text now) of the files still in whose language has a budget."""
    check_budgets(budgets)
    here = remaining(shard).filter(pl.col("language").is_in(list(budgets)))
    sizes = here.select("language", n_bytes=pl.col("text").str.len_bytes().cast(pl.Int64))
    return sizes.with_columns(places(here["doc_id"], key)).select(*KEYS)


def places(doc_ids: pl.Series, key: str = STAGE) -> pl.Series:
    """Where each id stands in the order called `key`: a number in [0, 1)."""
    return pl.Series("place", [hash_share(key, name) for name in doc_ids], dtype=pl.Float64)


def cut_offs(keys: pl.DataFrame | pl.LazyFrame, budgets: Mapping[str, int]) -> pl.DataFrame:
    """Where each language is cut: `language`, `budget`, `cut_off`, and files and bytes before and after.

    keys: rows of `keys` of all shards, in any order; a lazy frame (a scan of Parquet parts) is read as a stream, and
    only the files in one of BINS stretches of places are held, so the rows may be more than memory has. A file stays
    when its place is less than `cut_off`, which is 1 where all fit. Languages come in the order of `budgets`; one that
    no file has gets a row with zeros.
    """
    check_budgets(budgets)
    wanted = pl.DataFrame(
        {"language": list(budgets), "budget": list(budgets.values())}, schema=_of("language", "budget")
    )
    rows = keys.lazy().filter(pl.col("language").is_in(list(budgets)))
    rows = rows.with_columns(bin=(pl.col("place") * BINS).floor().cast(pl.Int32))
    binned = _running(_summed(rows, "bin"), "bin", wanted)
    crossed = binned.filter(pl.col("bytes_to") > pl.col("budget")).unique("language", keep="first", maintain_order=True)
    crossed = crossed.select("language", "bin", *(pl.col(f"{of}_to") - pl.col(of) for of in ("files", "bytes")))
    # The one bin a language that has to be looked at file by file starts from what the bins before it hold.
    inside = _summed(rows.join(crossed.lazy().select("language", "bin"), on=["language", "bin"], how="semi"), "place")
    start = crossed.select("language", files_start="files_to", bytes_start="bytes_to")
    return _decided(wanted, binned, _running(inside, "place", wanted), start)


def _of(*names: str) -> dict[str, pl.DataType]:
    return {name: CUT_OFFS[name] for name in names}


def _summed(rows: pl.LazyFrame, by: str) -> pl.DataFrame:
    counted = rows.group_by("language", by).agg(files=pl.len().cast(pl.Int64), bytes=pl.col("n_bytes").sum())
    return counted.collect(engine="streaming")


def _running(counts: pl.DataFrame, by: str, wanted: pl.DataFrame) -> pl.DataFrame:
    """`counts` in order, with the sums up to and including each row, and the budget of its language."""
    ordered = counts.sort("language", by)
    sums = [pl.col(of).cum_sum().over("language").alias(f"{of}_to") for of in ("files", "bytes")]
    return ordered.with_columns(sums).join(wanted, on="language", how="left", maintain_order="left")


def _decided(wanted: pl.DataFrame, binned: pl.DataFrame, inside: pl.DataFrame, start: pl.DataFrame) -> pl.DataFrame:
    """One row a language, from all bins and from the places inside the bin where the budget is crossed."""
    total = binned.group_by("language").agg(files_before=pl.col("files").sum(), bytes_before=pl.col("bytes").sum())
    inside = inside.join(start, on="language", how="left", maintain_order="left")
    fits = pl.col("bytes_start") + pl.col("bytes_to") <= pl.col("budget")
    ends = inside.group_by("language").agg(
        cut_off=pl.col("place").filter(~fits).min(),
        files_after=pl.col("files_start").first() + pl.col("files").filter(fits).sum(),
        bytes_after=pl.col("bytes_start").first() + pl.col("bytes").filter(fits).sum(),
    )
    joined = wanted.join(total, on="language", how="left", maintain_order="left")
    joined = joined.join(ends, on="language", how="left", maintain_order="left")
    filled = joined.with_columns(pl.col("cut_off").fill_null(1.0), pl.col("files_before", "bytes_before").fill_null(0))
    return filled.with_columns(
        files_after=pl.coalesce("files_after", "files_before"), bytes_after=pl.coalesce("bytes_after", "bytes_before")
    ).select(pl.col(name).cast(dtype) for name, dtype in CUT_OFFS.items())


def mark(shard: pl.DataFrame, cut_offs: pl.DataFrame, key: str = STAGE) -> pl.DataFrame:
    """The shard with the files at or behind the cut-off of their language removed; `key` as it was given to `keys`."""
    cut = cut_offs.filter(pl.col("cut_off") < 1).select("language", "cut_off")
    here = remaining(shard).select("doc_id", "language").join(cut, on="language", how="inner", maintain_order="left")
    gone = here.with_columns(places(here["doc_id"], key)).filter(pl.col("place") >= pl.col("cut_off"))
    return mark_removed(shard, gone.select("doc_id", pl.lit(REASON).alias("removed_by"), measured="place"))


def check_budgets(budgets: Mapping[str, int]) -> None:
    """Raise ConfigError on a budget that is not a positive whole number of bytes."""
    for language, size in budgets.items():
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= MOST_BYTES:
            raise ConfigError(
                f"The budget of {language!r} must be a positive whole number of bytes, not {size!r}. "
                "A language to keep whole is left out; one to drop is a matter for the filter."
            )


def share_budgets(files: pl.DataFrame, shares: Mapping[str, float]) -> dict[str, int]:
    """Budgets in bytes that are shares of what each language has now, rounded down.

    Languages of which there is not a byte, or too few for the share to be one, are left out: there is nothing to cut.
    Raises ConfigError on a share that is not above 0 and at most 1.
    """
    for language, share in shares.items():
        if not 0 < share <= 1:
            raise ConfigError(f"The share of {language!r} must be above 0 and at most 1, not {share!r}.")
    sizes = remaining(files).group_by("language").agg(pl.col("text").str.len_bytes().sum().cast(pl.Int64))
    held = dict(sizes.iter_rows())
    budgets = {language: int(share * held.get(language, 0)) for language, share in shares.items()}
    return {language: size for language, size in budgets.items() if size}


def parse_size(text: str) -> int:
    """Bytes of '200GB', '1.5 TB', '64 kB' or '1000': decimal units, either case, a part of a byte cut off.

    Raises ConfigError on anything else, on less than a byte, and on more than 64 bits hold.
    """
    match = SIZE.fullmatch(text)
    unit = UNITS.get(match[2].upper()) if match else None
    if unit is None:
        raise ConfigError(f"{text!r} is not a size. Write a number and kB, MB, GB or TB (decimal), as in 200GB.")
    size = int(Decimal(match[1]) * unit)
    if not 0 < size <= MOST_BYTES:
        raise ConfigError(f"The size {text!r} must be at least a byte and less than 2^63 bytes.")
    return size


def parse_budgets(texts: Iterable[str]) -> dict[str, int]:
    """Budgets from texts such as 'java=200GB'. Raises ConfigError on a language the table lacks or one named twice."""
    budgets: dict[str, int] = {}
    for text in texts:
        language, sign, size = text.partition("=")
        language = language.strip()
        if not sign:
            raise ConfigError(f"{text!r} is not a budget. Write LANGUAGE=SIZE, as in java=200GB.")
        if category_of(language) == UNKNOWN:
            raise ConfigError(f"The language table has no {language!r}.{_meant(language)}")
        if language in budgets:
            raise ConfigError(f"{language!r} has two budgets, the second is {text!r}. Give one.")
        budgets[language] = parse_size(size)
    return budgets


def _meant(language: str) -> str:
    # Who writes py, js or c++ names an extension, and the table knows whose it is.
    owner = language_of(f"x.{language.lower()}")
    near = [owner] if owner != UNKNOWN else get_close_matches(language.lower(), program_names(), n=3)
    return f" Did you mean {' or '.join(near)}?" if near else " Names are lower-case, as in the column `language`."


def paper_budgets() -> dict[str, int]:
    """The paper's cuts: Java and HTML, in bytes."""
    return {language: int(fact(f"overview.{language}_sampled").value * GB) for language in ("java", "html")}
