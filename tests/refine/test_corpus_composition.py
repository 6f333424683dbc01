"""What a corpus is made of, by hand, and the paper's tables as printed."""

import polars as pl
import pytest

from opencoder_lib.errors import ConfigError, SchemaError
from opencoder_lib.files import new_files
from opencoder_lib.paper import fact, facts
from opencoder_lib.refine.composition import (
    beside_table2,
    beside_table15,
    beside_table16,
    bytes_per_token,
    composition,
    paper_sampling,
    table_16,
    token_shares,
    with_source,
)


def files_of(*rows: dict, **common) -> pl.DataFrame:
    return new_files(
        [{"path": f"{at}.x", "origin": "folder", "text": ""} | common | row for at, row in enumerate(rows)]
    )


CORPUS = files_of(
    {"language": "python", "text": "abcd", "n_bytes": 10, "repo": "one"},
    {"language": "python", "text": "abcdef", "n_bytes": 6, "repo": "two", "removed_by": "filter.short"},
    {"language": "html", "text": "数", "n_bytes": 3, "repo": "one"},
    {"language": "html", "text": "xy", "n_bytes": 2, "removed_by": "sample.over_budget"},
    {"language": "css", "text": None, "n_bytes": 9, "removed_by": "preprocess.undecodable", "repo": "two"},
    {"language": "python", "text": "x" * 99, "origin": "planted"},
)


def test_what_was_read_beside_what_is_left_counts_real_files_at_their_size_then_and_now():
    found = composition(CORPUS).drop("frac_bytes_surviving")
    assert found.rows() == [
        ("python", "code", 2, 1, 16, 4, pytest.approx(16 / 30), pytest.approx(4 / 7)),
        ("html", "code", 2, 1, 5, 3, pytest.approx(5 / 30), pytest.approx(3 / 7)),
        ("css", "data", 1, 0, 9, 0, pytest.approx(9 / 30), 0),
    ]
    assert composition(CORPUS)["frac_bytes_surviving"].to_list() == [0.25, 0.6, 0.0]


def test_of_one_stage_only_what_reached_it_counts_and_at_its_size_there():
    found = composition(CORPUS, stage="sample")
    assert found.select("language", "files_before", "files_after", "bytes_before", "bytes_after").rows() == [
        ("python", 1, 1, 4, 4),
        ("html", 2, 1, 5, 3),
    ]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("origin", [("folder", 5, 2)]),
        ("repo", [("one", 2, 2), ("two", 2, 0), ("(none)", 1, 0)]),
        ("license", [("(none)", 5, 2)]),
    ],
)
def test_any_column_can_be_counted_by(by, expected):
    assert composition(CORPUS, by).select(by, "files_before", "files_after").rows() == expected


def test_an_unknown_column_and_a_frame_of_something_else_are_refused():
    with pytest.raises(ConfigError, match=r"'languages'.*language"):
        composition(CORPUS, "languages")
    with pytest.raises(SchemaError, match="n_files and n_bytes"):
        composition(pl.DataFrame({"language": ["python"]}))


def test_counts_of_a_finished_corpus_stand_in_for_its_files_and_have_no_before():
    counts = pl.DataFrame({"language": ["java", "html", "java"], "n_files": [1, 2, 3], "n_bytes": [10, 90, 20]})
    assert composition(counts).drop("frac_bytes_before", "frac_bytes_surviving").rows() == [
        ("html", "code", None, 2, None, 90, 0.75),
        ("java", "code", None, 4, None, 30, 0.25),
    ]


def half(texts: list[str]) -> list[int]:
    return [len(text) // 2 for text in texts]


def test_bytes_per_token_are_all_bytes_by_all_tokens_with_repositories_as_units():
    files = files_of(
        {"text": "x" * 8, "repo": "one"},
        {"text": "x" * 5, "repo": "two"},
        {"text": "x" * 2, "repo": "two"},
        language="c",
    )
    row = bytes_per_token(files, half).row(0, named=True)
    # Tokens are 4, 2 and 1; the ratio is 15/7, and the repositories lie 8 - 60/7 and 7 - 45/7 from it.
    spread = (((8 - 60 / 7) ** 2 + (7 - 45 / 7) ** 2) * 2 / 1) ** 0.5 / 7
    assert row["bytes_per_token"] == 15 / 7
    assert row["plus_minus"] == pytest.approx(1.959964 * spread)
    assert (row["files_sampled"], row["repos_sampled"], row["tokens_sampled"]) == (3, 2, 7)


def test_the_sample_is_the_first_files_in_an_order_that_the_rows_do_not_change():
    files = files_of(*({"text": "x" * (2 + at)} for at in range(50)), language="c", repo="one")
    found = bytes_per_token(files, half, per_language=7)
    assert found["files_sampled"].to_list() == [7]
    assert found["plus_minus"].to_list() == [None]
    assert found.equals(bytes_per_token(files.reverse(), half, per_language=7))
    assert not found.equals(bytes_per_token(files, half, per_language=7, key="another"))


def test_tokens_are_estimated_for_each_language_and_summed_by_anything():
    files = files_of(
        {"language": "c", "text": "x" * 8, "repo": "one"},
        {"language": "css", "text": "数数数数", "repo": "one"},
        {"language": "css", "text": "数" * 8, "repo": "two"},
        {"language": "xml", "text": "", "repo": "two"},
    )
    ratios = bytes_per_token(files, half)
    shares = token_shares(files, ratios)
    assert shares.select("language", "n_bytes", "tokens", "bytes_per_token").rows() == [
        ("css", 36, 6, 6.0),
        ("c", 8, 4, 2.0),
        ("xml", 0, 0, None),
    ]
    assert shares["frac_tokens"].to_list() == pytest.approx([0.6, 0.4, 0.0])
    assert token_shares(files, ratios, "repo").select("repo", "tokens").rows() == [("one", 6), ("two", 4)]


def test_a_tokenizer_that_answers_too_little_and_ratios_of_other_files_are_refused():
    files = files_of({"language": "c", "text": "xxxx"})
    with pytest.raises(ConfigError, match="0 numbers for 1 texts"):
        bytes_per_token(files, lambda texts: [])
    with pytest.raises(SchemaError, match="'c'"):
        token_shares(files, bytes_per_token(files.clear(), half))


def test_table_2_has_the_papers_sources_first_and_then_those_of_the_run():
    files = files_of(
        {"language": "python", "origin": "installed", "text": "x" * 8},
        {"language": "jupyter notebook", "text": "x" * 4},
        {"language": "html", "origin": "web", "text": "x" * 4},
    )
    sourced = with_source(files)
    assert sourced["source"].to_list() == ["installed packages", "Jupyter notebooks", "web pages"]
    table = beside_table2(token_shares(sourced, bytes_per_token(sourced, half), "source"))
    assert table["paper_billion_tokens"].sum() == fact("overview.corpus_tokens").value
    assert table.select("heading", "source", "tokens_here", "frac_here").rows()[1] == (
        "raw code",
        "Jupyter notebooks",
        2,
        0.25,
    )
    assert set(table.tail(2).select("heading", "source", "paper_billion_tokens", "tokens_here").rows()) == {
        ("raw code", "installed packages", None, 4),
        ("web", "web pages", None, 2),
    }


def test_table_15_ends_with_this_run():
    table = beside_table15("this run", 12_000_000, 27, 0, 86, own_rules=True)
    assert table["billion_tokens"].to_list() == [200, 900, 960, 0.012]
    assert table.row(2) == ("RefineCode", 960, 607, 75, 130, "yes")
    assert table.row(3)[2:] == (27, 0, 86, "yes")


def test_every_row_of_table_16_has_the_share_of_bytes_that_chapter_5_quotes():
    table = table_16()
    assert table.height == fact("clash.table_rows").value
    for row in table.to_dicts():
        quoted = fact(f"surviving.{row['language'].replace(' ', '_')}").value
        assert row["paper_GB_after"] / row["paper_GB_before"] == pytest.approx(quoted, rel=0.005)
    assert {key for key in facts() if key.startswith("surviving.")} == {
        "surviving." + name.replace(" ", "_") for name in table["language"]
    }


def test_the_printed_shares_of_table_16_fit_its_sizes_but_for_the_rows_it_notes():
    table = table_16()
    html = table.row(0, named=True)
    for side in ("before", "after"):
        whole = html[f"paper_GB_{side}"] / html[f"frac_paper_{side}"]
        off = (pl.col(f"paper_GB_{side}") / whole - pl.col(f"frac_paper_{side}")).abs() > 0.0002
        odd = set(table.filter(off)["language"])
        assert odd == ({"mdx", "classic asp", "xbase"} if side == "before" else {"haskell"})
        assert table.filter(off)["note"].null_count() == 0


def test_beside_table_16_the_papers_rows_come_first_and_a_language_of_ours_has_none_of_it():
    table = beside_table16(composition(CORPUS))
    assert table.height == table_16().height
    assert table["language"][0] == "html"
    python = table.row(by_predicate=pl.col("language") == "python", named=True)
    assert (python["paper_files_after"], python["files_after"], python["bytes_before"]) == (58_640_346, 1, 16)
    own = beside_table16(composition(files_of({"language": "tex", "text": "x"}))).row(-1, named=True)
    assert (own["language"], own["paper_GB_after"], own["bytes_after"]) == ("tex", None, 1)


def test_the_papers_sampling_cuts_html_and_java_to_what_the_text_says():
    found = paper_sampling()
    changed = found.filter(pl.col("bytes_after") != pl.col("bytes_before"))
    assert changed.select("language", "bytes_before", "bytes_after", "files_after").rows() == [
        ("html", 582_400_000_000, 64_000_000_000, None),
        ("java", 474_300_000_000, 200_000_000_000, None),
    ]
    assert found["files_after"].null_count() == 2
