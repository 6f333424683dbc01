"""What a map of documents says about a corpus: who lies far out, what such files look like, how sure that is.

Axes: N files, H hidden size, R repositories, S resamples.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from opencoder_lib.errors import ConfigError, SchemaError
from opencoder_lib.files import in_hash_order, real, remaining, stage_of
from opencoder_lib.intervals import percentile_interval, resamples
from opencoder_lib.paper import fact

CORPORA = ("raw", "refined")
FEWEST = 2  # a cloud of fewer points has no extent
# What the paper says outliers of its Figure 3 are, then everything else.
KINDS = ("comments only", "hexadecimal or numeric data", "very short", "other")
COMMENT_SHARE, HEX_SHARE = fact("map.comment_share").value, fact("map.hex_share").value
SHORT_LINES, OUTLIER_DISTANCE = fact("map.short_lines").value, fact("map.outlier").value

# Block comments, and strings in triple quotes, which in Python stand where other languages have comments.
BLOCKS = r'(?s)""".*?"""|\'\'\'.*?\'\'\'|/\*.*?\*/|<!--.*?-->'
LINE_COMMENT, LINE_COMMENT_NO_HASH = r"(?m)^\s*(#|//|--|;|%).*$", r"(?m)^\s*(//|--|;|%).*$"
HASH_IS_CODE = ("c", "cpp", "csharp", "objective-c", "cython")
HEX_OR_NUMBER = r"\b(0[xX][0-9a-fA-F]+|\d+|[0-9a-fA-F]{8,})[uUlL]*\b"


def sample_corpora(files: pl.DataFrame, num_files: int, seed: int, language: str = "") -> pl.DataFrame:
    """Half of `num_files` from the raw corpus and half from the refined one, with a column `corpus` in front.

    Raw is every real file that preprocessing let through, refined is what no stage has removed; files without a
    visible character are left out, since an encoder has nothing to read there. Files come in the order of a hash of
    their id, so a kept file drawn for raw is drawn for refined too and the two samples are paired. A corpus with too
    few files gives all it has. language: a program of the language table, '' for all.
    """
    if num_files < 4:
        raise ConfigError(f"num_files={num_files}: a map of two corpora needs at least 4 files.")
    visible = real(files).filter(pl.col("text").str.contains(r"\S"))
    if language:
        visible = visible.filter(pl.col("language") == language)
    raw = visible.filter(stage_of().fill_null("") != "preprocess")
    if raw.is_empty():
        raise SchemaError(f"No file of language {language!r} reached this chapter; chapter 01 lists the languages.")
    raw = in_hash_order(raw, f"map {seed}")
    parts = [raw.head(num_files // 2), remaining(raw).head(num_files // 2)]
    if parts[1].height < FEWEST:
        raise SchemaError(
            f"The filter left {parts[1].height} of {raw.height} {language or 'visible'} files; a map needs at least "
            f"{FEWEST}. Take a larger folder, another language, or language='' for all."
        )
    named = [part.select(pl.lit(name).alias("corpus"), pl.all()) for name, part in zip(CORPORA, parts, strict=True)]
    return pl.concat(named)


def distances(points_N2: np.ndarray) -> np.ndarray:
    """Mahalanobis distance of each point from the centre of all: (N,), 1 is one standard deviation.

    The plain covariance is used on purpose. A robust one takes its shape from the densest half and then calls whole
    topics outliers; the question here is which files lie away from everything.
    """
    centred = points_N2 - points_N2.mean(0)
    covariance = np.cov(centred, rowvar=False)
    return np.sqrt(np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred))


def squared_deviations(vectors_NH: np.ndarray, groups: pl.Series) -> np.ndarray:
    """Squared distance of each file from the centroid of its own group: (N,).

    Their mean within a group is the group's total variance, over all dimensions and not only the two that are drawn.
    """
    found_N = np.empty(len(vectors_NH))
    for name in groups.unique():
        here = (groups == name).to_numpy()
        centred = vectors_NH[here] - vectors_NH[here].mean(0, dtype=np.float64)
        found_N[here] = (centred**2).sum(1)
    return found_N


def with_kinds(files: pl.DataFrame) -> pl.DataFrame:
    """`files` with three measurements of the whole text and the `kind` they decide.

    frac_comments: share of visible characters in comments or triple-quoted strings. frac_hex: share of visible
    characters in numbers and hexadecimal words. num_code_lines: lines that are not blank. `kind` is the first of
    KINDS that holds, from cut-offs that look at the text alone, never at where the file lies on the map.
    """
    hash_is_code = pl.col("language").is_in(HASH_IS_CODE).fill_null(False)
    without_blocks = pl.col("text").str.replace_all(BLOCKS, "")
    code = (
        pl.when(hash_is_code)
        .then(without_blocks.str.replace_all(LINE_COMMENT_NO_HASH, ""))
        .otherwise(without_blocks.str.replace_all(LINE_COMMENT, ""))
    )
    visible = _visible(pl.col("text"))
    measured = files.with_columns(
        frac_comments=(1 - _visible(code) / visible).fill_nan(0),
        frac_hex=(1 - _visible(pl.col("text").str.replace_all(HEX_OR_NUMBER, "")) / visible).fill_nan(0),
        num_code_lines=pl.col("text").str.count_matches(r"(?m)^.*\S.*$"),
    )
    return measured.with_columns(
        kind=pl.when(pl.col("frac_comments") >= COMMENT_SHARE)
        .then(pl.lit(KINDS[0]))
        .when(pl.col("frac_hex") >= HEX_SHARE)
        .then(pl.lit(KINDS[1]))
        .when(pl.col("num_code_lines") < SHORT_LINES)
        .then(pl.lit(KINDS[2]))
        .otherwise(pl.lit(KINDS[3]))
    )


def _visible(text: pl.Expr) -> pl.Expr:
    return text.str.count_matches(r"\S")


def outliers_by_kind(points: pl.DataFrame) -> pl.DataFrame:
    """For each corpus and kind: files, outliers, and the share of the corpus' files that are such outliers.

    points: a sample with `corpus`, `kind` and `distance`. Every kind has a row in both corpora.
    """
    outlier = pl.col("distance") > OUTLIER_DISTANCE
    counted = points.group_by("corpus", "kind").agg(files=pl.len(), outliers=outlier.sum())
    grid = pl.DataFrame({"corpus": CORPORA}).join(pl.DataFrame({"kind": KINDS}), how="cross")
    total = points.group_by("corpus").agg(total=pl.len())
    table = grid.join(counted, on=["corpus", "kind"], how="left", maintain_order="left").join(
        total, on="corpus", how="left", maintain_order="left"
    )
    counts = [pl.col(name).fill_null(0).cast(pl.Int64) for name in ("files", "outliers")]
    return table.with_columns(counts).select(
        "corpus",
        "kind",
        "files",
        "outliers",
        frac_of_kind=pl.when(pl.col("files") > 0).then(pl.col("outliers") / pl.col("files")),
        frac_of_corpus=pl.col("outliers") / pl.col("total"),
    )


@dataclass(frozen=True)
class Difference:
    """A mean in raw and in refined, and their difference with a 95 % interval."""

    raw: float
    refined: float
    low: float
    high: float
    num_repos: int
    num_resamples: int

    @property
    def value(self) -> float:
        """Raw minus refined."""
        return self.raw - self.refined

    def row(self, measure: str) -> dict[str, str | float]:
        """The difference as a row of a table."""
        return {
            "measure": measure,
            "raw": self.raw,
            "refined": self.refined,
            "fall": self.value,
            "low": self.low,
            "high": self.high,
        }


def bootstrap_difference(points: pl.DataFrame, value: str, seed: int, num_resamples: int = 2_000) -> Difference:
    """How much the mean of the column `value` falls from raw to refined, with a percentile bootstrap interval.

    Whole repositories are drawn with replacement, not files: files of a project resemble each other, and treating
    them as independent would make the interval too narrow. A repository brings its files of both samples, which keeps
    the pairing. The map itself is held fixed. Raises SchemaError when a corpus is empty.
    """
    per_repo = points.with_columns(unit=pl.coalesce("repo", "doc_id"), value=pl.col(value).cast(pl.Float64))
    totals = per_repo.group_by("unit").agg(
        *(pl.col("value").filter(pl.col("corpus") == name).sum().alias(f"sum_{name}") for name in CORPORA),
        *((pl.col("corpus") == name).sum().cast(pl.Float64).alias(f"n_{name}") for name in CORPORA),
    )
    totals_R4 = totals.sort("unit").drop("unit").to_numpy()
    if not totals_R4[:, 2:].sum(0).all():
        raise SchemaError("Raw and refined must both hold files to be compared.")
    num_repos = len(totals_R4)
    sums_S4 = resamples(num_repos, num_resamples, seed, value) @ totals_R4
    # A resample without a single file of one corpus has no mean; it is left out, which only tiny inputs ever see.
    filled = (sums_S4[:, 2:] > 0).all(1)
    means_S2 = sums_S4[filled, :2] / sums_S4[filled, 2:]
    low, high = percentile_interval(means_S2[:, 0] - means_S2[:, 1])
    raw, refined = totals_R4[:, :2].sum(0) / totals_R4[:, 2:].sum(0)
    return Difference(float(raw), float(refined), low, high, num_repos, num_resamples)


def outlier_difference(
    sample: pl.DataFrame, points_N2: np.ndarray, seed: int, num_resamples: int = 2_000
) -> Difference:
    """How much the share of outliers falls from raw to refined on a map: `bootstrap_difference` of one flag a file.

    sample: rows with corpus, repo and doc_id. points_N2: where each row lies on the map.
    """
    flagged = sample.with_columns(outlier=pl.Series(distances(points_N2) > OUTLIER_DISTANCE))
    return bootstrap_difference(flagged, "outlier", seed, num_resamples)
