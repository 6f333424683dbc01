import polars as pl

from opencoder_lib.plots import rules


def test_rule_hits_orders_rules_and_says_what_it_shows():
    hits = pl.DataFrame({"rule": ["a.one", "b.two", "c.none"], "hits": [3, 9, 0], "exclusive": [3, 4, 0]})
    figure, alt = rules.rule_hits(hits)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b.two", "a.one"]
    assert alt == "Bar chart of files hit per rule, and by that rule alone. b.two 9, 4 alone; a.one 3, 3 alone."


def test_what_if_draws_shares_from_zero_and_marks_the_threshold():
    curve = pl.DataFrame(
        {"threshold": [0.1, 0.3], "files": [10, 10], "exclusive": [5, 1], "frac_files_hit": [0.8, 0.2]}
    )
    figure, alt = rules.what_if(curve, "a.one", 0.3, "frac_x")
    assert figure.axes[0].get_ylim()[0] == 0
    assert "from 80.0% at 0.1 to 20.0% at 0.3" in alt
    assert "threshold in force is 0.3" in alt


def test_distribution_counts_the_files_beyond_the_threshold():
    bins = pl.DataFrame({"low": [0.0, 0.5], "high": [0.5, 1.0], "files": [7, 3], "hits": [0, 2]})
    _, alt = rules.distribution(bins, 0.6, "frac_x")
    assert "over 10 files; 2 lie beyond the threshold 0.6" in alt


def test_surviving_sets_the_papers_share_beside_ours_where_there_is_one():
    composed = pl.DataFrame(
        {
            "language": ["python", "toml"],
            "bytes_before": [2_000_000, 1_000_000],
            "frac_bytes_surviving": [0.5, 0.25],
            "frac_reported": [0.55, None],
        }
    )
    figure, alt = rules.surviving(composed)
    assert figure.axes[0].get_xlim() == (0, 1)
    assert alt.endswith("python 50.0% (paper 55.0%); toml 25.0%.")
