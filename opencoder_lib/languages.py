"""File types: full file name, else extension -> program -> code, data, text or excluded; and the natural language.

The table is languages.toml, from the official release. Look-ups are those of the release: case-sensitive, the full
file name first, then what follows the last dot. So `C` is cpp but `PY` is unknown, and `configure.sh.in` is looked
up as `in`.
"""

import tomllib
from functools import cache
from importlib.resources import files as package_files

import polars as pl

from opencoder_lib.files import SCHEMA

CATEGORIES = ("code", "data", "text", "excluded")
UNKNOWN = "unknown"
HAN_SHARE, KANA_SHARE = 0.30, 0.10


@cache
def _table() -> dict:
    return tomllib.loads((package_files("opencoder_lib") / "languages.toml").read_text(encoding="utf-8"))


@cache
def _lookups() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """File name -> program, extension -> program, program -> category."""
    by_name, by_extension, category = {}, {}, {}
    for kind in CATEGORIES:
        for program, entry in _table()[kind].items():
            category[program] = kind
            by_name |= dict.fromkeys(entry.get("names", ()), program)
            by_extension |= dict.fromkeys(entry.get("extensions", ()), program)
    return by_name, by_extension, category


def language_of(path: str) -> str:
    """The program of a path by its full file name, else its extension, else 'unknown'."""
    by_name, by_extension, _ = _lookups()
    name = path.rsplit("/", 1)[-1]
    _, dot, extension = name.rpartition(".")
    return by_name.get(name) or (by_extension.get(extension) if dot else None) or UNKNOWN


def category_of(language: str) -> str:
    """code, data, text or excluded; 'unknown' for a program the table does not have."""
    return _lookups()[2].get(language, UNKNOWN)


def program_names() -> list[str]:
    """All programs of the table, sorted."""
    return sorted(_lookups()[2])


def with_languages(files: pl.DataFrame) -> pl.DataFrame:
    """Return `files` with `language`, `category` and `natural_language` filled where they are null.

    Values that are already there stay. Same rows, same order; nothing else changes.
    """
    by_name, by_extension, category = _lookups()
    name = pl.col("path").str.split("/").list.last()
    found = pl.coalesce(
        name.replace_strict(by_name, default=None, return_dtype=pl.String),
        name.str.extract(r"\.([^.]*)$").replace_strict(by_extension, default=None, return_dtype=pl.String),
        pl.lit(UNKNOWN),
    )
    files = files.with_columns(language=pl.coalesce("language", found))
    kind = pl.col("language").replace_strict(category, default=UNKNOWN, return_dtype=pl.String)
    files = files.with_columns(category=pl.coalesce("category", kind.cast(SCHEMA["category"])))
    # The only column that takes a look at the text, so it is not worked out where it is known.
    if files["natural_language"].null_count():
        files = files.with_columns(natural_language=pl.coalesce("natural_language", natural_language("text")))
    return files


def natural_language(column: str = "text") -> pl.Expr:
    """zh, ja or en by the share of letters in each script; null where there is no text.

    A stand-in for the release's trained classifier, which is not public: ja when kana are more than 10 % of the
    letters (Chinese text has none, so this is asked first), zh when Han signs are more than 30 %, else en.
    """
    text = pl.col(column)
    letters = text.str.count_matches(r"\p{L}")
    kana = text.str.count_matches(r"[\p{Hiragana}\p{Katakana}]")
    han = text.str.count_matches(r"\p{Han}")
    # Most files are ASCII; comparing two lengths spares them three passes of a regular expression.
    return (
        pl.when(text.is_null())
        .then(None)
        .when(text.str.len_bytes() == text.str.len_chars())
        .then(pl.lit("en"))
        .when(kana > KANA_SHARE * letters)
        .then(pl.lit("ja"))
        .when(han > HAN_SHARE * letters)
        .then(pl.lit("zh"))
        .otherwise(pl.lit("en"))
    )


def count_languages(files: pl.DataFrame) -> pl.DataFrame:
    """One row per language of `files`: `language`, `category`, `n_files`, `n_bytes`; most bytes first."""
    counts = files.group_by("language", "category").agg(
        n_files=pl.len().cast(pl.Int64), n_bytes=pl.col("n_bytes").sum()
    )
    return counts.sort("n_bytes", "language", descending=[True, False])


def count_types() -> dict[str, int]:
    """How many programs the table has in each category, and `kept`: code, data and text together."""
    counts = {kind: len(_table()[kind]) for kind in CATEGORIES}
    return counts | {"kept": counts["code"] + counts["data"] + counts["text"]}


def paper_counts() -> dict[str, int]:
    """The paper's number of types in each category, counted in the lists it prints, and `kept` as above."""
    paper = _table()["paper"]
    counts = {"code": paper["num_code"], **{kind: len(paper[kind]) for kind in ("data", "text", "excluded")}}
    return counts | {"kept": counts["code"] + counts["data"] + counts["text"]}


def compare_with_paper(files: pl.DataFrame) -> pl.DataFrame:
    """Types in each category: the paper's lists, the released table, and those that occur in `files`."""
    here = files.group_by("category").agg(pl.col("language").n_unique())
    here = dict(zip(here["category"].cast(pl.String), here["language"], strict=True))
    here["kept"] = sum(here.get(kind, 0) for kind in ("code", "data", "text"))
    kinds = ("code", "data", "text", "kept", "excluded")
    columns = {"paper": paper_counts(), "table": count_types(), "in_this_corpus": here}
    return pl.DataFrame(
        {"category": kinds} | {name: [of.get(kind, 0) for kind in kinds] for name, of in columns.items()}
    )


def differences() -> pl.DataFrame:
    """Where the released table and the paper's printed lists disagree: one row per type.

    Columns: type, paper (category or null), table (category or null). The paper's code list is not compared name
    by name, only by number, because no name of it is kept here.
    """
    category, paper = _lookups()[2], _table()["paper"]
    printed = {name: kind for kind in ("data", "text", "excluded") for name in paper[kind]}
    rows = [
        {"type": name, "paper": printed.get(name), "table": category.get(name)}
        for name in sorted(printed.keys() | {name for name, kind in category.items() if kind != "code"})
        if printed.get(name) != category.get(name)
    ]
    return pl.DataFrame(rows, schema={"type": pl.String, "paper": pl.String, "table": pl.String})


def never_matching() -> dict[str, str]:
    """Extensions of the release that hold a dot, so that no look-up can find them, with their program."""
    return dict(_table()["never_match"])
